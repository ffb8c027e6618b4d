import gzip
import threading
from collections import Counter
from contextlib import ExitStack

import pytest

from corpus.crawling.crawl import crawl
from corpus.crawling.snapshot import CrawlError
from tests.corpus.crawling.support import HTML, by_url, odd_server, page, what, where


@pytest.mark.parametrize(
    ("robots", "outcome"),
    [
        ((200, [], b"User-agent: SikuBot\nDisallow: /a\n\nUser-agent: *\nDisallow:"), "robots_disallowed"),
        ((200, [], b"\xef\xbb\xbfUser-agent: *\nDisallow: /*.html$"), "robots_disallowed"),
        ((200, [], b"User-agent: other\nDisallow: /"), "fetched"),
        ((200, [], b"\x00\xff garbage \n<html>"), "fetched"),
        ((404, [], b""), "fetched"),
        ((403, [], b""), "fetched"),
        ((503, [], b""), "robots_disallowed"),
        ((301, ["Location: /r.txt"], b""), "robots_disallowed"),
        ((302, ["Location: /robots.txt"], b""), "fetched"),
    ],
)
def test_robots_as_rfc_9309_reads_it(tmp_path, robots, outcome):
    answers = {
        "/robots.txt": robots,
        "/r.txt": (200, [], b"User-agent: *\nDisallow: /a"),
        "/": (200, HTML, page("/a.html")),
        "/a.html": (200, HTML, page()),
    }
    with odd_server(answers) as (_, address), ExitStack() as stack:
        if robots[0] == 503:
            stack.enter_context(pytest.raises(CrawlError, match="robots_disallowed"))
        index = crawl(what(retries=0), where(address), tmp_path)
        assert by_url(index)["http://help.sample/a.html"] == outcome


def test_failures_retries_and_headers(tmp_path):
    tries = Counter()

    def busy(handler):
        tries[handler.path] += 1
        return (200, HTML, page()) if tries[handler.path] > 2 else (503, ["Retry-After: 0"], b"")

    answers = {
        "/": (200, HTML, page("/busy", "/dead", "/short", "/slow", "/coded", "/pdf", "/none", "/bomb")),
        "/busy": busy,
        "/dead": (500, [], b"x"),
        "/short": (200, [*HTML, "Content-Length: 50", "Connection: close"], b"abc"),
        "/slow": lambda handler: threading.Event().wait(1.5) or (200, HTML, b""),
        "/coded": (200, [*HTML, "Content-Encoding: gzip"], b"\x1f\x8b\x08 broken"),
        "/pdf": (200, ["Content-Type: application/pdf"], b"%PDF"),
        "/none": (200, [], b"<html><p>no type</p>"),
        "/bomb": (200, [*HTML, "Content-Encoding: gzip"], gzip.compress(bytes(3_000_000))),
    }
    with odd_server(answers) as (server, address):
        crawl_what = what(timeout_s=0.5, retries=2, max_decoded_bytes=1_000_000)
        found = by_url(crawl(crawl_what, where(address), tmp_path))
    assert {url.rpartition("/")[2]: outcome for url, outcome in found.items()} == {
        "": "fetched",
        "busy": "fetched",
        "dead": "http_error",
        "short": "bad_response",
        "slow": "timeout",
        "coded": "bad_coding",
        "pdf": "not_html",
        "none": "fetched",
        "bomb": "too_large",
        "robots.txt": "robots_file",
    }
    asked = Counter(path for path, _ in server.asked)
    assert (asked["/dead"], asked["/busy"], asked["/pdf"], asked["/robots.txt"]) == (3, 3, 1, 1)
    headers = server.asked[0][1]
    assert headers["Host"] == "help.sample" and headers["User-Agent"] == "SikuBot/0.1"


def test_delay_and_crawl_delay_space_requests(tmp_path, monkeypatch):
    slept = []
    monkeypatch.setattr("corpus.crawling.fetch.time.sleep", slept.append)
    answers = {
        "/robots.txt": (200, [], b"User-agent: *\nCrawl-delay: 7"),
        "/": (200, HTML, page("/a")),
        "/a": (200, HTML, page()),
    }
    with odd_server(answers) as (_, address):
        crawl(what(), where(address, delay_s=0.5, connections=4), tmp_path)
    waits = [round(wait, 1) for wait in slept]
    assert waits[0] == 0 and waits[1] == pytest.approx(0.5, abs=0.2) and max(waits) > 6


def test_retry_after_outweighs_the_own_wait(tmp_path, monkeypatch):
    slept = []
    monkeypatch.setattr("corpus.crawling.fetch.time.sleep", slept.append)
    for asked, wanted in (("3", [3.0, 3.0]), ("99999", [60.0, 60.0]), ("later", [0.01, 0.02])):
        answers = {"/": (200, HTML, page("/busy")), "/busy": (503, [f"Retry-After: {asked}"], b"")}
        slept.clear()
        with odd_server(answers) as (_, address):
            found = by_url(crawl(what(), where(address), tmp_path / asked))
        assert (slept, found["http://help.sample/busy"]) == (wanted, "http_error")
