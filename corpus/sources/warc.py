"""WARC files, whole or broken: every record is yielded, or says why not."""

import mmap
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, ClassVar, Literal

from pydantic import Field

from corpus.configuration import Doc, FileRef, configuration
from corpus.sources.capture import Capture, Item, files_below, group_files, relative_name
from corpus.sources.http import CodingError, Head, TooLargeError, decoded_body, split_message

if TYPE_CHECKING:
    from fastwarc.warc import WarcRecord

SUFFIXES = (".warc", ".warc.gz")
_RECORD = b"WARC/1."
_GZIP = b"\x1f\x8b\x08"
_HEADER = 32  # bytes: less than this at the end of a file is the start of a record, cut off
_KEPT = 1 << 20  # bytes of a broken record that its id hashes
_PIECE = 1 << 20


@configuration
class WarcSource:
    """Responses of .warc and .warc.gz files."""

    version: ClassVar[int] = 1

    kind: Literal["warc"] = "warc"
    path: Annotated[FileRef, Doc("folder, or one file")]
    max_bytes: Annotated[int, Field(ge=1), Doc("larger records are dropped as too_large")] = 64 << 20


def warc_items(root: Path) -> list[Item]:
    """Groups of WARC files, by relative name."""
    return group_files(root, files_below(root, SUFFIXES))


def read_warcs(item: Item, max_bytes: int) -> Iterator[Capture]:
    """Captures of the item's files."""
    for path in files_below(item.path, SUFFIXES)[item.start : item.stop]:
        yield from read_warc(path, relative_name(path, item.path), max_bytes)


def read_warc(path: Path, name: str, max_bytes: int) -> Iterator[Capture]:
    """Every record as a capture. After a broken one reading goes on at the next record that can be found.

    Reasons: `truncated_record`, `corrupt_record`, `revisit`, `not_response`, `http_status`, `bad_http`,
    `bad_coding`, `too_large`.
    """
    size = path.stat().st_size
    if size == 0:
        yield Capture(record=f"{name}@0", error="truncated_record", detail="an empty file")
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start: int | None = 0
        while start is not None and start < size:
            broken = yield from _run(file, data, start, name, max_bytes)
            start = None if broken is None else _next_record(data, broken + 1)


def _run(file: BinaryIO, data: mmap.mmap, start: int, name: str, most: int) -> Generator[Capture, None, int | None]:
    """Captures from byte `start` on; returns the offset of the first broken record, or None at the end."""
    from fastwarc.warc import ArchiveIterator

    file.seek(start)
    at, last = start, ""  # where the last whole record starts, and its length
    problem = ""
    try:
        for record in ArchiveIterator(file, parse_http=False, fsspec_args=False):
            # A gzip member of many records reports its own end for all but the first.
            at = position if (position := start + record.stream_pos) < len(data) else at
            last = record.headers.get("Content-Length") or ""
            block, problem = _block(record, most)
            if problem:
                yield _broken(f"{name}@{at}", "truncated_record", problem, record.headers.get("WARC-Target-URI"), block)
                return at
            yield _capture(record, block, f"{name}@{at}", most)
    except OSError as error:
        problem = str(error)
    end = _end(data, at, int(last)) if last else start
    rest = bytes(data[end : end + _KEPT])
    if not problem and not rest.strip(b"\0\r\n"):
        return None
    reason = "corrupt_record" if problem and len(rest) > _HEADER else "truncated_record"
    yield _broken(f"{name}@{end}", reason, problem or "the file ends within a record's header", None, rest)
    return end


def _block(record: "WarcRecord", most: int) -> tuple[bytes, str]:
    """The record's block, and what is wrong with it; a block over `most` bytes is left out."""
    length = record.headers.get("Content-Length")
    if length is None or not length.isdigit():
        return b"", "the record's header ends early"
    if int(length) > most:
        return b"", ""
    block = record.reader.read()
    return block, "" if len(block) == int(length) else f"{len(block)} of {length} bytes"


def _broken(record: str, reason: str, detail: str, url: str | None, payload: bytes) -> Capture:
    return Capture(url, None if url else record, payload, error=reason, detail=detail)


def _end(data: mmap.mmap, at: int, length: int) -> int:
    """Where the record or gzip member that starts at `at` ends."""
    if data[at : at + 3] != _GZIP:
        return min(data.find(b"\r\n\r\n", at) + 4 + length + 4, len(data))
    stream = zlib.decompressobj(31)
    for start in range(at, len(data), _PIECE):
        stream.decompress(data[start : start + _PIECE])
        if stream.eof:
            return min(start + _PIECE, len(data)) - len(stream.unused_data)
    return len(data)


def _next_record(data: mmap.mmap, start: int) -> int | None:
    """Offset of the next WARC record or gzip member holding one, at `start` or after it."""
    if data[:3] != _GZIP:
        found = data.find(b"\n" + _RECORD, start - 1)
        return None if found < 0 else found + 1
    while (start := data.find(_GZIP, start)) >= 0:
        try:
            if zlib.decompressobj(31).decompress(data[start : start + 1024], 8).startswith(_RECORD[:5]):
                return start
        except zlib.error:
            pass  # these three bytes stood within compressed data
        start += 1
    return None


def _capture(record: "WarcRecord", block: bytes, name: str, most: int) -> Capture:
    kind = (record.headers.get("WARC-Type") or "").lower()
    url = (record.headers.get("WARC-Target-URI") or "").strip("<> ") or None
    key = None if url else name
    if int(record.headers.get("Content-Length") or 0) > most:
        return Capture(url, key, error="too_large", detail=f"over {most} bytes")
    if kind == "revisit":
        return Capture(url, key, block, error="revisit", detail=record.headers.get("WARC-Refers-To-Target-URI") or "")
    if kind == "resource":
        head = Head(200, {"content-type": record.headers.get("Content-Type") or ""})
        return Capture(url, key, block, head.media_type, head.charset)
    if kind != "response":
        return Capture(url, key, block, error="not_response", detail=kind)
    message = split_message(block)
    if message is None:
        return Capture(url, key, block, error="bad_http", detail="no HTTP status line")
    head, body = message
    try:
        payload = decoded_body(head, body, most)
    except TooLargeError as error:
        return Capture(url, key, body, error="too_large", detail=str(error))
    except CodingError as error:
        return Capture(url, key, body, error="bad_coding", detail=str(error))
    error_reason = None if head.status == 200 else "http_status"
    detail = "" if head.status == 200 else str(head.status)
    return Capture(url, key, payload, head.media_type, head.charset, head.status, error=error_reason, detail=detail)
