"""Kills by fault point: what the WARC holds and what the index says agree, and nothing is fetched twice."""

import itertools
import os
import subprocess
import sys
from collections import Counter

import pytest
from fastwarc.warc import ArchiveIterator

from corpus.crawling import journal as journal_module
from corpus.crawling.journal import Journal
from corpus.crawling.snapshot import CrawlError, outcomes, snapshot_digest
from corpus.sources.source import pieces, read
from tests.corpus.crawling.support import answer, by_url, crawl, html, raw, raw_server, what, where

NAMES = [f"/{n}" for n in range(9)]
ANSWERS = {
    "/": html(*NAMES),
    **{name: html(text=f"页 {name}") for name in NAMES},
    "/3": answer(b"", "Location: /0", status="302 Found"),
    "/4": raw(b""),
    "/5": answer(b"", "Content-Type: application/pdf"),
}
SOURCE = what(retries=0)


@pytest.fixture
def served():
    with raw_server(dict(ANSWERS)) as running:
        yield running


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with raw_server(dict(ANSWERS)) as running:
        return crawl(SOURCE, where(running), tmp_path_factory.mktemp("whole"))


def agrees(folder, index, whole):
    """The index is that of a crawl nobody killed; its kept answers are the WARCs' records, one each."""
    assert (snapshot_digest(index), outcomes(index)) == (snapshot_digest(whole), outcomes(whole))
    kept = {row["url"]: row for row in index.to_pylist() if row["warc"]}
    records = [(path.name, r) for path in sorted(folder.glob("*.warc.gz")) for r in ArchiveIterator(str(path))]
    responses = [(name, r.headers["WARC-Target-URI"]) for name, r in records if r.headers["WARC-Type"] == "response"]
    assert sorted(responses) == sorted((row["warc"], url) for url, row in kept.items())
    captured = Counter(capture.url for piece in pieces(SOURCE, folder) for capture in read(SOURCE, piece))
    assert captured == Counter(url for url in kept if not url.endswith("/robots.txt"))
    assert not list(folder.glob(".*.part"))


class Killed(BaseException):
    """The process ends here: nothing catches it, and what it leaves on the disk stays."""


@pytest.mark.parametrize("after", range(12))
@pytest.mark.parametrize("moment", ["before", "after", "torn"])
def test_a_crawl_killed_at_any_url_goes_on_from_it(served, tmp_path, monkeypatch, whole, after, moment):
    calls, add = itertools.count(), Journal.add

    def dying(self, *args):
        if next(calls) < after:
            return add(self, *args)
        if moment != "before":
            add(self, *args)
        if moment == "torn" and (part := self._part()).exists():
            os.truncate(part, part.stat().st_size - 7)
        raise Killed

    monkeypatch.setattr(Journal, "add", dying)
    reach = where(served, segment_pages=4)
    if after < 11:
        with pytest.raises(Killed):
            crawl(SOURCE, reach, tmp_path)
    monkeypatch.setattr(Journal, "add", add)
    agrees(tmp_path, crawl(SOURCE, reach, tmp_path), whole)
    lost = sum(count - 1 for path, count in served.counts().items())
    reused = served.counts()["/4"] - 1  # a kept connection that breaks is tried anew
    assert lost - reused <= (moment != "after")


CHILD = """
import json, sys
from pathlib import Path
from tests.corpus.crawling.support import crawl, what, where
crawl(what(retries=0), where(sys.argv[1], segment_pages=4), Path(sys.argv[2]))
"""


def test_killed_between_the_segment_and_its_rows(tmp_path, whole):
    """The index of a crawl that goes on when its host has gone says what the WARC says."""
    with raw_server(dict(ANSWERS)) as served:
        killed = subprocess.run(
            [sys.executable, "-c", CHILD, served.address, str(tmp_path)],
            env={**os.environ, "SIKU_FAULT": "crawl:segment"},
            check=False,
        )
    assert killed.returncode == -9
    assert [path.name for path in tmp_path.iterdir()] == ["help.sample-00000.warc.gz"]
    index = crawl(SOURCE, where("127.0.0.1:1", segment_pages=4), tmp_path)  # nobody listens there
    found = by_url(index)
    assert Counter(found.values()) == {"robots_file": 1, "fetched": 3, "unreachable_host": 7}
    kept = {row["url"] for row in index.to_pylist() if row["warc"]}
    captured = {capture.url for piece in pieces(SOURCE, tmp_path) for capture in read(SOURCE, piece)}
    assert captured == kept - {"http://help.sample/robots.txt"} and len(captured) == 3


def test_rows_are_made_again_from_the_warc(served, tmp_path, whole):
    reach = where(served, segment_pages=4)
    index = crawl(SOURCE, reach, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.arrow")}
    asked = len(served.asked)
    for number, path in enumerate(sorted(tmp_path.glob("*.arrow"))):
        path.unlink() if number % 2 else path.write_bytes(b"damaged")
    assert crawl(SOURCE, reach, tmp_path).equals(index)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.arrow")} == before
    assert len(served.asked) == asked
    agrees(tmp_path, index, whole)


def test_a_full_disk_is_no_outcome_of_a_page(served, tmp_path, monkeypatch, whole):
    write = journal_module.write_shard

    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal_module, "write_shard", full_disk)
    with pytest.raises(OSError, match="No space left"):
        crawl(SOURCE, where(served), tmp_path)
    monkeypatch.setattr(journal_module, "write_shard", write)
    asked = len(served.asked)
    agrees(tmp_path, crawl(SOURCE, where(served), tmp_path), whole)
    assert len(served.asked) == asked


def test_a_damaged_segment_is_named_by_crawl_and_reader(served, tmp_path):
    crawl(SOURCE, where(served), tmp_path)
    (segment,) = tmp_path.glob("*.warc.gz")
    data = segment.read_bytes()
    segment.write_bytes(data[:-1])
    with pytest.raises(CrawlError, match=r"help\.sample-00000\.warc\.gz is \d+ bytes, of which \d+ are known: remove"):
        crawl(SOURCE, where(served), tmp_path)
    for damaged in (data[:-1], data + b"\0", data[: len(data) // 2] + b"XY" + data[len(data) // 2 + 2 :]):
        segment.write_bytes(damaged)
        with pytest.raises(CrawlError, match=r"help\.sample-00000\.warc\.gz is damaged at byte \d+: remove"):
            [list(read(SOURCE, piece)) for piece in pieces(SOURCE, tmp_path)]
    segment.unlink()
    with pytest.raises(CrawlError, match="is missing"):
        crawl(SOURCE, where(served), tmp_path)


def test_the_index_is_in_order_and_complete(whole):
    assert whole["url"].to_pylist() == sorted(whole["url"].to_pylist())
    assert Counter(by_url(whole).values()) == {
        "robots_file": 1,
        "fetched": 7,
        "redirect": 1,
        "connection_lost": 1,
        "not_html": 1,
    }
