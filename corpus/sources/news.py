"""News out of WARC files by URL and date: a host's list, and the date that a URL names (CC-News, RealNews)."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field

from corpus.configuration import Doc, FileRef, configuration
from corpus.sources.capture import Capture, Entry, Piece
from corpus.sources.files import Format, grouped, listed, read_files
from corpus.sources.warc import FORMAT as WARC
from corpus.sources.warc import read_warc

FORMAT = Format("news", WARC.suffixes, WARC.types)
# /2026/03/04/, /2026-03-04, /20260304, /2026/0304/, /2026-03/04/: as news sites write them in paths.
_DATE = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-/_.]?(0[1-9]|1[0-2]|[1-9](?=[-/_.]))[-/_.]?(0[1-9]|[12]\d|3[01]|[1-9](?!\d))(?!\d)"
)


@configuration
class NewsSource:
    """Responses of .warc files whose URL has a date, within bounds and of chosen hosts where those are given."""

    version: ClassVar[int] = 1

    kind: Literal["news"] = "news"
    path: Annotated[FileRef, Doc("folder, or one file")]
    hosts: Annotated[tuple[str, ...], Doc("hosts that are read, with those below them; empty: all")] = ()
    first: Annotated[date | None, Doc("first day that is read")] = None
    last: Annotated[date | None, Doc("last day that is read")] = None
    max_bytes: Annotated[int, Field(ge=1), Doc("larger records are dropped as too_large")] = 64 << 20

    def pieces(self) -> list[Piece]:
        """Groups of files, by relative name."""
        root = self.path.resolve()
        return grouped(root, listed(root, FORMAT))

    def read(self, piece: Piece) -> Iterator[Capture]:
        """Captures of the piece's files. Reasons besides those of `warc`: `other_host`, `undated_url`, `other_date`."""

        def read(path: Path, entry: Entry) -> Iterator[Capture]:
            return map(self._chosen, read_warc(path, entry.name, self.max_bytes))

        return read_files(piece, FORMAT, read)

    def wanted(self) -> str:
        """What makes a document, for a source that gave none."""
        of = f" of {', '.join(self.hosts)}" if self.hosts else ""
        return f"pages{of} whose URL names a day from {self.first or 'any'} to {self.last or 'any'}"

    def _chosen(self, capture: Capture) -> Capture:
        if capture.error is not None:
            return capture
        host, day = _host(capture.url or ""), day_of(capture.url or "")
        if self.hosts and not any(host == each or host.endswith(f".{each}") for each in self.hosts):
            return replace(capture, text=None, error="other_host", detail=host)
        if day is None:
            return replace(capture, text=None, error="undated_url", detail="no day in its path")
        if (self.first and day < self.first) or (self.last and day > self.last):
            return replace(capture, text=None, error="other_date", detail=day.isoformat())
        return capture


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def day_of(url: str) -> date | None:
    """The day that the path of a URL names, the first of several."""
    for year, month, day in _DATE.findall(url.partition("://")[2].partition("?")[0]):
        try:
            return date(int(year), int(month), int(day))
        except ValueError:  # no such day
            continue
    return None
