"""One crawl over a host that does everything wrong: each URL ends in an outcome, and the crawl goes on."""

import gzip
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.configuration import FileRef
from corpus.crawling.outcome import answered
from corpus.crawling.snapshot import CrawlError
from corpus.crawling.source import Crawl
from corpus.sources.http import Head
from corpus.sources.source import pieces, read
from corpus.sources.warc import WarcSource
from tests.corpus.crawling.support import HTML, answer, by_url, crawl, details, html, page, raw, raw_server, what, where

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
TWICE = zlib.compress(zlib.compress(bytes(1 << 27)))
BODY = b"<html><p>whole</p>"


def chunked(*pieces, extension=b""):
    return b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces if piece) + b"0\r\n\r\n"


def moved(location):
    return answer(b"", f"Location: {location}", status="302 Found")


UNENDING = ("slow", "silent", "interim", "endless")
# Path -> what the server does, and the outcome. Those that never end need the server.
FORMS = {
    "location-bracket": (moved("http://[::1/x"), "redirect"),
    "location-escape": (moved("http://[\x1b[31mred"), "redirect"),
    "location-scheme": (moved("http://"), "redirect"),
    "location-long": (moved("/" + "x" * 50_000), "redirect"),
    "location-none": (answer(b"", status="302 Found"), "http_error"),
    "charset-parts": (answer(page(), "Content-Type: text/html; charset*=utf-8''a; charset*0=b"), "fetched"),
    "charset-unknown": (answer(page(), "Content-Type: text/html; charset=\"\x1b[31mx"), "fetched"),
    "charset-idna": (answer(page(), "Content-Type: text/html; charset=idna"), "fetched"),
    "reference": (answer(b"<a href='&#" + b"9" * 1900 + b";'>x</a>", HTML), "fetched"),
    "reference-long": (answer(b"<a href='&#" + b"9" * 5000 + b";'>x</a>", HTML), "fetched"),
    "status-text": (raw(b"HTTP/1.1 OK\r\n\r\n"), "bad_response"),
    "status-digits": (raw("HTTP/1.1 ²00 OK\r\n\r\n".encode()), "bad_response"),
    "status-low": (raw(b"HTTP/1.1 099 Low\r\n\r\n"), "bad_response"),
    "status-long": (raw(b"HTTP/1.1 200 " + b"x" * 1_000_000), "bad_response"),
    "no-http": (raw(b"\x16\x03\x01 not HTTP at all\r\n\r\n"), "bad_response"),
    "nothing": (raw(b""), "connection_lost"),
    "switch": (raw(b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\n\r\n"), "bad_response"),
    "odd-line": (raw(OK + b"no colon\r\n goes on\r\n\r\n" + BODY), "fetched"),
    "odd-name": (raw(OK + b"My Header: x\r\n: y\r\n\r\n" + BODY), "fetched"),
    "odd-space": (raw(b"HTTP/1.1 200 OK\r\nContent-Type : text/html\r\nContent-Length : 18\r\n\r\n" + BODY), "fetched"),
    "odd-value": (raw(OK + "X: \0a\x0b中\x7f\r\n\r\n".encode() + BODY), "fetched"),
    "odd-case": (raw(b"http/1.0 200 ok\r\n\r\n" + BODY), "fetched"),
    "odd-ends": (raw(b"HTTP/1.1 200\nContent-Type: text/html\n\n" + BODY), "fetched"),
    "odd-fold": (raw(OK + b"X: a\r\n\tb\r\n\r\n" + BODY), "fetched"),
    "odd-coding": (raw(OK + b"Transfer-Encoding: identity\r\n\r\n" + BODY), "fetched"),
    "odd-twice": (raw(OK + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n" + chunked(BODY)), "fetched"),
    "odd-interim": (raw(b"HTTP/1.1 103 Hints\r\nno colon\r\n\r\n" + OK + b"no colon\r\n\r\n" + BODY), "fetched"),
    "header-long": (raw(OK + b"A: " + b"x" * 100_000 + b"\r\n\r\n"), "bad_response"),
    "header-many": (raw(OK + b"A: x\r\n" * 300 + b"Content-Length: 0\r\n\r\n"), "bad_response"),
    "length-digits": (raw(OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"), "bad_response"),
    "length-script": (raw(OK + "Content-Length: ²\r\n\r\n".encode()), "bad_response"),
    "length-minus": (raw(OK + b"Content-Length: -1\r\n\r\nx"), "bad_response"),
    "length-two": (raw(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), "bad_response"),
    "length-lie": (raw(OK + b"Content-Length: 100\r\n\r\nx"), "bad_response"),
    "length-huge": (raw(OK + b"Content-Length: 999999999999\r\n\r\nx"), "too_large"),
    "until-closed": (raw(OK + b"\r\n" + BODY), "fetched"),
    "chunk-digits": (raw(CHUNKED + b"f" * 5000 + b"\r\nx"), "bad_response"),
    "chunk-minus": (raw(CHUNKED + b"-6\r\nabcdef\r\n0\r\n\r\n"), "bad_response"),
    "chunk-extension": (raw(CHUNKED + b"1;" + b"x" * 100_000 + b"\r\nx\r\n0\r\n\r\n"), "bad_response"),
    "chunk-extensions": (raw(CHUNKED + chunked(*[b"x"] * 8000, extension=b";" + b"y" * 500)), "too_large"),
    "chunk-large": (raw(CHUNKED + chunked(bytes(3 << 19))), "too_large"),
    "chunk-cut": (raw(CHUNKED + b"6\r\nabc"), "bad_response"),
    "chunk-huge": (raw(CHUNKED + b"ffffffffffffffff\r\nabc"), "bad_response"),
    "coding": (answer(b"x", HTML, "Content-Encoding: br"), "bad_coding"),
    "codings": (answer(b"x", HTML, f"Content-Encoding: {', '.join(['gzip'] * 9)}"), "bad_coding"),
    "members": (answer(gzip.compress(b"") * 5000, HTML, "Content-Encoding: gzip"), "bad_coding"),
    "bomb": (answer(gzip.compress(bytes(1 << 25)), HTML, "Content-Encoding: gzip"), "too_large"),
    "bomb-twice": (answer(TWICE, HTML, "Content-Encoding: deflate, deflate"), "too_large"),
    "escape": (raw(b"HTTP/1.1 500 \x1b[2J\x1b]0;owned\x07\r\nContent-Length: 0\r\n\r\n"), "http_error"),
    "escape-type": (answer(b"x", "Content-Type: \x1b[31mred"), "not_html"),
    "slow-head": (lambda server: server.drip(b"HTTP/1.1 200 OK\r\nA: "), "timeout"),
    "slow-body": (lambda server: server.drip(OK + b"Content-Length: 5000\r\n\r\n"), "timeout"),
    "slow-chunks": (lambda server: server.drip(CHUNKED, b"1\r\nx\r\n"), "timeout"),
    "slow-trailers": (lambda server: server.drip(CHUNKED + b"1\r\nx\r\n0\r\n", b"A: x\r\n"), "timeout"),
    "silent": (lambda server: server.silence, "timeout"),
    "interim": (lambda server: server.drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "bad_response"),
    "endless-head": (lambda server: server.drip(OK, b"A: x\r\n" * 500, 0), "bad_response"),
    "endless-body": (lambda server: server.drip(OK + b"\r\n", b"x" * 9999, 0), "too_large"),
    "endless-chunks": (lambda server: server.drip(CHUNKED, chunked(b"x" * 99)[:-5], 0), "too_large"),
    "endless-trailers": (lambda server: server.drip(CHUNKED + b"0\r\n", b"A: x\r\n" * 500, 0), "bad_response"),
}  # fmt: skip


@pytest.mark.parametrize(("slow", "timeout_s"), [(True, 0.3), (False, 30.0)])
def test_every_form_ends_in_its_outcome_and_nothing_is_asked_again(tmp_path, slow, timeout_s):
    forms = {name: form for name, form in FORMS.items() if (form[1] == "timeout") == slow}
    with raw_server({"/": html(*(f"/{name}" for name in forms))}) as served:
        for name, (do, _) in forms.items():
            served.answers[f"/{name}"] = do(served) if name.startswith(UNENDING) else do
        source = what(retries=0, timeout_s=timeout_s, max_bytes=1 << 20, max_lost=100, max_decoded_bytes=1 << 22)
        index = crawl(source, where(served), tmp_path)
        asked = list(served.asked)
        assert crawl(source, where(served), tmp_path).equals(index)
    assert served.asked == asked
    found, said = by_url(index), details(index)
    outcomes = {name: found[f"http://help.sample/{name}"] for name in forms}
    assert outcomes == {name: outcome for name, (_, outcome) in forms.items()}
    assert all(text.isprintable() and len(text) < 500 for row in index.to_pylist() for text in map(str, row.values()))
    if not slow:
        assert found["http://[::1/x"] == "malformed_url"
        assert "links over" in said["http://help.sample/location-long"]
        assert said["http://help.sample/bomb"] == "over 4194304 bytes once decoded"


@pytest.mark.parametrize(
    "body", [b"-6\r\nabcdef", b"0\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"\xb2\r\n", b""]
)
@pytest.mark.parametrize("form", ["length", "chunks", "closed", "gzip"])
def test_a_body_is_dechunked_once(tmp_path, body, form):
    """Whatever a body looks like, and however it is sent, it comes out of the WARC byte for byte."""
    sent = {
        "length": answer(body, HTML),
        "chunks": CHUNKED + chunked(body[:3], body[3:]),
        "closed": raw(OK + b"\r\n" + body),
        "gzip": CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n") + chunked(gzip.compress(body)),
    }
    with raw_server({"/": html("/x"), "/x": sent[form]}) as served:
        index = crawl(what(), where(served), tmp_path)
    assert by_url(index)["http://help.sample/x"] == "fetched"
    captures = [capture for piece in pieces(what(), tmp_path) for capture in read(what(), piece)]
    assert [capture.payload for capture in captures if capture.url == "http://help.sample/x"] == [body]
    (segment,) = tmp_path.glob("*.warc.gz")
    source = WarcSource(path=FileRef(segment))
    others = [capture for piece in pieces(source) for capture in read(source, piece)]
    assert [c.payload for c in others if c.url == "http://help.sample/x" and c.error is None] == [body]


def test_what_browsers_read_is_read_whole(tmp_path):
    names = [name for name in FORMS if name.startswith("odd")]
    with raw_server({"/": html(*(f"/{name}" for name in names))}) as served:
        served.answers |= {f"/{name}": FORMS[name][0] for name in names}
        crawl(what(), where(served), tmp_path)
    captures = {c.url: c.payload for piece in pieces(what(), tmp_path) for c in read(what(), piece)}
    assert {captures[f"http://help.sample/{name}"] for name in names} == {BODY}


def test_a_header_cannot_forge_another(tmp_path):
    lines = b"X: a\x85Transfer-Encoding: chunked\x1cContent-Encoding: gzip\x1dY: b"
    with raw_server({"/": raw(OK + lines + b"\r\n\r\n" + BODY)}) as served:
        crawl(what(), where(served), tmp_path)
    (capture,) = [c for piece in pieces(what(), tmp_path) for c in read(what(), piece) if c.error is None]
    assert capture.payload == BODY


@given(st.text(max_size=80), st.text(max_size=80), st.sampled_from([200, 301, 302, 404]), st.binary(max_size=80))
def test_no_header_and_no_body_escapes_its_outcome(location, kind, status, body):
    head = Head(status, {"location": location, "content-type": kind})
    row = answered("http://help.sample/a/b", head, body, datetime.now(UTC), Crawl(what(max_decoded_bytes=1000)))
    assert row.outcome in ("fetched", "redirect", "http_404", "http_error")
    assert all(link.isprintable() for link in row.links) and (row.content_type or "").isprintable()


def test_what_nobody_foresaw_costs_its_url_and_says_so(tmp_path, monkeypatch):
    def broken(*args):
        raise RecursionError("\x1b[31m deep")

    monkeypatch.setattr("corpus.crawling.outcome.page_links", broken)
    row = answered(
        "http://help.sample/", Head(200, {"content-type": "text/html"}), b"<a>", datetime.now(UTC), Crawl(what())
    )
    assert (row.outcome, row.detail) == ("crawler_error", "RecursionError: \\x1b[31m deep")
    monkeypatch.setattr("corpus.crawling.fetch.Connection.get", broken)
    with raw_server({}) as served, pytest.raises(CrawlError, match=r"crawler_error: RecursionError: \\x1b\[31m deep"):
        crawl(what(), where(served), tmp_path)
