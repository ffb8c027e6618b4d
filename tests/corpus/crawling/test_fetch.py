import gzip
import itertools
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.crawling.fetch import Pace, retry_after
from tests.corpus.crawling.support import HTML, answer, by_url, crawl, details, html, raw, raw_server, what, where


def watch(monkeypatch, slept):
    """Note waits, and do not wait."""
    monkeypatch.setattr(Pace, "sleep", lambda self, seconds: slept.append(seconds) if seconds > 0 else None)


@pytest.mark.parametrize(
    ("robots", "outcome"),
    [
        (answer(b"User-agent: SikuBot\nDisallow: /a\n\nUser-agent: *\nDisallow:"), "robots_disallowed"),
        (answer(b"\xef\xbb\xbfUser-agent: *\nDisallow: /*.html$"), "robots_disallowed"),
        (answer(b"User-agent: other\nDisallow: /"), "fetched"),
        (answer(b"\x00\xff garbage \n<html>"), "fetched"),
        (answer(status="404 No"), "fetched"),
        (answer(status="403 No"), "fetched"),
        (answer(status="503 Busy"), "robots_unreachable"),
        (raw(b""), "robots_unreachable"),
        (answer(b"", "Location: /r.txt", status="301 Moved"), "robots_disallowed"),
        (answer(b"", "Location: /robots.txt", status="302 Found"), "fetched"),
        (answer(b"", "Location: http://[::1/x", status="302 Found"), "fetched"),
        (answer(b"", "Location: ftp://help.sample/r.txt", status="302 Found"), "fetched"),
        (answer(b"", "Location: /", status="302 Found"), "fetched"),  # the home page, which is a page all the same
    ],
)
def test_robots_as_rfc_9309_reads_it(tmp_path, robots, outcome):
    answers = {
        "/robots.txt": robots,
        "/r.txt": answer(b"User-agent: *\nDisallow: /a"),
        "/": html("/a.html"),
        "/a.html": html(),
    }
    source = what(retries=0, seeds=["http://help.sample/", "http://other.sample/"])
    answers |= {("other.sample", path): html() for path in ("/", "/robots.txt")}
    with raw_server(answers) as served:
        reach = where(served, ("help.sample", "other.sample"))
        found = by_url(crawl(source, reach, tmp_path))
        asked = list(served.asked)
        assert by_url(crawl(source, reach, tmp_path)) == found
    assert served.asked == asked  # what has an outcome is not asked for again
    if outcome == "robots_unreachable":
        assert found["http://help.sample/"] == outcome
    else:
        assert (found["http://help.sample/"], found["http://help.sample/a.html"]) == ("fetched", outcome)
    assert Counter(served.asked)["help.sample", "/"] == (outcome != "robots_unreachable")
    assert found["http://other.sample/"] == "fetched"


def test_failures_retries_and_headers(tmp_path):
    tries = itertools.count()

    def busy(connection):
        connection.sendall(answer(b"", "Retry-After: 0", status="503 Busy") if next(tries) < 2 else html())

    answers = {
        "/": html("/busy", "/dead", "/short", "/slow", "/coded", "/pdf", "/none", "/bomb"),
        "/busy": busy,
        "/dead": answer(b"x", status="500 X"),
        "/short": raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 50\r\n\r\nabc"),
        "/coded": answer(b"\x1f\x8b\x08 broken", HTML, "Content-Encoding: gzip"),
        "/pdf": answer(b"%PDF", "Content-Type: application/pdf"),
        "/none": answer(b"<html><p>no type</p>"),
        "/bomb": answer(gzip.compress(bytes(3_000_000)), HTML, "Content-Encoding: gzip"),
    }
    with raw_server(answers) as served:
        answers["/slow"] = served.silence
        source = what(timeout_s=0.3, retries=2, max_decoded_bytes=1_000_000)
        found = by_url(crawl(source, where(served), tmp_path))
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
    asked = served.counts()
    assert (asked["/dead"], asked["/busy"], asked["/pdf"], asked["/robots.txt"]) == (3, 3, 1, 1)
    assert {host for host, _ in served.asked} == {"help.sample"}


def test_a_kept_connection_that_the_server_has_closed_is_no_failure(tmp_path):
    closing = raw(html("/a"))  # promises to stay, and goes
    with raw_server({"/": closing, "/a": html()}) as served:
        found = by_url(crawl(what(retries=0), where(served), tmp_path))
    assert found["http://help.sample/a"] == "fetched"
    assert served.counts() == Counter({"/robots.txt": 1, "/": 1, "/a": 1})


def test_what_follows_an_answer_is_never_the_next_ones(tmp_path):
    forged = html(text="forged")
    with raw_server({"/": html("/a", "/b") + forged, "/a": html(text="true")}) as served:
        index = crawl(what(), where(served), tmp_path)
    statuses = dict(zip(index["url"].to_pylist(), index["status"].to_pylist(), strict=True))
    assert statuses["http://help.sample/b"] == 404 and statuses["http://help.sample/a"] == 200
    text = b"".join(gzip.decompress(path.read_bytes()) for path in tmp_path.glob("*.warc.gz"))
    assert b"true" in text and b"forged" not in text


