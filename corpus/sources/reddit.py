"""Reddit by Pushshift: submissions and comments joined, a thread a document, comments in the order of their tree."""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from corpus.configuration import Doc, FileRef, configuration
from corpus.crawling.links import absolute
from corpus.sources.capture import Capture, Entry, Piece
from corpus.sources.files import COMPRESSED, Format, listed, read_files
from corpus.sources.streams import CorruptError, EndError
from corpus.sources.whole import damaged, opened

FORMAT = Format("reddit", (".zst", ".xz", ".bz2", ".gz", ".ndjson", ".jsonl"), COMPRESSED)
_BUCKET = 32 << 20  # bytes of files a bucket of threads: what is in memory is some 20 times as much
_GONE = frozenset(("", "[deleted]", "[removed]", "[ Removed by Reddit ]"))
_PIECE = 1 << 18
_WINDOW = 1 << 31  # Pushshift compresses with --long=31


@dataclass(slots=True)
class _Thread:
    submission: dict[str, Any] | None = None
    comments: list[dict[str, Any]] = field(default_factory=list)


@configuration
class RedditSource:
    """Threads of Pushshift's RS_ and RC_ files, in any of their compressions."""

    version: ClassVar[int] = 1

    kind: Literal["reddit"] = "reddit"
    path: Annotated[FileRef, Doc("folder with submissions and comments, or one file")]
    subreddits: Annotated[tuple[str, ...], Doc("subreddits that are read; empty: all")] = ()
    max_bytes: Annotated[int, Field(ge=1), Doc("longer lines are dropped as too_large")] = 16 << 20

    def pieces(self) -> list[Piece]:
        """Buckets of threads by their id: each reads all files, for a comment may stand months behind its thread."""
        root = self.path.resolve()
        entries = tuple(listed(root, FORMAT))
        total = sum(entry.bytes for entry in entries)
        count = max(1, -(-total // _BUCKET))
        return [
            Piece(f"threads-{at:05d}-of-{count:05d}", root, entries, total // count, at, count) for at in range(count)
        ]

    def read(self, piece: Piece) -> Iterator[Capture]:
        """One capture a thread, known by its URL; a thread whose submission is in no file has its comments alone.

        Reasons: `bad_json`, `missing_text`, `too_large`, `truncated_record`, `corrupt_record`, each told by one bucket;
        comments that were deleted are left out of their thread.
        """
        threads: dict[str, _Thread] = {}

        def read(path: Path, entry: Entry) -> Iterator[Capture]:
            yield from self._gathered(path, entry, piece, threads)

        for capture in read_files(piece, FORMAT, read):
            if piece.start == 0:
                yield capture
        for key in sorted(threads):
            yield _document(key, threads[key])

    def wanted(self) -> str:
        """What makes a document, for a source that gave none."""
        return "submissions (title, selftext) and comments (link_id, body)"

    def _gathered(self, path: Path, entry: Entry, piece: Piece, threads: dict[str, _Thread]) -> Iterator[Capture]:
        """Put the file's records of this bucket into their threads; captures of what is none."""
        offset = 0
        try:
            for offset, line in self._lines(path):
                record = f"{entry.name}@{offset}"
                if line is None:
                    yield Capture(record=record, error="too_large", detail=f"a line over {self.max_bytes} bytes")
                elif line.strip():
                    yield from self._row(line, record, piece, threads)
        except (EndError, CorruptError) as error:
            yield damaged(f"{entry.name}@after-{offset}", error)

    def _row(self, line: bytes, record: str, piece: Piece, threads: dict[str, _Thread]) -> Iterator[Capture]:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Capture(
                record=record, payload=line, error="bad_json", detail=f"{type(error).__name__}: {error}"[:300]
            )
            return
        if not isinstance(row, dict):
            yield Capture(
                record=record, payload=line, error="bad_json", detail=f"a {type(row).__name__}, not an object"
            )
            return
        comment = isinstance(row.get("link_id"), str)
        key = row["link_id"].removeprefix("t3_") if comment else row.get("id")
        if not isinstance(key, str) or not isinstance(row.get("body" if comment else "title"), str):
            yield Capture(
                record=record, payload=line, error="missing_text", detail="no id with a title, no link_id with a body"
            )
            return
        if self.subreddits and row.get("subreddit") not in self.subreddits:
            return
        if zlib.crc32(key.encode("utf-8", "replace")) % (piece.stop or 1) == piece.start:
            thread = threads.setdefault(key, _Thread())
            if comment:
                thread.comments.append(row)
            else:
                thread.submission = row

    def _lines(self, path: Path) -> Iterator[tuple[int, bytes | None]]:
        """Offset, decompressed, and bytes of each line; None for one over the limit."""
        rest, at, long = b"", 0, False
        for piece in _pieces(path):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield at, None if long or len(line) > self.max_bytes else line
                at, long = at + len(line) + 1, False
            if len(rest) > self.max_bytes:
                at, rest, long = at + len(rest), b"", True
        if rest or long:
            yield at, None if long else rest


def _pieces(path: Path) -> Iterator[bytes]:
    """The file's bytes, decompressed. Raises EndError, CorruptError."""
    if not path.stat().st_size:
        return
    with path.open("rb") as file:
        if file.read(4) == b"\x28\xb5\x2f\xfd":
            file.seek(0)
            yield from _unpacked(file)
            return
    with opened(path) as reader:
        while piece := reader.read(_PIECE):
            yield piece


def _unpacked(file: Any) -> Iterator[bytes]:  # noqa: ANN401 - an open file
    """Zstd frames whose window is larger than other readers allow."""
    import zstandard

    try:
        with zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(file, read_across_frames=True) as reader:
            while piece := reader.read(_PIECE):
                yield piece
    except zstandard.ZstdError as error:
        raise CorruptError(str(error)) from error


def _document(key: str, thread: _Thread) -> Capture:
    row = thread.submission or {}
    parts = [row.get("title"), row.get("selftext"), *_in_order(key, thread.comments)]
    text = "\n\n".join(part.strip() for part in parts if isinstance(part, str) and part.strip() not in _GONE)
    link = row.get("permalink") or next((c["permalink"] for c in thread.comments if c.get("permalink")), None)
    url = absolute("https://www.reddit.com/", link) if isinstance(link, str) and thread.submission else None
    encoded = text.encode("utf-8", "backslashreplace")
    title = row.get("title")
    return Capture(
        url, None if url else f"t3_{key}", encoded, "text/plain", "utf-8",
        title=title if isinstance(title, str) else None, text=encoded.decode(),
    )  # fmt: skip


def _in_order(key: str, comments: list[dict[str, Any]]) -> Iterator[str]:
    """Bodies depth first, siblings by time; those whose parent is missing stand as answers to the submission."""
    known = {str(comment.get("id")) for comment in comments}
    children: dict[str, list[dict[str, Any]]] = {}
    for comment in sorted(comments, key=_age, reverse=True):
        parent = str(comment.get("parent_id", "")).removeprefix("t1_")
        children.setdefault(parent if parent in known else key, []).append(comment)
    waiting, seen = children.get(key, []), set[str]()
    while waiting:
        comment = waiting.pop()
        name = str(comment.get("id"))
        if name not in seen:
            seen.add(name)
            yield comment["body"]
            waiting += children.get(name, [])
    yield from (comment["body"] for comment in reversed(comments) if str(comment.get("id")) not in seen)  # in a circle


def _age(comment: dict[str, Any]) -> tuple[float, str]:
    try:
        return float(comment.get("created_utc") or 0), str(comment.get("id"))
    except (TypeError, ValueError):
        return 0.0, str(comment.get("id"))
