import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.crawling.links import MAX_LINKS, MAX_URL, page_links


def links(html, url="http://h.sample/"):
    return list(page_links(html, url).urls)


def test_links_honour_base_entities_quotes_and_order():
    page = """<html><head><base href="../../"><!-- <a href="/comment"> --></head><body>
    <script>document.write('<a href="/script">x</a>')</script>
    <a href="zh/b.html#part">1</a> <A class=x HREF='/a?x=1&amp;y=2'>2</A> <area href=plain.html>
    <a href="mailto:x@y.z">m</a> <a href="javascript:void(0)">j</a> <a rel="nofollow" href="/no">n</a>
    <a href="zh/b.html">again</a> <a name="top">anchor</a> <a href="//other.sample/中文.html">o</a>
    <a data-href="/data" href=/first href=/second>f</a> <a
    href = "/wrapped">w</a>
    <a href="http://[broken/">b</a></body></html>"""
    assert links(page, "http://h.sample/zh/text/guide/a.html") == [
        "http://h.sample/zh/zh/b.html",
        "http://h.sample/a?x=1&y=2",
        "http://h.sample/zh/plain.html",
        "http://other.sample/中文.html",
        "http://h.sample/first",
        "http://h.sample/wrapped",
        "http://[broken/",
    ]


@pytest.mark.parametrize(
    "base", ["javascript:0", "data:text/html,x", "ftp://h.sample/", "/" + "x" * 1100 + "/", "http://[1/", ""]
)
def test_a_base_that_leads_nowhere_is_none(base):
    assert links(f'<base href="{base}"><a href="a">', "http://h.sample/b/c") == ["http://h.sample/b/a"]


PIECES = ["<!--", "<script ", "<a ", "<base ", '<a href="', "<style>", "<ul>", "<a href=x ", "<a >", "<li><a >"]
PIECES += ["<a href=' ", '<base href="', "<a href = ", "<a\n", "</script", "<a href=&#9", "href=", "<a/", "<base/"]


@pytest.mark.parametrize("piece", PIECES)
def test_the_time_is_linear_whatever_the_page_holds(piece):
    """Sixteen times the page takes at most 64 times as long; quadratic would be 256."""
    page_links(piece, "http://h.sample/")

    def seconds(count):
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            assert page_links(piece * count, "http://h.sample/").urls in ((), ("http://h.sample/",))
            best = min(best, time.process_time() - start)
        return best

    assert seconds(160_000) < 64 * max(seconds(10_000), 0.001)


def test_memory_is_bounded_whatever_base_and_links_hold():
    page = f'<base href="http://h.sample/{"x" * 100_000}">' + "".join(f'<a href="{n}">' for n in range(50_000))
    long = f'<base href="http://h.sample/{"x" * 900}/">' + "".join(f'<a href="{n}">' for n in range(50_000))
    for html, size in ((page, 60), (long, 1000)):
        tracemalloc.start()
        found = page_links(html, "http://h.sample/")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3 * (len(html) + MAX_LINKS * (size + 100))  # 7.5 GB before
        assert len(found.urls) == MAX_LINKS and found.too_many == 50_000 - MAX_LINKS
        assert found.note == f"{50_000 - MAX_LINKS} links after the first {MAX_LINKS} left out"


def test_long_urls_are_counted_not_kept():
    longest = "http://h.sample/" + "x" * (MAX_URL - 16)
    found = page_links(
        f'<a href="{longest}"><a href="{longest}x"><a href="&#{"9" * 5000};"><a href="/ok">', "http://h.sample/"
    )
    assert (found.urls, found.too_long) == ((longest, "http://h.sample/ok"), 2)
    assert found.note == f"2 links over {MAX_URL} characters left out"


@given(st.text(max_size=200), st.sampled_from(["", '"', "'"]))
def test_links_never_fail(text, quote):
    found = page_links(f"<base href={quote}{text}{quote}><a href={quote}{text}{quote}>{text}</a>", "http://h.sample/")
    assert all(len(url) <= MAX_URL for url in found.urls)
