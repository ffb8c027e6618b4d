import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.html import links, looks_like_html


def test_looks_like_html():
    assert looks_like_html(b"\n<!DOCTYPE html><p>")
    assert looks_like_html("中文<div>".encode())
    assert looks_like_html("<!DOCTYPE html><p>中文".encode("utf-16-le"))
    assert not looks_like_html(b"%PDF-1.4 <<")
    assert not looks_like_html(b"")


def test_links_honour_base_entities_quotes_and_order():
    page = """<html><head><base href="../../"><!-- <a href="/comment"> --></head><body>
    <script>document.write('<a href="/script">x</a>')</script>
    <a href="zh/b.html#part">1</a> <A class=x HREF='/a?x=1&amp;y=2'>2</A> <area href=plain.html>
    <a href="mailto:x@y.z">m</a> <a href="javascript:void(0)">j</a> <a rel="nofollow" href="/no">n</a>
    <a href="zh/b.html">again</a> <a name="top">anchor</a> <a href="//other.sample/中文.html">o</a>
    <a href="http://[broken/">b</a></body></html>"""
    assert links(page, "http://h.sample/zh/text/guide/a.html") == [
        "http://h.sample/zh/zh/b.html",
        "http://h.sample/a?x=1&y=2",
        "http://h.sample/zh/plain.html",
        "http://other.sample/中文.html",
        "http://[broken/",
    ]


@pytest.mark.parametrize("piece", ["<!--", "<script ", "<a ", "<base ", '<a href="', "<style>", "<ul>", "<a href=x "])
def test_links_of_hostile_pages_end(piece):
    assert links(piece * 100_000, "http://h.sample/") == []


@given(st.text(max_size=200))
def test_links_never_fail(text):
    links(f'<a href="{text}">{text}</a><a href={text}>', "http://h.sample/")
