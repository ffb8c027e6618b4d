import gzip
import hashlib
import io
import socket
from collections import Counter

import pyarrow as pa
import pytest
from fastwarc.warc import ArchiveIterator

from corpus.crawling.frontier import Frontier
from corpus.crawling.host import crawl_host
from corpus.crawling.snapshot import SNAPSHOT, CrawlError, outcomes, snapshot_digest
from corpus.crawling.source import Crawl
from corpus.sample.server import serve_pages
from corpus.sources.source import pieces, read
from tests.corpus.crawling.support import by_url, crawl, page, what, where

SITE = {
    "robots.txt": b"User-agent: *\nDisallow: /private/\n",
    "index.html": page("/zh/a.html", "/en/a.html", "/faults.html"),
    "zh/a.html": page("b.html", "/en/a.html", "http://other.sample/"),
    "zh/b.html": page("a.html", "/zh/sbasic/c.html", "/zh/no.html"),
    "zh/sbasic/c.html": page(text="分块"),
    "en/a.html": page("/en/swriter/d.html", "http://[bad"),
    "en/swriter/d.html": page("/zh/%E4%BD%A0.html", "/zh/你.html"),
}
OUTCOMES = {
    "fetched": 9,
    "http_404": 3,
    "malformed_url": 1,
    "not_html": 1,
    "out_of_scope": 2,
    "redirect": 7,
    "robots_disallowed": 1,
    "robots_file": 1,
    "too_many_redirects": 1,
}
KINDS = ("warcinfo", "request", "response", "metadata")
NEVER_ASKED = ("malformed_url", "out_of_scope", "robots_disallowed", "too_many_redirects")


@pytest.fixture(scope="module")
def served():
    with serve_pages(SITE) as running:
        yield running


