"""A crawl after a crawl: what has not changed is not sent again, and the new snapshot needs no other."""

import gzip
import shutil
from collections import Counter

import pytest
from fastwarc.warc import ArchiveIterator

from corpus.crawling.ask import validators
from corpus.crawling.snapshot import outcomes, snapshot_digest
from corpus.sources.http import Head
from corpus.sources.source import pieces, read
from tests.corpus.crawling.support import HTML, answer, by_url, crawl, html, page, raw_server, what, where


class Versioned:
    """Answers with validators, and 304 to a request that names the present ones."""

    def __init__(self, body, *headers):
        self.body, self.headers = body, headers

    def __call__(self, connection, request):
        wanted = {"If-None-Match": "ETag", "If-Modified-Since": "Last-Modified"}
        given = dict(header.split(": ", 1) for header in self.headers)
        same = [
            request.get(name.lower()) == given.get(field) for name, field in wanted.items() if name.lower() in request
        ]
        if same and same[0]:
            connection.sendall(b"HTTP/1.1 304 Same\r\nETag: %s\r\n\r\n" % given.get("ETag", "").encode())
        else:
            connection.sendall(answer(self.body, HTML, *self.headers))


def site():
    return {
        "/robots.txt": Versioned(b"User-agent: *\nDisallow: /x", 'ETag: "r"'),
        "/": Versioned(page("/tag", "/date", "/plain", "/gone", "/packed"), 'ETag: "1"'),
        "/tag": Versioned(page("/deep", text="标签"), 'ETag: W/"2"', "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT"),
        "/date": Versioned(page(text="date"), "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT"),
        "/packed": Versioned(gzip.compress(page(text="压")), 'ETag: "p"', "Content-Encoding: gzip"),
        "/plain": html(text="plain"),
        "/deep": html(text="deep"),
    }


def records(folder):
    return [r for path in sorted(folder.glob("*.warc.gz")) for r in ArchiveIterator(str(path), parse_http=False)]


def payloads(folder):
    return {c.url: c.payload for i in pieces(what(), folder) for c in read(what(), i) if c.error is None}


def test_what_has_not_changed_is_a_revisit_beside_its_response(tmp_path):
    with raw_server(site()) as served:
        first = crawl(what(), where(served), tmp_path / "1")
        texts = payloads(tmp_path / "1")
        second = crawl(what(), where(served), tmp_path / "2", previous=tmp_path / "1")
        third = crawl(what(), where(served), tmp_path / "3", previous=tmp_path / "2")  # of a copy, a copy
        served.answers["/tag"] = Versioned(page("/deep", text="新"), 'ETag: "3"')
        fourth = crawl(what(), where(served), tmp_path / "4", previous=tmp_path / "3")
    assert snapshot_digest(first) == snapshot_digest(second) == snapshot_digest(third) != snapshot_digest(fourth)
    assert outcomes(first) == outcomes(second) == outcomes(third) == outcomes(fourth)
    for name in "123":
        shutil.rmtree(tmp_path / "1", ignore_errors=True)
        if name != "1":
            assert payloads(tmp_path / name) == texts
    assert payloads(tmp_path / "4")["http://help.sample/tag"] == page("/deep", text="新")
    kinds = {n: Counter(r.headers["WARC-Type"] for r in records(tmp_path / n)) for n in "234"}
    unchanged = ["/", "/date", "/packed", "/robots.txt", "/tag"]
    assert [kinds[n]["revisit"] for n in "234"] == [len(unchanged), len(unchanged), len(unchanged) - 1]
    assert [kinds[n]["response"] for n in "234"] == [8, 8, 8]
    found = {r.headers["WARC-Record-ID"]: r.headers for r in records(tmp_path / "3")}
    revisits = [headers for headers in found.values() if headers["WARC-Type"] == "revisit"]
    assert sorted(h["WARC-Target-URI"].removeprefix("http://help.sample") for h in revisits) == unchanged
    for headers in revisits:
        response = found[headers["WARC-Refers-To"]]
        assert headers["WARC-Profile"] == "http://netpreserve.org/warc/1.1/revisit/server-not-modified"
        assert headers["WARC-Refers-To-Target-URI"] == response["WARC-Target-URI"] == headers["WARC-Target-URI"]
        assert headers["WARC-Refers-To-Date"] == response["WARC-Date"]
        assert headers["WARC-Payload-Digest"] == response["WARC-Payload-Digest"]


def test_a_crawl_goes_on_as_a_recrawl_and_asks_nothing_twice(tmp_path):
    with raw_server(site()) as served:
        crawl(what(), where(served), tmp_path / "1")
        index = crawl(what(), where(served), tmp_path / "2", previous=tmp_path / "1")
        asked = list(served.asked)
        for path in (tmp_path / "2").glob("*.arrow"):
            path.unlink()
        for path in (tmp_path / "1").glob("*.arrow"):
            path.unlink()
        assert crawl(what(), where(served), tmp_path / "2", previous=tmp_path / "1").equals(index)
        assert served.asked == asked
        assert crawl(what(), where(served), tmp_path / "3", previous=tmp_path / "1").num_rows == index.num_rows
    assert not list((tmp_path / "1").glob("*.arrow"))  # what is only read is not written


def test_a_304_that_nobody_asked_for_is_an_error_of_the_host(tmp_path):
    with raw_server({"/": html("/a"), "/a": b"HTTP/1.1 304 Same\r\n\r\n"}) as served:
        assert by_url(crawl(what(), where(served), tmp_path))["http://help.sample/a"] == "http_error"


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({"etag": '"1"', "last-modified": "x"}, [("If-None-Match", '"1"'), ("If-Modified-Since", "x")]),
        ({"etag": "\x1b[31m"}, []),
        ({"etag": "x" * 5000, "last-modified": "中"}, []),
        ({}, []),
    ],
)
def test_validators_are_sent_on_where_they_are_plain(headers, sent):
    assert validators(Head(200, headers)) == sent
