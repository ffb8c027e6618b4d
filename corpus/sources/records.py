"""WARC and ARC records out of a file that may be broken anywhere.

FastWARC 2.0.1 reads no further than the first damage, and some damaged gzip members make it loop without end
while its memory grows, so the framing is done here; zlib and zstandard decompress. Time is linear in the file's
bytes and in those they decompress to, whatever lengths its headers claim.
"""

import mmap
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from corpus.sources.streams import CorruptError, EndError, GzipStream, Stream, open_stream

_HEADER = 64 << 10  # bytes a record's header may take
_KEPT = 4 << 10  # bytes of a broken record that are kept: its id hashes them
_BLANK = re.compile(rb"[\r\n]*")
_LENGTH = re.compile(r"[0-9]{1,15}")
# An ARC header (version 1 or 2): URL, IP address, date, content type, perhaps more, length.
_ARC = re.compile(
    rb"([a-z][a-z0-9+.\-]*:[^ \r\n]{1,8192}) [0-9a-fA-F.:]{1,45} [0-9]{8,20} ([^ \r\n]{1,255}) "
    rb"(?:[^ \r\n]{1,255} ){0,6}(-?[0-9]{1,15})\r?\n"
)
_START = re.compile(rb"[\n\0](?=WARC/1\.|" + _ARC.pattern + rb")")


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it stands in the file; `at` is the offset of it, or of the gzip member it starts in.

    Fields of an ARC record bear WARC's names, its type is `arc`. `problem` is the reason of a record that could not
    be read whole. `block` is empty for one over the limit.
    """

    at: int
    headers: Mapping[str, str]
    block: bytes
    problem: str | None = None
    detail: str = ""


def records(data: mmap.mmap, most: int) -> Iterator[Record]:
    """All records of a file; after a broken one, on from the next that can be found.

    Blocks over `most` bytes are passed over with problem `too_large`.
    """
    start: int | None = 0
    while start is not None and start < len(data):
        broken: int | None = None
        for record in _run(open_stream(data, start), most):
            yield record
            broken = record.at if record.problem in ("truncated_record", "corrupt_record") else None
        start = None if broken is None else _next_record(data, broken + 1)


def _run(stream: Stream, most: int) -> Iterator[Record]:
    """Records up to the first broken one, which is yielded last."""
    at, headers, block = stream.at, dict[str, str](), b""
    try:
        while True:
            at, headers, block = stream.at, {}, b""
            if not _begin(stream):
                return
            at = stream.at
            headers = _head(stream)
            length = _length(headers.get("content-length", ""))
            if length > most:
                stream.skip(length)
                yield Record(at, headers, b"", "too_large", f"{length} bytes, over {most}")
                continue
            block = stream.take(length)
            yield Record(at, headers, block)
    except (EndError, CorruptError) as error:
        reason = "truncated_record" if isinstance(error, EndError) else "corrupt_record"
        yield Record(at if headers else stream.at, headers, (block or stream.peek(_KEPT))[:_KEPT], reason, str(error))


def _begin(stream: Stream) -> bool:
    """Move past empty lines to the next record; False if there is none."""
    while True:
        stream.drop(_blank(stream.buffer))
        if stream.buffer:
            if stream.buffer[0] == 0:
                raise CorruptError("zero bytes where a record should begin")
            return True
        if not stream.fill():
            return False


def _blank(buffer: bytearray) -> int:
    found = _BLANK.match(buffer)
    return found.end() if found else 0


def _head(stream: Stream) -> dict[str, str]:
    """The fields of the record that begins here; the stream moves on to its block."""
    while len(stream.buffer) < 5 and stream.fill():
        pass
    end = b"\r\n\r\n" if b"WARC/".startswith(stream.buffer[:5]) else b"\n"
    while (at := stream.buffer.find(end, 0, _HEADER)) < 0:
        if len(stream.buffer) >= _HEADER:
            raise CorruptError(f"no header ends within {_HEADER} bytes")
        if not stream.fill():
            raise EndError("the file ends within a record's header")
    head = stream.drop(at + len(end))
    return _fields(head) if end != b"\n" else _arc_fields(head)


def _length(value: str) -> int:
    if not _LENGTH.fullmatch(value):
        raise CorruptError(f"Content-Length {value[:40]!r}")
    return int(value)


def _fields(head: bytes) -> dict[str, str]:
    """Header fields by lower-case name; a continued line belongs to the one before."""
    fields: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
    return fields


def _arc_fields(head: bytes) -> dict[str, str]:
    found = _ARC.fullmatch(head)
    if found is None:
        raise CorruptError("no WARC or ARC header")
    url, kind, length = (group.decode("utf-8", "replace") for group in found.groups())
    record = "warcinfo" if url.startswith("filedesc:") else "arc"
    return {"warc-type": record, "warc-target-uri": url, "content-type": kind, "content-length": length}


def _next_record(data: mmap.mmap, start: int) -> int | None:
    """Offset of the next record, or gzip member that holds one, at `start` or after it."""
    kind = type(open_stream(data, 0))
    if kind is Stream:
        found = _START.search(data, start - 1)
        return found.start() + 1 if found else None
    if kind is not GzipStream:
        return None  # zstd frames give no offset to go on from
    while (start := data.find(GzipStream.MAGIC, start)) >= 0:
        try:
            head = zlib.decompressobj(31).decompress(data[start : start + 1024], 1024)
        except zlib.error:
            head = b""  # these three bytes stood within compressed data
        if head.startswith(b"WARC/") or _ARC.match(head):
            return start
        start += 1
    return None