@pytest.fixture(scope="module")
def crawled(served, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crawl")
    return folder, crawl(what(), where(served), folder)


def test_every_url_ends_in_one_outcome(crawled):
    _, index = crawled
    assert outcomes(index) == OUTCOMES
    urls = index["url"].to_pylist()
    assert urls == sorted(urls) and len(set(urls)) == len(urls)
    found = by_url(index)
    assert found["http://help.sample/flaky.html"] == "fetched"  # 500 first
    assert found["http://help.sample/private/notes.html"] == "robots_disallowed"
    assert found["http://help.sample/moved/6.html"] == "too_many_redirects"
    assert found["http://help.sample/zh/%E4%BD%A0.html"] == "http_404"  # one URL, written in two ways
    assert found["http://[bad"] == "malformed_url"


def test_records_are_read_by_other_readers_and_offsets_lead_to_them(crawled):
    folder, index = crawled
    rows = [row for row in index.to_pylist() if row["warc"]]
    for row in rows:
        data = (folder / row["warc"]).read_bytes()
        member = io.BytesIO(data[row["offset"] : row["offset"] + row["length"]])
        record = next(iter(ArchiveIterator(member, parse_http=False, fsspec_args=False)))
        block = record.reader.read()
        assert record.headers["WARC-Target-URI"] == row["url"]
        assert record.headers["WARC-Block-Digest"] == f"sha256:{hashlib.sha256(block).hexdigest()}"
        body = block.partition(b"\r\n\r\n")[2]
        assert record.headers["WARC-Payload-Digest"] == f"sha256:{hashlib.sha256(body).hexdigest()}"
        assert block.startswith(b"HTTP/1.1 %d " % row["status"])
    records = [r.headers for f in sorted(folder.glob("*.warc.gz")) for r in ArchiveIterator(str(f), parse_http=False)]
    by_kind = {kind: [r.get("WARC-Target-URI") for r in records if r["WARC-Type"] == kind] for kind in KINDS}
    assert len(by_kind["warcinfo"]) == 1 and sum(map(len, by_kind.values())) == len(records)
    asked = {url for url, outcome in by_url(index).items() if outcome not in NEVER_ASKED}
    assert sorted(by_kind["metadata"]) == sorted(asked)
    assert sorted(by_kind["request"]) == sorted(by_kind["response"]) == sorted(row["url"] for row in rows)
    assert {r["WARC-Date"] for r in records if r.get("WARC-Target-URI") == rows[0]["url"]} == {
        f"{rows[0]['fetched_at']:%Y-%m-%dT%H:%M:%SZ}"
    }
    (segment,) = folder.glob("*.warc.gz")
    text = gzip.decompress(segment.read_bytes())
    assert b"\r\nTransfer-Encoding" not in text and b"GET /zh/a.html HTTP/1.1\r\nHost: help.sample\r\n" in text


def test_the_snapshot_is_a_source(crawled):
    folder, _ = crawled
    found = [capture for piece in pieces(what(), folder) for capture in read(what(), piece)]
    assert Counter(c.error for c in found) == {None: 9, "http_status": 10}  # pages; 404s and redirects
    page_of = {c.url: c for c in found}["http://help.sample/en/swriter/d.html"]
    assert page_of.payload == SITE["en/swriter/d.html"]  # sent gzipped
    assert {c.url: c for c in found}["http://help.sample/zh/sbasic/c.html"].payload == SITE["zh/sbasic/c.html"]


def test_the_digest_ignores_time_order_and_cutting(crawled, served, tmp_path):
    _, index = crawled
    for n, changes in enumerate(({"segment_pages": 3}, {"segment_pages": 1})):
        again = crawl(what(), where(served, **changes), tmp_path / str(n))
        assert snapshot_digest(again) == snapshot_digest(index)
        assert outcomes(again) == OUTCOMES
    changed = {**SITE, "zh/a.html": page("b.html", "/en/a.html", "http://other.sample/", text="改")}
    with serve_pages(changed) as other:
        assert snapshot_digest(crawl(what(), where(other), tmp_path / "x")) != snapshot_digest(index)


def test_a_finished_crawl_asks_nothing_again(crawled):
    folder, index = crawled
    assert crawl(what(), where("127.0.0.1:1"), folder).equals(index)  # nobody listens there


def test_scope_and_limits(served, tmp_path):
    found = by_url(crawl(what(paths=["/zh/"]), where(served), tmp_path / "paths"))
    assert found["http://help.sample/"] == "fetched"  # a seed
    assert found["http://help.sample/en/a.html"] == "out_of_scope"
    assert found["http://help.sample/zh/sbasic/c.html"] == "fetched"
    found = by_url(crawl(what(exclude=[r"/sbasic/", r"faults"]), where(served), tmp_path / "exclude"))
    assert found["http://help.sample/zh/sbasic/c.html"] == "out_of_scope"
    found = outcomes(crawl(what(max_pages=3), where(served), tmp_path / "pages"))
    assert (found["fetched"], found["page_limit"], found["robots_file"]) == (3, 7, 1)
    index = crawl(what(max_depth=1), where(served), tmp_path / "depth")
    assert by_url(index)["http://help.sample/zh/a.html"] == "fetched"
    assert by_url(index)["http://help.sample/zh/b.html"] == "too_deep"
    index = crawl(what(max_bytes=150), where(served), tmp_path / "bytes")
    assert by_url(index)["http://help.sample/faults.html"] == "too_large"
    index = crawl(what(max_redirects=0), where(served), tmp_path / "redirects")
    assert by_url(index)["http://help.sample/moved/1.html"] == "too_many_redirects"


def test_an_unreachable_seed_host_says_how_to_go_on(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(CrawlError, match=r"robots_unreachable.*site\.hosts") as error:
            crawl(what(), where(address), tmp_path)
    assert "http://help.sample/robots.txt: unreachable_host: help.sample at 127.0.0.1" in str(error.value)


def test_a_crawl_without_pages_is_an_error(tmp_path):
    with (
        serve_pages({"robots.txt": b"User-agent: *\nDisallow: /\n", "index.html": page()}) as served,
        pytest.raises(CrawlError, match=r"no page was fetched .*robots_disallowed 1"),
    ):
        crawl(what(), where(served), tmp_path)


def test_rounds_over_two_hosts_and_a_dead_one_ends_no_crawl(tmp_path):
    first = {"index.html": page("http://two.sample/x.html"), "deep.html": page("http://two.sample/y.html")}
    second = {"x.html": page("http://help.sample/deep.html"), "y.html": page("/z.html"), "z.html": page()}
    with serve_pages(first) as one, serve_pages(second, name="two.sample") as two:
        politeness, addresses = where(one)
        both = politeness, {**addresses, "two.sample": two.address}
        source = what(hosts=["help.sample", "two.sample"])
        index = crawl(source, both, tmp_path)
        assert [u for u, o in by_url(index).items() if o == "fetched"] == [
            "http://help.sample/",
            "http://help.sample/deep.html",
            "http://two.sample/x.html",
            "http://two.sample/y.html",
            "http://two.sample/z.html",
        ]
        gone = politeness, {**addresses, "two.sample": "127.0.0.1:1"}
        for seeds in (source.seeds, [*source.seeds, "http://two.sample/"]):
            found = by_url(crawl(what(hosts=source.hosts, seeds=seeds), gone, tmp_path / str(len(seeds))))
            assert found["http://two.sample/x.html"] == "robots_unreachable"  # RFC 9309: unreachable disallows all
            assert found["http://two.sample/robots.txt"] == "unreachable_host"
            assert found["http://help.sample/"] == "fetched"


def test_the_digest_is_of_every_kept_page_and_nothing_else(crawled):
    _, index = crawled
    rows = index.to_pylist()
    digest = snapshot_digest(index)
    for at, row in enumerate(rows):
        page = row["warc"] is not None and row["outcome"] != "robots_file"
        moved = {**row, "warc": row["warc"] and "x", "offset": 1, "fetched_at": None, "detail": "x"}
        assert snapshot_digest(pa.Table.from_pylist([*rows[:at], moved, *rows[at + 1 :]][::-1], SNAPSHOT)) == digest
        others = [*rows[:at], *rows[at + 1 :]]
        assert (snapshot_digest(pa.Table.from_pylist(others, SNAPSHOT)) == digest) == (not page)
        if page:
            for change in ({"url": row["url"] + "x"}, {"status": 418}, {"payload_digest": bytes(32)}):
                assert snapshot_digest(pa.Table.from_pylist([*others, {**row, **change}], SNAPSHOT)) != digest


def test_a_host_is_one_item(served, tmp_path):
    frontier = Frontier(what())
    assert frontier.hosts() == ["help.sample"]
    pages = []
    targets, job = frontier.targets("help.sample"), Crawl(what(), *where(served))
    result = crawl_host("help.sample", targets, job, tmp_path, lambda n, b: pages.append(n))
    assert result.links == () and result.index.num_rows == sum(OUTCOMES.values())
    assert sum(pages) == 20
    assert frontier.add(result.links) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"seeds": []},
        {"seeds": ["help.sample"]},
        {"seeds": ["ftp://help.sample/"]},
        {"exclude": ["("]},
        {"max_pages": 0},
        {"timeout_s": 0},
        {"user_agent": " "},
        {"user_agent": "Bot/1\r\nX: y"},
        {"unknown": 1},
    ],
)
def test_configuration_is_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        what(**wrong)