def test_delay_and_crawl_delay_space_requests(tmp_path, monkeypatch):
    slept = []
    watch(monkeypatch, slept)
    answers = {"/robots.txt": answer(b"User-agent: *\nCrawl-delay: 7"), "/": html("/a"), "/a": html()}
    with raw_server(answers) as served:
        crawl(what(), where(served, delay_s=0.5), tmp_path)
        assert [round(wait) for wait in slept] == [7, 7]
        slept.clear()  # what has been asked lately is not asked at once, whoever comes back to the host
        crawl(what(seeds=["http://help.sample/", "http://help.sample/b"]), where(served, delay_s=0.5), tmp_path)
    assert len(slept) == 1 and 5 < slept[0] <= 8


@pytest.mark.parametrize(("wanted", "obeyed"), [("1e9", 9), ("30", 9), ("8", 8), ("nan", 0), ("-5", 0), ("inf", 0)])
def test_a_crawl_delay_without_measure_is_cut_and_said(tmp_path, monkeypatch, wanted, obeyed):
    slept = []
    watch(monkeypatch, slept)
    robots = answer(f"User-agent: *\nCrawl-delay: {wanted}".encode())
    with raw_server({"/robots.txt": robots, "/": html()}) as served:
        index = crawl(what(), where(served, longest_wait_s=9), tmp_path)
    assert [round(wait) for wait in slept] == [obeyed] * (obeyed > 0)
    said = f"Crawl-delay {float(wanted):g} cut to 9 s" if obeyed == 9 else ""
    assert details(index)["http://help.sample/robots.txt"] == said


def test_retry_after_outweighs_the_own_wait(tmp_path, monkeypatch):
    slept = []
    watch(monkeypatch, slept)
    own = [0.01, 0.02]
    for asked, wanted in (("3", [3.0, 3.0]), ("9" * 10, [60.0, 60.0]), ("²", own), ("9" * 5000, own), ("later", own)):
        busy = answer(b"", f"Retry-After: {asked}", status="503 Busy")
        slept.clear()
        with raw_server({"/": html("/busy"), "/busy": busy}) as served:
            found = by_url(crawl(what(), where(served), tmp_path / f"{len(asked)}{asked[0]}"))
        assert (slept, found["http://help.sample/busy"]) == (wanted, "http_error")


def test_retry_after_is_seconds_or_a_date():
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for value, seconds in {
        "120": 120.0,
        "Thu, 01 Jan 2026 12:00:30 GMT": 30.0,
        "Thu, 01 Jan 2026 12:00:30 -0000": 30.0,
        "Wed, 31 Dec 2025 12:00:00 GMT": 0.0,
        "Thu, 99 Jan 2026 12:00:30 GMT": None,
        "-1": None,
        "1.5": None,
        "": None,
    }.items():
        assert retry_after(value, now) == seconds


@given(st.text(max_size=60) | st.text("0123456789,:+- JanThuGMT", max_size=40))
def test_retry_after_never_fails(value):
    seconds = retry_after(value, datetime.now(UTC))
    assert seconds is None or seconds >= 0


def test_a_host_that_is_lost_is_given_up(tmp_path):
    busy = answer(b"", "Retry-After: 0", status="503 Busy")
    names = [f"/{n:02d}" for n in range(20)]
    for lost, outcome in ((raw(b""), "connection_lost"), (busy, "http_error")):
        with raw_server({"/": html(*names), **dict.fromkeys(names, lost)}) as served:
            source = what(retries=0, max_lost=5)
            index = crawl(source, where(served), tmp_path / outcome)
            assert crawl(source, where(served), tmp_path / outcome).equals(index)
        assert Counter(by_url(index).values()) == {"fetched": 1, "robots_file": 1, outcome: 5, "host_given_up": 15}
        again = outcome == "connection_lost"  # on a kept connection: it may have been idle for too long
        assert sum(served.counts().values()) == 7 + again


def test_urls_beyond_the_limit_are_counted(tmp_path):
    with raw_server({"/": html(*(f"http://other.sample/{n}" for n in range(50)))}) as served:
        index = crawl(what(max_urls=11), where(served), tmp_path)
    assert Counter(by_url(index).values()) == {"fetched": 1, "robots_file": 1, "out_of_scope": 10, "url_limit": 1}
    assert details(index)["http://other.sample/10"] == "and 39 more links over max_urls, 11"


def test_what_has_been_fetched_is_never_over_the_limit(tmp_path):
    answers = {"/": html("/b", "http://two.sample/"), "/b": html(), "/a": html(), ("two.sample", "/"): html()}
    answers["two.sample", "/"] = html("http://help.sample/a")
    source = what(hosts=["help.sample", "two.sample"], max_pages=2, seeds=["http://help.sample/"])
    with raw_server(answers) as served:
        index = crawl(source, where(served, ("help.sample", "two.sample")), tmp_path)
    found = by_url(index)
    assert found["http://help.sample/b"] == "fetched" and found["http://help.sample/a"] == "page_limit"


def test_a_host_fills_no_more_than_its_share(tmp_path):
    names = [f"/{n:02d}" for n in range(30)]
    with raw_server({"/": html(*names), **{name: html(text=name * 3000) for name in names}}) as served:
        source = what(max_host_bytes=9000)
        index = crawl(source, where(served), tmp_path)
        assert crawl(source, where(served), tmp_path).equals(index)
    counts = Counter(by_url(index).values())
    size = sum(path.stat().st_size for path in tmp_path.glob("*.warc.gz"))
    assert 9000 <= size < 9000 + 3000 and counts["fetched"] + counts["byte_limit"] == 31 and counts["byte_limit"] > 9
    assert sum(served.counts().values()) == counts["fetched"] + 1
