import gzip
import hashlib
import io
import itertools
import socket
from collections import Counter

import pyarrow as pa
import pytest
from fastwarc.warc import ArchiveIterator

from corpus.crawling import journal as journal_module
from corpus.crawling.crawl import crawl
from corpus.crawling.host import crawl_host
from corpus.crawling.journal import Journal
from corpus.crawling.snapshot import SNAPSHOT, CrawlError, outcomes, snapshot_digest
from corpus.crawling.source import Politeness
from corpus.sample.server import serve_pages
from corpus.sources.source import items, read
from tests.corpus.crawling.support import by_url, page, what, where

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
    files = sorted(folder.glob("*.warc.gz"))
    read_back = [r.headers["WARC-Target-URI"] for f in files for r in ArchiveIterator(str(f))]
    assert sorted(read_back) == sorted(row["url"] for row in rows)
    assert b"\r\nTransfer-Encoding" not in gzip.decompress(files[0].read_bytes())


def test_the_snapshot_is_a_source(crawled):
    folder, _ = crawled
    found = [capture for item in items(what(), folder) for capture in read(what(), item)]
    assert Counter(c.error for c in found) == {None: 10, "http_status": 10}  # pages and robots.txt; 404s, redirects
    page_of = {c.url: c for c in found}["http://help.sample/en/swriter/d.html"]
    assert page_of.payload == SITE["en/swriter/d.html"]  # sent gzipped
    assert {c.url: c for c in found}["http://help.sample/zh/sbasic/c.html"].payload == SITE["zh/sbasic/c.html"]


def test_the_digest_ignores_time_order_and_cutting(crawled, served, tmp_path):
    _, index = crawled
    for n, changes in enumerate(({"segment_pages": 3}, {"connections": 5}, {"connections": 1})):
        again = crawl(what(), where(served, **changes), tmp_path / str(n))
        assert snapshot_digest(again) == snapshot_digest(index)
        assert outcomes(again) == OUTCOMES
    changed = {**SITE, "zh/a.html": page("b.html", "/en/a.html", "http://other.sample/", text="改")}
    with serve_pages(changed) as other:
        assert snapshot_digest(crawl(what(), where(other), tmp_path / "x")) != snapshot_digest(index)


def test_a_finished_crawl_asks_nothing_again(crawled):
    folder, index = crawled
    assert crawl(what(), where("127.0.0.1:1"), folder).equals(index)  # nobody listens there


@pytest.mark.parametrize("after", range(0, 21, 4))
def test_a_killed_crawl_goes_on(crawled, served, tmp_path, monkeypatch, after):
    _, index = crawled
    calls = itertools.count()
    add = Journal.add

    def dying(self, *args):
        if next(calls) >= after:
            raise KeyboardInterrupt
        return add(self, *args)

    monkeypatch.setattr(Journal, "add", dying)
    with pytest.raises(KeyboardInterrupt):
        crawl(what(), where(served, segment_pages=2), tmp_path)
    monkeypatch.setattr(Journal, "add", add)
    again = crawl(what(), where(served, segment_pages=2), tmp_path)
    assert snapshot_digest(again) == snapshot_digest(index)
    assert outcomes(again) == OUTCOMES
    assert not list(tmp_path.glob(".*.part"))
    seen = [r.headers["WARC-Target-URI"] for f in sorted(tmp_path.glob("*.warc.gz")) for r in ArchiveIterator(str(f))]
    assert len(seen) == len(set(seen)) == sum(row is not None for row in again["warc"].to_pylist())


def test_a_segment_renamed_without_its_rows_is_written_again(served, tmp_path, monkeypatch, crawled):
    write = journal_module.write_shard

    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal_module, "write_shard", full_disk)
    with pytest.raises(OSError, match="No space left"):
        crawl(what(), where(served), tmp_path)
    assert list(tmp_path.glob("*.warc.gz")) and not list(tmp_path.glob("*.arrow"))
    monkeypatch.setattr(journal_module, "write_shard", write)
    assert snapshot_digest(crawl(what(), where(served), tmp_path)) == snapshot_digest(crawled[1])


