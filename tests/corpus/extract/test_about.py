"""Author and day of a page: each place they may stand, both scripts, what is none, and hostile pages."""

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.extract.about import About, about, author_of, day_in
from corpus.extract.documents import Extract, extract
from corpus.extract.resiliparse import ResiliparseExtractor
from corpus.extract.siku import SikuExtractor
from corpus.sources.capture import Capture

_TEXT = "<p>" + "A paragraph that says enough to be one, at some length, by nobody on no day. " * 8 + "</p>"


def _page(head: str = "", below: str = "") -> str:
    return f"<html><head><title>t</title>{head}</head><body><h1>标题 A title</h1>{below}{_TEXT}</body></html>"


def _of(html: str) -> tuple[str | None, str | None]:
    page, other = SikuExtractor().page(html), ResiliparseExtractor().page(html)
    assert (page.author, page.published) == (other.author, other.published)
    return page.author, page.published


def _linked(value: object) -> str:
    return f'<script type="application/ld+json">{json.dumps(value, ensure_ascii=False)}</script>'


_PERSONS = [{"@type": "Person", "name": "Ada Lee"}, {"@type": "Person", "name": "李明"}]
_ARTICLE = {"@type": "NewsArticle", "author": _PERSONS, "datePublished": "2024-03-05T08:00:00+08:00"}
_META = '<meta name="author" content="By Ada Lee"><meta property="article:published_time" content="2024-03-05T23:59Z">'
_DUBLIN = '<meta name="DC.creator" content="李明"><meta name="DC.date" content="2024/3/5">'
_MARKED = '<a rel="author" href="/u">李明</a> <time datetime="2024-03-05">5 March</time>'
_MICRODATA = '<span itemprop="author">Ada Lee</span><meta itemprop="datePublished" content="2024-03-05">'
_TRADITIONAL = "<div><span>2024-03-05 08:15</span> <b>記者：</b>李明／台北</div>"
_BROKEN = '<script type="application/ld+json">{"author": </script>'
FORMS = {
    "json-ld": (_page(_linked(_ARTICLE)), ("Ada Lee, 李明", "2024-03-05")),
    "json-ld in a graph": (_page(_linked({"@graph": [{"name": "x"}, _ARTICLE]})), ("Ada Lee, 李明", "2024-03-05")),
    "json-ld before meta": (_page(_linked({**_ARTICLE, "author": "王芳"}) + _META), ("王芳", "2024-03-05")),
    "meta": (_page(_META), ("Ada Lee", "2024-03-05")),
    "dublin core": (_page(_DUBLIN), ("李明", "2024-03-05")),
    "marked elements": (_page("", _MARKED), ("李明", "2024-03-05")),
    "microdata": (_page("", _MICRODATA), ("Ada Lee", "2024-03-05")),
    "a simplified line": (_page("", "<div>2024年03月05日 08:15 来源：日报 作者：李明</div>"), ("李明", "2024-03-05")),
    "a traditional line": (_page("", _TRADITIONAL), ("李明", "2024-03-05")),
    "an English line": (_page("", "<p>By <a>Ada Lee</a> · Published March 5, 2024</p>"), ("Ada Lee", "2024-03-05")),
    "blogger": (_page("", "<span class='post-author vcard'>Posted by Ada Lee</span>"), ("Ada Lee", None)),
    "links are no names": (_page('<meta property="article:author" content="https://example.org/ada">'), (None, None)),
    "nothing": (_page(), (None, None)),
    "a year of copyright": (_page("", "<p>© 2024 Example</p>"), (None, None)),
    "a broken block": (_page(_BROKEN + _META), ("Ada Lee", "2024-03-05")),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_each_place_they_may_stand(form: str) -> None:
    html, expected = FORMS[form]
    assert _of(html) == expected


@pytest.mark.parametrize(
    "text",
    ["2024-03-05", "2024/3/5 10:00", "20240305", "2024.03.05", "2024年3月5日", "2024 年 03 月 05 日", "March 5, 2024",
     "Mar. 5th 2024", "Tue, 05 Mar 2024 10:00:00 GMT", "5 March 2024", "Published on March 5, 2024 at 3 pm"],
)  # fmt: skip
def test_days_as_they_are_written(text: str) -> None:
    assert day_in(text) == "2024-03-05"


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2024-02-30", "3/5/2024", "2024", "Xxx 5, 2024", None, 20240305, "99999999"]
)
def test_what_names_no_day(text: object) -> None:
    assert day_in(text) is None


@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)))
def test_a_day_is_read_back(day: date) -> None:
    spellings = [
        day.isoformat(),
        f"{day.year}年{day.month}月{day.day}日",
        day.strftime("%Y%m%d"),
        day.strftime("%B %d, %Y"),
        day.strftime("%d %b %Y"),
    ]
    assert {day_in(f" {spelling} ") for spelling in spellings} == {day.isoformat()}


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["name", "x"]), inner),
    )
)
def test_any_value_is_a_name_or_none(value: object) -> None:
    name = author_of(value)
    assert name is None or (0 < len(name) <= 200 and "\n" not in name)


def test_hostile_pages_end() -> None:
    deep = '<script type="application/ld+json">' + "[" * 100_000 + "</script>"
    many = _linked({"author": [{"name": f"n{each}"} for each in range(30_000)]})
    names = _page('<meta name="author" content="' + "字" * 1_000_000 + '">')
    for html in (
        _page(deep),
        _page(many),
        names,
        _page("<script application/ld+json>" * 20_000),
        _page("", "By " * 200_000),
    ):
        author, _ = _of(html)
        assert author is None or len(author) <= 200


def test_an_author_that_cannot_be_one_costs_no_page() -> None:
    """Half a surrogate pair ended the whole stage, lists of lists the page."""
    nested = '{"author": ' + "[" * 700 + '"Ada"' + "]" * 700 + "}"
    pages = [
        _page(f'<script type="application/ld+json">{data}</script>', "Prose. " * 50)
        for data in (r'{"author": "Ada \ud83d"}', nested)
    ]
    captures = [
        Capture(f"http://a.test/{n}", None, page.encode(), "text/html", "utf-8") for n, page in enumerate(pages)
    ]
    (found,) = extract(captures, "web", Extract())
    assert found.documents["author"].to_pylist() == ["Ada", None]


def test_a_page_without_head_or_body() -> None:
    from resiliparse.parse.html import HTMLTree

    assert about(HTMLTree.parse(""), "") == About()
