from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.crawling.directives import Directives, of_header, of_page
from corpus.crawling.segments import Segments
from corpus.crawling.source import Crawl
from corpus.sources.source import pieces, read
from tests.corpus.crawling.support import HTML, answer, by_url, crawl, html, page, raw_server, what, where

NEITHER, INDEX, FOLLOW, BOTH = Directives(), Directives(True), Directives(False, True), Directives(True, True)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("", NEITHER),
        ("noindex", INDEX),
        ("NoIndex , NOFOLLOW", BOTH),
        ("none", BOTH),
        ("noarchive, nosnippet", NEITHER),
        ("sikubot: noindex", INDEX),
        ("otherbot: noindex", NEITHER),
        ("otherbot: noindex, nofollow", NEITHER),
        ("otherbot: noindex, sikubot: nofollow", FOLLOW),
        ("unavailable_after: 25 Jun 2010 15:00:00 PST, noindex", INDEX),
        ("max-snippet:-1, nofollow", FOLLOW),
    ],
)
def test_headers(value, found):
    assert of_header(value, "sikubot") == found


@pytest.mark.parametrize(
    ("tag", "found"),
    [
        ('<meta name="robots" content="noindex, nofollow">', BOTH),
        ("<META CONTENT=none NAME=Robots />", BOTH),
        ("<meta name='SikuBot' content='nofollow'><meta name=robots content=noindex>", BOTH),
        ("<meta name=otherbot content=noindex>", NEITHER),
        ('<meta name="description" content="noindex">', NEITHER),
        ('<!-- <meta name="robots" content="noindex"> -->', NEITHER),
        ('<meta name="robots" content="index, follow">', NEITHER),
        ('<meta name="robots">', NEITHER),
    ],
)
def test_meta_tags(tag, found):
    assert of_page(f"<html><head>{tag}</head>", "sikubot") == found


@given(st.text(max_size=100))
def test_neither_fails(text):
    of_header(text, "sikubot")
    of_page(f"<meta {text}>", "sikubot")


def tagged(content, *links):
    return answer(f'<meta name="robots" content="{content}">'.encode() + page(*links), HTML)


def test_what_asks_not_to_be_kept_is_not_kept(tmp_path):
    answers = {
        "/": html("/meta", "/header", "/none", "/nofollow", "/gone"),
        "/meta": tagged("noindex", "/from-meta"),
        "/header": answer(page("/from-header"), HTML, "X-Robots-Tag: noindex"),
        "/none": tagged("none", "/from-none"),
        "/nofollow": tagged("nofollow", "/from-nofollow"),
        "/gone": answer(b"", "X-Robots-Tag: noindex", status="404 No"),
        "/from-meta": html(text="留"),
        "/from-header": html(),
    }
    with raw_server(answers) as served:
        index = crawl(what(), where(served), tmp_path)
        asked = served.counts()
        for path in tmp_path.glob("*.arrow"):
            path.unlink()  # links of what was not kept are in the WARC all the same
        known = Segments(tmp_path, "help.sample", Crawl(what())).get("http://help.sample/meta")
        assert known.links == ("http://help.sample/from-meta",)
        assert crawl(what(), where(served), tmp_path).equals(index)
    assert served.counts() == asked
    found = {url.removeprefix("http://help.sample/"): outcome for url, outcome in by_url(index).items()}
    assert found == {
        **dict.fromkeys(["", "nofollow", "from-meta", "from-header"], "fetched"),
        **dict.fromkeys(["meta", "header", "none"], "noindex"),
        "gone": "http_404",
        "robots.txt": "robots_file",
    }
    captures = Counter(
        c.url.removeprefix("http://help.sample/") for i in pieces(what(), tmp_path) for c in read(what(), i)
    )
    assert captures == Counter(["", "nofollow", "from-meta", "from-header", "gone"])
