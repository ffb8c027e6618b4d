"""What a crawl of one host writes down, as it goes."""

import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import pyarrow as pa

from corpus.crawling.exchange import Answer
from corpus.crawling.record import Kept, opening, written
from corpus.crawling.segments import SUFFIX, Segments
from corpus.crawling.snapshot import NO_PAGES, SEGMENT, SNAPSHOT, Row, table
from corpus.crawling.source import Crawl
from corpus.fault import fault_point
from corpus.shard import open_shard, write_shard

SEGMENT_BYTES = 64 << 20


class Journal(Segments):
    """Appends what became of each URL to a WARC segment: in one write, so that a kill cuts off the last URL at most.

    The segment grows as `.<host>-00000.warc.gz.part` and is renamed when it is full (`segment_pages` URLs, or 64 MiB)
    or the host is done; then its rows are written. One process owns a host's journal at a time.
    """

    def __init__(self, folder: Path, host: str, crawl: Crawl) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, host, crawl)
        self._file: BinaryIO | None = None
        self._pending: dict[str, Row] = {}
        if self._part().exists():
            self._salvage()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __contains__(self, url: str) -> bool:
        return url in self._pending or super().__contains__(url)

    @property
    def bytes(self) -> int:
        """Size of the WARC files."""
        finished: int = sum(rows["end"][-1].as_py() for rows in self.tables)
        return finished + (self._file.tell() if self._file else 0)

    @property
    def latest(self) -> datetime | None:
        """No earlier than the latest request: records hold whole seconds."""
        rows = [row.fetched_at for row in self._pending.values()]
        times = rows or [rows["fetched_at"][-1].as_py() for rows in self.tables[-1:]]
        return max((at + timedelta(seconds=1) for at in times if at is not None), default=None)

    def get(self, url: str) -> Row | None:
        """What became of a URL, if it was asked for."""
        return self._pending.get(url) or super().get(url)

    def index(self) -> pa.Table:
        """Every URL asked for (SNAPSHOT), in the order of asking."""
        return pa.concat_tables([*(rows.select(SNAPSHOT.names) for rows in self.tables), table(self._pending.values())])

    def add(self, row: Row, answer: Answer | None = None, unchanged: Kept | None = None) -> Row:
        """Remember an outcome, with the answer where it is kept (`written`); returns the row with its place."""
        if self._file is None:
            self._file = self._part().open("wb")
        if self._file.tell() == 0:
            self._file.write(opening(self.crawl.user_agent))
        records, row = written(row, answer, unchanged)
        at = self._file.tell()
        row = replace(row, end=at + len(records))
        if row.offset is not None:
            row = replace(row, warc=self.path(SUFFIX).name, offset=at + row.offset)
        self._file.write(records)
        self._file.flush()  # to the system, so that a kill loses nothing; to the disk with the segment
        fault_point("crawl:record")
        self._take(row)
        if len(self._pending) >= self.crawl.politeness.segment_pages or at + len(records) >= SEGMENT_BYTES:
            self.commit()
        return row

    def commit(self) -> None:
        """Finish the segment; nothing if there is none."""
        if self._file is None:
            return
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        self._part().rename(self.path(SUFFIX))
        fault_point("crawl:segment")
        self.pages -= sum(row.outcome not in NO_PAGES for row in self._pending.values())
        self.append(self.cache(table(self._pending.values(), SEGMENT)))
        fault_point("crawl:rows")
        self._pending.clear()

    def file(self, row: Row) -> Path:
        """Where the row's records are."""
        path = super().file(row)
        return self._part() if path == self.path(SUFFIX) else path

    def cache(self, rows: pa.Table) -> pa.Table:
        """Write the rows of the segment after the last one."""
        path = self.path(".arrow")
        temporary = path.with_name(f".{path.name}.part")
        write_shard(temporary, [rows], SEGMENT, compressed=False)
        temporary.rename(path)
        return open_shard(path)

    def _part(self) -> Path:
        return self.folder / f".{self.path(SUFFIX).name}.part"

    def _take(self, row: Row) -> None:
        self._pending[row.url] = row
        self.pages += row.outcome not in NO_PAGES

    def _salvage(self) -> None:
        """Go on with a segment that a kill left behind, from its last whole URL."""
        part = self._part()
        rows = self.read(part)
        for row in rows:
            self._take(row)
        self._file = part.open("r+b")
        self._file.truncate(rows[-1].end if rows else 0)
        self._file.seek(0, os.SEEK_END)
