"""WARC records out of a file that may be broken anywhere.

FastWARC 2.0.1 reads no further than the first damage, and some damaged gzip members make it loop without end
while its memory grows, so the framing is done here; zlib decompresses.
"""

import mmap
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_GZIP = b"\x1f\x8b\x08"
_PIECE = 1 << 18
_HEADER = 64 << 10  # bytes a record's header may take
_KEPT = 1 << 20  # bytes of a broken record that are kept: its id hashes them


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it stands in the file; `at` is the offset of it, or of the gzip member it starts in.

    `problem` is the reason of a record that could not be read whole. `block` is empty for one over the limit.
    """

    at: int
    headers: Mapping[str, str]
    block: bytes
    length: int
    problem: str | None = None
    detail: str = ""


class _EndError(Exception):
    """The file ends within a record."""


class _CorruptError(Exception):
    """Bytes that are no WARC record, or no gzip."""


class _Stream:
    """The bytes of a file from an offset on; those of its gzip members, one after another, if it is gzipped."""

    def __init__(self, data: mmap.mmap, start: int) -> None:
        self._data = data
        self._next = start  # first input byte not yet used
        self._buffer = bytearray()
        self._gzip = data[start : start + 3] == _GZIP
        self._inflate: zlib._Decompress | None = None
        self._rest = b""
        self._member = start
        self._silent = False  # a member has begun and given nothing yet

    @property
    def at(self) -> int:
        """Offset of what is read next, or of its gzip member."""
        return self._member if self._gzip else self._next - len(self._buffer)

    def _fill(self) -> bool:
        """More bytes into the buffer, perhaps none yet; False at the end of the file."""
        if self._gzip and self._inflate is None:
            while self._data[self._next : self._next + 1] == b"\0":  # padding between members
                self._next += 1
            head = self._data[self._next : self._next + 3]
            if not head:
                return False
            self._inflate, self._silent, self._member = zlib.decompressobj(31), True, self._next
            if not _GZIP.startswith(head):
                raise _CorruptError("no gzip member")
        piece = self._rest
        if not piece:
            piece = self._data[self._next : self._next + _PIECE]
            self._next += len(piece)
        if self._inflate is None:
            self._buffer += piece
        elif piece:
            self._decompress(self._inflate, piece)
        return bool(piece)

    def _decompress(self, inflate: "zlib._Decompress", piece: bytes) -> None:
        try:
            out = inflate.decompress(piece, _PIECE)
        except zlib.error as error:
            raise _CorruptError(str(error)) from error
        self._buffer += out
        self._silent = self._silent and not out
        self._rest = inflate.unconsumed_tail
        if inflate.eof:
            self._next -= len(inflate.unused_data)
            self._inflate, self._rest = None, b""

    def begin(self) -> bool:
        """Move to the next record; False if there is none."""
        while True:
            stripped = self._buffer.lstrip(b"\r\n\0")
            if stripped:
                self._buffer = stripped
                return True
            self._buffer.clear()
            if not self._fill():
                if self._inflate is not None and self._silent:
                    raise _EndError("the file ends within a gzip header")
                return False

    def header(self) -> bytes:
        """Up to the empty line, which is taken too."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if not b"WARC/".startswith(self._buffer[:5]) or len(self._buffer) > _HEADER:
                raise _CorruptError("no WARC header")
            if not self._fill():
                raise _EndError("the file ends within a record's header")
        head = self.take(end + 4)
        if not head.startswith(b"WARC/"):
            raise _CorruptError("no WARC header")
        return head

    def take(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end of the file."""
        while len(self._buffer) < size and self._fill():
            pass
        out = bytes(self._buffer[:size])
        del self._buffer[:size]
        return out

    def skip(self, size: int) -> int:
        """Pass over bytes without keeping them; returns how many there were."""
        left = size
        while left and (out := self.take(min(left, _PIECE))):
            left -= len(out)
        return size - left


def records(data: mmap.mmap, most: int) -> Iterator[Record]:
    """All records of a WARC file; after a broken one, on from the next that can be found.

    Blocks over `most` bytes are passed over with problem `too_large`.
    """
    start: int | None = 0
    while start is not None and start < len(data):
        broken: int | None = None
        for record in _run(data, start, most):
            yield record
            broken = record.at if record.problem in ("truncated_record", "corrupt_record") else None
        start = None if broken is None else _next_record(data, broken + 1)


def _run(data: mmap.mmap, start: int, most: int) -> Iterator[Record]:
    """Records up to the first broken one, which is yielded last."""
    stream = _Stream(data, start)
    at, headers, block = start, dict[str, str](), b""
    try:
        while True:
            at, headers, block = stream.at, {}, b""
            if not stream.begin():
                return
            at = stream.at
            headers = _headers(stream.header())
            length = headers.get("content-length", "")
            if not length.isdigit():
                raise _CorruptError(f"Content-Length {length!r}")
            large = int(length) > most
            block = b"" if large else stream.take(int(length))
            found = stream.skip(int(length)) if large else len(block)
            if found < int(length):
                raise _EndError(f"{found} of {length} bytes")
            problem, detail = ("too_large", f"over {most} bytes") if large else (None, "")
            yield Record(at, headers, block, int(length), problem, detail)
    except (_EndError, _CorruptError) as error:
        at = stream.at if not headers else at
        kept = block or bytes(data[at : at + _KEPT])
        reason = "truncated_record" if isinstance(error, _EndError) else "corrupt_record"
        yield Record(at, headers, kept[:_KEPT], len(kept), reason, str(error))


def _headers(head: bytes) -> dict[str, str]:
    """Header fields by lower-case name; a continued line belongs to the one before."""
    fields: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
    return fields


def _next_record(data: mmap.mmap, start: int) -> int | None:
    """Offset of the next WARC record, or gzip member that holds one, at `start` or after it."""
    if data[:3] != _GZIP:
        found = data.find(b"\nWARC/1.", start - 1)
        return None if found < 0 else found + 1
    while (start := data.find(_GZIP, start)) >= 0:
        try:
            if zlib.decompressobj(31).decompress(data[start : start + 1024], 8).startswith(b"WARC/"):
                return start
        except zlib.error:
            pass  # these three bytes stood within compressed data
        start += 1
    return None
