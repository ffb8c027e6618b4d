"""A crawl read as a source: the pages that its journal names, and nothing else that its WARC files hold."""

import mmap
from collections.abc import Iterator
from pathlib import Path

from corpus.crawling.record import stored
from corpus.crawling.segments import SUFFIX
from corpus.crawling.snapshot import NO_PAGES, CrawlError
from corpus.sources.capture import Capture, Piece
from corpus.sources.files import Format, grouped, listed
from corpus.sources.http import Head, decoded_body

_FORMAT = Format("crawl", (SUFFIX,), ("gzip",))


def snapshot_pieces(folder: Path) -> list[Piece]:
    """Groups of a snapshot's segments, by name; what lies beside them is no part of it."""
    return grouped(folder, [entry for entry in listed(folder, _FORMAT) if entry.error is None])


def read_snapshot(piece: Piece, max_decoded_bytes: int) -> Iterator[Capture]:
    """Captures of the piece's segments; answers that are no page have a reason, robots.txt and sitemaps are no
    captures.

    Raises CrawlError for a segment that is not whole: a crawl wrote it, and its index says what is in it.
    """
    for entry in piece.entries:
        yield from _segment(piece.root / entry.path, max_decoded_bytes)


def _segment(path: Path, max_decoded_bytes: int) -> Iterator[Capture]:
    end = 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for each in stored(data):
            end = each.end
            if each.kept is not None and each.outcome not in NO_PAGES:
                head, body = each.kept.head, each.kept.body
                yield _capture(each.url, head, decoded_body(head, body, max_decoded_bytes))
        if end != len(data):
            raise CrawlError(f"segment {path} is damaged at byte {end}: remove the snapshot's folder and crawl again")


def _capture(url: str, head: Head, payload: bytes) -> Capture:
    reason, detail = (None, "") if head.status == 200 else ("http_status", str(head.status))
    return Capture(url, None, payload, head.media_type, head.charset, head.status, error=reason, detail=detail)