def test_a_damaged_segment_is_named(served, tmp_path):
    crawl(what(), where(served), tmp_path)
    (segment,) = tmp_path.glob("*.warc.gz")
    segment.write_bytes(segment.read_bytes()[:-1])
    with pytest.raises(CrawlError, match=r"help\.sample-00000\.warc\.gz is \d+ bytes, not \d+: remove"):
        crawl(what(), where(served), tmp_path)
    segment.unlink()
    with pytest.raises(CrawlError, match="is missing"):
        crawl(what(), where(served), tmp_path)


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
        with pytest.raises(CrawlError) as error:
            crawl(what(), where(address), tmp_path)
    assert (
        "'help.sample'" in str(error.value) and address in str(error.value) and "start its server" in str(error.value)
    )


def test_a_crawl_without_pages_is_an_error(tmp_path):
    with (
        serve_pages({"robots.txt": b"User-agent: *\nDisallow: /\n", "index.html": page()}) as served,
        pytest.raises(CrawlError, match=r"no page was fetched, outcomes .*robots_disallowed"),
    ):
        crawl(what(), where(served), tmp_path)


def test_rounds_over_two_hosts(tmp_path):
    first = {"index.html": page("http://two.sample/x.html"), "deep.html": page("http://two.sample/y.html")}
    second = {"x.html": page("http://help.sample/deep.html"), "y.html": page("/z.html"), "z.html": page()}
    with serve_pages(first) as one, serve_pages(second, name="two.sample") as two:
        both = where(one, hosts={"help.sample": one.address, "two.sample": two.address})
        index = crawl(what(hosts=["help.sample", "two.sample"]), both, tmp_path)
        assert [u for u, o in by_url(index).items() if o == "fetched"] == [
            "http://help.sample/",
            "http://help.sample/deep.html",
            "http://two.sample/x.html",
            "http://two.sample/y.html",
            "http://two.sample/z.html",
        ]
        gone = where(one, hosts={"help.sample": one.address, "two.sample": "127.0.0.1:1"})
        index = crawl(what(hosts=["help.sample", "two.sample"]), gone, tmp_path / "gone")
        assert by_url(index)["http://two.sample/x.html"] == "robots_disallowed"  # RFC 9309: unreachable disallows all


def test_the_digest_is_of_every_stored_response_and_nothing_else(crawled):
    _, index = crawled
    rows = index.to_pylist()
    digest = snapshot_digest(index)
    for at, row in enumerate(rows):
        moved = {**row, "warc": row["warc"] and "x", "offset": 1, "fetched_at": None, "outcome": "x", "detail": "x"}
        assert snapshot_digest(pa.Table.from_pylist([*rows[:at], moved, *rows[at + 1 :]][::-1], SNAPSHOT)) == digest
        others = [*rows[:at], *rows[at + 1 :]]
        assert (snapshot_digest(pa.Table.from_pylist(others, SNAPSHOT)) == digest) == (row["warc"] is None)
        if row["warc"] is not None:
            for change in ({"url": row["url"] + "x"}, {"status": 418}, {"payload_digest": bytes(32)}):
                assert snapshot_digest(pa.Table.from_pylist([*others, {**row, **change}], SNAPSHOT)) != digest


def test_a_host_is_one_item(served, tmp_path):
    from corpus.crawling.frontier import Frontier

    frontier = Frontier(what())
    assert frontier.hosts() == ["help.sample"]
    pages = []
    result = crawl_host(
        "help.sample", frontier.targets("help.sample"), what(), where(served), tmp_path, lambda n, b: pages.append(n)
    )
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
        {"unknown": 1},
    ],
)
def test_configuration_is_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        what(**wrong)
    with pytest.raises(ValueError, match="host:port"):
        Politeness(hosts={"a": "127.0.0.1"})
