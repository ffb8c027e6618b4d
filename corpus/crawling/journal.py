"""Committed WARC segments of one host: what a crawl has, and where a killed one goes on."""

import hashlib
import os
import re
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from corpus.crawling.fetch import Response
from corpus.crawling.record import response_record, stored_response
from corpus.crawling.snapshot import SEGMENT, CrawlError, Row, table
from corpus.shard import open_shard, write_shard
from corpus.sources.http import Head

SEGMENT_BYTES = 64 << 20


def file_stem(host: str) -> str:
    """A file name for a host; hosts that differ never share one."""
    plain = re.sub(r"[^a-z0-9.-]", "_", host)
    return plain if plain == host else f"{plain}-{hashlib.sha256(host.encode()).hexdigest()[:8]}"


class Journal:
    """Appends responses to a WARC segment and commits it with its rows every `pages` responses or 64 MiB.

    A segment counts once its rows (`<host>-00000.arrow`) are there; they are renamed into place after the
    WARC, both synced. One process owns a host's journal at a time.
    """

    def __init__(self, folder: Path, host: str, pages: int = 200) -> None:
        self._folder, self._stem, self._pages = folder, file_stem(host), pages
        self._pending: list[Row] = []
        self._file: BinaryIO | None = None
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(f".{self._stem}-[0-9]*.part"):
            leftover.unlink()
        self.rows: dict[str, Row] = {}
        self._segments = 0
        while (path := self._path("arrow")).exists():
            self._load(path)
            self._segments += 1

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _path(self, suffix: str) -> Path:
        return self._folder / f"{self._stem}-{self._segments:05d}.{suffix}"

    def _part(self, suffix: str) -> Path:
        return self._folder / f".{self._stem}-{self._segments:05d}.{suffix}.part"

    def _load(self, path: Path) -> None:
        rows = [Row(**{**row, "links": tuple(row["links"])}) for row in open_shard(path).to_pylist()]
        ends = [row.offset + row.length for row in rows if row.offset is not None and row.length is not None]
        warc = path.with_suffix(".warc.gz")
        size = warc.stat().st_size if warc.exists() else None
        if ends and size != max(ends):
            state = "missing" if size is None else f"{size} bytes, not {max(ends)}"
            raise CrawlError(f"segment {warc} is {state}: remove the snapshot's folder and crawl again")
        self.rows.update({row.url: row for row in rows})

    def add(self, row: Row, response: Response | None = None) -> Row:
        """Remember an outcome; a response is written to the segment, and the row says where."""
        if response is not None:
            if self._file is None:
                self._file = self._part("warc.gz").open("wb")
            member = response_record(response)
            place = {"warc": self._path("warc.gz").name, "offset": self._file.tell(), "length": len(member)}
            self._file.write(member)
            row = Row(**{**row.columns(SEGMENT), **place})
        self._pending.append(row)
        self.rows[row.url] = row
        full = self._file is not None and self._file.tell() >= SEGMENT_BYTES
        if len(self._pending) >= self._pages or full:
            self.commit()
        return row

    def commit(self) -> None:
        """Publish what is pending as a segment; nothing if there is nothing."""
        if not self._pending:
            return
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
            self._part("warc.gz").rename(self._path("warc.gz"))
        write_shard(self._part("arrow"), [table(self._pending, SEGMENT)], SEGMENT)
        self._part("arrow").rename(self._path("arrow"))
        self._pending.clear()
        self._segments += 1

    def response(self, row: Row) -> tuple[Head, bytes]:
        """Head and body of a committed response. Raises CrawlError if its segment cannot be read."""
        path = self._folder / (row.warc or "")
        try:
            with path.open("rb") as file:
                file.seek(row.offset or 0)
                return stored_response(file.read(row.length or 0))
        except (OSError, ValueError) as error:
            raise CrawlError(
                f"segment {path}, byte {row.offset}: {error}; remove the folder and crawl again"
            ) from error
