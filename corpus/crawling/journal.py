"""What a crawl of one host has: WARC segments, and the rows that go with them."""

import hashlib
import mmap
import os
import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import pyarrow as pa

from corpus.crawling.exchange import Answer
from corpus.crawling.outcome import answered
from corpus.crawling.record import Stored, opening, stored, written
from corpus.crawling.snapshot import ROBOTS_FILE, SEGMENT, SNAPSHOT, CrawlError, Row, table
from corpus.crawling.source import Crawl
from corpus.fault import fault_point
from corpus.shard import ShardError, open_shard, write_shard
from corpus.sources.http import Head

SEGMENT_BYTES = 64 << 20
SUFFIX = ".warc.gz"


def file_stem(host: str) -> str:
    """A file name for a host; hosts that differ never share one."""
    plain = re.sub(r"[^a-z0-9.-]", "_", host)
    return plain if plain == host else f"{plain}-{hashlib.sha256(host.encode()).hexdigest()[:8]}"


class Journal:
    """Appends what became of each URL to a WARC segment: in one write, so that a kill cuts off the last URL at most.

    The segment grows as `.<host>-00000.warc.gz.part` and is renamed when it is full (`segment_pages` URLs, or 64 MiB)
    or the host is done. Its rows lie beside it as an Arrow shard (SEGMENT). That is a cache: it is made again from
    the WARC where a kill came between the two. One process owns a host's journal at a time.
    """

    def __init__(self, folder: Path, host: str, crawl: Crawl) -> None:
        self._folder, self._stem, self._crawl = folder, file_stem(host), crawl
        self._file: BinaryIO | None = None
        self._pending: dict[str, Row] = {}
        self._segments: list[pa.Table] = []
        self._places: dict[str, tuple[int, int]] = {}  # URL -> segment and row of it
        self._robots = 0
        folder.mkdir(parents=True, exist_ok=True)
        while self._path(SUFFIX).exists() or self._path(".arrow").exists():
            self._keep(self._load())
        if self._part().exists():
            self._salvage()
        self._robots = self.index()["outcome"].to_pylist().count(ROBOTS_FILE)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __contains__(self, url: str) -> bool:
        return url in self._pending or url in self._places

    @property
    def pages(self) -> int:
        """URLs asked for, robots.txt aside."""
        return len(self._pending) + len(self._places) - self._robots

    @property
    def latest(self) -> datetime | None:
        """No earlier than the latest request: records hold whole seconds."""
        rows = [row.fetched_at for row in self._pending.values()]
        times = rows or [segment["fetched_at"][-1].as_py() for segment in self._segments[-1:]]
        return max((at + timedelta(seconds=1) for at in times if at is not None), default=None)

    def get(self, url: str) -> Row | None:
        """What became of a URL, if it was asked for."""
        if url in self._pending or url not in self._places:
            return self._pending.get(url)
        segment, row = self._places[url]
        (values,) = self._segments[segment].slice(row, 1).to_pylist()
        return Row(**{**values, "links": tuple(values["links"])})

    def index(self) -> pa.Table:
        """Every URL asked for (SNAPSHOT), in the order of asking."""
        parts = [segment.select(SNAPSHOT.names) for segment in self._segments]
        return pa.concat_tables([*parts, table(self._pending.values())])

    def add(self, row: Row, answer: Answer | None = None) -> Row:
        """Remember an outcome, with the answer where it is kept; returns the row with its place."""
        if self._file is None:
            self._file = self._part().open("wb")
        if self._file.tell() == 0:
            self._file.write(opening(self._crawl.user_agent))
        records, row = written(row, answer)
        at = self._file.tell()
        row = replace(row, end=at + len(records))
        if row.offset is not None:
            row = replace(row, warc=self._path(SUFFIX).name, offset=at + row.offset)
        self._file.write(records)
        self._file.flush()  # to the system, so that a kill loses nothing; to the disk with the segment
        self._pending[row.url] = row
        self._robots += row.outcome == ROBOTS_FILE
        if len(self._pending) >= self._crawl.politeness.segment_pages or at + len(records) >= SEGMENT_BYTES:
            self.commit()
        return row

    def commit(self) -> None:
        """Finish the segment; nothing if there is none."""
        if self._file is None:
            return
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        self._part().rename(self._path(SUFFIX))
        fault_point("crawl:segment")
        self._keep(self._cache(table(self._pending.values(), SEGMENT)))
        self._pending.clear()

    def answer(self, row: Row) -> tuple[Head, bytes]:
        """Head and body of the answer that was kept for a row. Raises CrawlError if they cannot be read."""
        path = self._folder / (row.warc or "")
        part = self._part() if path == self._path(SUFFIX) else path
        try:
            with part.open("rb") as file:
                file.seek(row.offset or 0)
                kept = next(stored(file.read((row.end or 0) - (row.offset or 0))), None)
        except OSError as error:
            raise CrawlError(f"segment {path}: {error}: remove the snapshot's folder and crawl again") from error
        if kept is None or kept.head is None:
            raise CrawlError(f"segment {path} is damaged at byte {row.offset}: remove its folder and crawl again")
        return kept.head, kept.body

    def _path(self, suffix: str) -> Path:
        return self._folder / f"{self._stem}-{len(self._segments):05d}{suffix}"

    def _part(self) -> Path:
        return self._folder / f".{self._path(SUFFIX).name}.part"

    def _keep(self, rows: pa.Table) -> None:
        number = len(self._segments)
        self._places |= {url: (number, at) for at, url in enumerate(rows["url"].to_pylist())}
        self._segments.append(rows)

    def _load(self) -> pa.Table:
        """Rows of a finished segment. Raises CrawlError for one that is not as it was finished."""
        warc = self._path(SUFFIX)
        size = warc.stat().st_size if warc.exists() else None
        cached = True
        try:
            rows = open_shard(self._path(".arrow"))
        except ShardError:
            rows, cached = table(self._read(warc), SEGMENT), False
        end = rows["end"][-1].as_py() if rows.num_rows else 0
        if size != end:
            state = "missing" if size is None else f"{size} bytes, of which {end} are known"
            raise CrawlError(f"segment {warc} is {state}: remove the snapshot's folder and crawl again")
        return rows if cached else self._cache(rows)

    def _salvage(self) -> None:
        """Go on with a segment that a kill left behind, from its last whole URL."""
        part = self._part()
        rows = self._read(part)
        self._pending = {row.url: row for row in rows}
        self._file = part.open("r+b")
        self._file.truncate(rows[-1].end if rows else 0)
        self._file.seek(0, os.SEEK_END)

    def _cache(self, rows: pa.Table) -> pa.Table:
        path = self._path(".arrow")
        temporary = path.with_name(f".{path.name}.part")
        write_shard(temporary, [rows], SEGMENT, compressed=False)
        temporary.rename(path)
        return open_shard(path)

    def _read(self, warc: Path) -> list[Row]:
        """Rows that a segment's records hold."""
        if not warc.exists() or not warc.stat().st_size:
            return []
        with warc.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return [self._row(each) for each in stored(data)]

    def _row(self, each: Stored) -> Row:
        row = Row(each.url, each.outcome, each.detail, each.status, fetched_at=each.fetched_at, end=each.end)
        if each.head is None:
            return row
        robots = each.outcome == ROBOTS_FILE
        made = answered(
            each.url, each.head, each.body, each.fetched_at, self._crawl.what.max_decoded_bytes, robots=robots
        )
        place: dict[str, Any] = {"offset": each.offset, "length": each.length, "end": each.end}
        return replace(made, outcome=each.outcome, detail=each.detail, warc=self._path(SUFFIX).name, **place)
