"""WARC segments of one host, and their rows: what a crawl has, or had."""

import hashlib
import mmap
import re
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from corpus.crawling.outcome import Kind, answered
from corpus.crawling.record import Kept, Stored, stored
from corpus.crawling.snapshot import NO_PAGES, ROBOTS_FILE, SEGMENT, SITEMAP, SITEMAP_INDEX, CrawlError, Row, table
from corpus.crawling.source import Crawl
from corpus.shard import ShardError, open_shard

SUFFIX = ".warc.gz"
_KINDS: dict[str, Kind] = {ROBOTS_FILE: "robots", SITEMAP: "sitemap", SITEMAP_INDEX: "sitemap"}
_WAY_OUT = "remove the snapshot's folder and crawl again"


def file_stem(host: str) -> str:
    """A file name for a host; hosts that differ never share one."""
    plain = re.sub(r"[^a-z0-9.-]", "_", host)
    return plain if plain == host else f"{plain}-{hashlib.sha256(host.encode()).hexdigest()[:8]}"


class Segments:
    """The finished segments of a host: `<host>-00000.warc.gz`, and beside it its rows (SEGMENT) as an Arrow shard.

    The rows are a cache: where they are missing they are made again from the WARC.
    """

    def __init__(self, folder: Path, host: str, crawl: Crawl) -> None:
        self.folder, self.crawl = folder, crawl
        self._stem = file_stem(host)
        self._tables: list[pa.Table] = []
        self._places: dict[str, tuple[int, int]] = {}  # URL -> segment and row of it
        self.pages = 0  # URLs asked for that are no robots.txt and no sitemap
        while self.path(SUFFIX).exists() or self.path(".arrow").exists():
            self.append(self._load())

    def __contains__(self, url: str) -> bool:
        return url in self._places

    def get(self, url: str) -> Row | None:
        """What became of a URL, if it was asked for."""
        if url not in self._places:
            return None
        segment, row = self._places[url]
        (values,) = self._tables[segment].slice(row, 1).to_pylist()
        return Row(**{**values, "links": tuple(values["links"])})

    @property
    def tables(self) -> list[pa.Table]:
        """Rows of each segment (SEGMENT), in the order of asking."""
        return self._tables

    def path(self, suffix: str) -> Path:
        """A file of the segment after the last one."""
        return self.folder / f"{self._stem}-{len(self._tables):05d}{suffix}"

    def append(self, rows: pa.Table) -> None:
        """Take in the rows of the next segment."""
        number = len(self._tables)
        self._places |= {url: (number, at) for at, url in enumerate(rows["url"].to_pylist())}
        self._tables.append(rows)
        self.pages += sum(outcome not in NO_PAGES for outcome in rows["outcome"].to_pylist())

    def kept(self, row: Row) -> Kept:
        """The answer that was kept for a row. Raises CrawlError if it cannot be read."""
        path = self.file(row)
        try:
            with path.open("rb") as file:
                file.seek(row.offset or 0)
                found = next(stored(file.read((row.end or 0) - (row.offset or 0))), None)
        except OSError as error:
            raise CrawlError(f"segment {path}: {error}: {_WAY_OUT}") from error
        if found is None or found.kept is None:
            raise CrawlError(f"segment {path} is damaged at byte {row.offset}: {_WAY_OUT}")
        return found.kept

    def file(self, row: Row) -> Path:
        """Where the row's records are."""
        return self.folder / (row.warc or "")

    def read(self, warc: Path) -> list[Row]:
        """Rows that the records of the segment after the last one hold."""
        if not warc.exists() or not warc.stat().st_size:
            return []
        with warc.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return [self._row(each) for each in stored(data)]

    def cache(self, rows: pa.Table) -> pa.Table:
        """Rows that were made again, as they are to be held."""
        return rows

    def _load(self) -> pa.Table:
        """Rows of a finished segment. Raises CrawlError for one that is not as it was finished."""
        warc = self.path(SUFFIX)
        size = warc.stat().st_size if warc.exists() else None
        cached = True
        try:
            rows = open_shard(self.path(".arrow"))
        except ShardError:
            rows, cached = table(self.read(warc), SEGMENT), False
        end = rows["end"][-1].as_py() if rows.num_rows else 0
        if size != end:
            state = "missing" if size is None else f"{size} bytes, of which {end} are known"
            raise CrawlError(f"segment {warc} is {state}: {_WAY_OUT}")
        return rows if cached else self.cache(rows)

    def _row(self, each: Stored) -> Row:
        if each.kept is None:
            links = each.links
            return Row(
                each.url, each.outcome, each.detail, each.status, fetched_at=each.fetched_at, end=each.end, links=links
            )
        kept, kind = each.kept, _KINDS.get(each.outcome, "page")
        row = answered(each.url, kept.head, kept.body, each.fetched_at, self.crawl, kind)
        warc, length = self.path(SUFFIX).name, len(kept.member)
        place = replace(row, warc=warc, offset=each.offset, length=length, end=each.end)
        return replace(place, outcome=each.outcome, detail=each.detail)
