"""The bytes of a file through a buffer, decompressed: plain, gzip in any number of members, zstd, xz, bzip2.

A piece of input is small where a gzip member begins and grows within it, so that a file of empty members costs what
its bytes cost.
"""

import bz2
import io
import lzma
import mmap
import zlib
from collections.abc import Callable
from typing import ClassVar

import pyarrow as pa

_PIECE = 1 << 18  # bytes read or decompressed at once
_ZSTD_PIECE = 1 << 14  # what is lost before a damage is less than one
_FIRST = 1 << 10  # bytes read at once where a gzip member begins


class EndError(Exception):
    """The file ends, or another record begins, within a record."""


class CorruptError(Exception):
    """Bytes that are no record, or not of the compression the file began with."""


class Stream:
    """An uncompressed file from an offset on; `buffer` holds what has been read and not yet taken."""

    def __init__(self, data: mmap.mmap, start: int) -> None:
        self._data = data
        self._next = start  # first byte of the file not yet in the buffer
        self.buffer = bytearray()

    @property
    def at(self) -> int:
        """Offset in the file of what is taken next."""
        return self._next - len(self.buffer)

    def fill(self) -> bool:
        """More bytes into the buffer, perhaps none yet; False at the end of the file. Raises CorruptError."""
        piece = self._data[self._next : self._next + _PIECE]
        self._next += len(piece)
        self.buffer += piece
        return bool(piece)

    def drop(self, size: int) -> bytes:
        """Take bytes that the buffer holds."""
        out = bytes(self.buffer[:size])
        del self.buffer[:size]
        return out

    def peek(self, size: int) -> bytes:
        """What of the buffer comes next."""
        return bytes(self.buffer[:size])

    def take(self, size: int) -> bytes:
        """The next `size` bytes. Raises EndError when there are fewer."""
        self._expect(size)
        while len(self.buffer) < size and self.fill():
            self._expect(size)
        if len(self.buffer) < size:
            raise EndError(f"{len(self.buffer)} of {size} bytes")
        return self.drop(size)

    def skip(self, size: int) -> None:
        """Pass over bytes without keeping them. Raises EndError when there are fewer."""
        self._expect(size)
        while size:
            step = min(size, _PIECE)
            self.take(step)
            size -= step

    def _expect(self, size: int) -> None:
        """Raise EndError if it is known already that `size` bytes are not there."""
        if size > len(self._data) - self.at:
            raise EndError(f"{len(self._data) - self.at} of {size} bytes")


class GzipStream(Stream):
    """A gzipped file: its members one after another. `at` is the offset of a member."""

    MAGIC: ClassVar[bytes] = b"\x1f\x8b\x08"

    def __init__(self, data: mmap.mmap, start: int) -> None:
        super().__init__(data, start)
        self._inflate: zlib._Decompress | None = None
        self._rest = b""
        self._member = start
        self._begins = -1  # where in the buffer the last member begins, if it does
        self._step = _FIRST

    @property
    def at(self) -> int:
        return self._member

    def fill(self) -> bool:
        if self._inflate is None:
            head = self._data[self._next : self._next + 3]
            if not head:
                return False
            self._member, self._begins, self._step = self._next, len(self.buffer), _FIRST
            if not self.MAGIC.startswith(head):
                raise CorruptError("zero bytes after a gzip member" if head[0] == 0 else "no gzip member")
            self._inflate = zlib.decompressobj(31)
        piece = self._rest
        if not piece:
            piece = self._data[self._next : self._next + self._step]
            self._next += len(piece)
            self._step = min(4 * self._step, _PIECE)
        before = len(self.buffer)
        self._decompress(self._inflate, piece)  # without input, what zlib still holds
        if not piece and self._inflate is not None and len(self.buffer) == before:
            raise EndError("the file ends within a gzip member")
        return True

    def _decompress(self, inflate: "zlib._Decompress", piece: bytes) -> None:
        try:
            self.buffer += inflate.decompress(piece, _PIECE)
        except zlib.error as error:
            raise CorruptError(str(error)) from error
        self._rest = inflate.unconsumed_tail
        if inflate.eof:
            self._next -= len(inflate.unused_data)
            self._inflate, self._rest = None, b""

    def drop(self, size: int) -> bytes:
        self._begins -= size
        return super().drop(size)

    def _expect(self, size: int) -> None:
        # A record may run over several members, but not into one that begins another record.
        if 0 <= self._begins < size and self.buffer.startswith(b"WARC/1.", self._begins):
            raise EndError(f"a record begins after {self._begins} of {size} bytes")


class _Input(io.RawIOBase):
    """The mapped file as Arrow reads it: closing this leaves the map open."""

    def __init__(self, data: mmap.mmap, start: int) -> None:
        self._data, self._next = data, start

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        out = self._data[self._next : self._next + size]
        self._next += len(out)
        return out


class ZstdStream(Stream):
    """A file of zstd frames; `at` counts decompressed bytes."""

    MAGIC: ClassVar[bytes] = b"\x28\xb5\x2f\xfd"

    def __init__(self, data: mmap.mmap, start: int) -> None:
        super().__init__(data, start)
        self._reader = pa.CompressedInputStream(pa.PythonFile(_Input(data, start), mode="r"), "zstd")
        self._read = 0

    @property
    def at(self) -> int:
        return self._read - len(self.buffer)

    def fill(self) -> bool:
        try:
            piece = self._reader.read(_ZSTD_PIECE)
        except OSError as error:
            if "Truncated" in str(error):
                raise EndError("the file ends within a zstd frame") from error
            raise CorruptError(str(error)) from error
        self._read += len(piece)
        self.buffer += piece
        return bool(piece)

    def _expect(self, size: int) -> None:
        return None


class BlockStream(Stream):
    """A file of xz streams or bzip2 streams; `at` counts decompressed bytes."""

    def __init__(
        self, data: mmap.mmap, start: int, new: Callable[[], lzma.LZMADecompressor | bz2.BZ2Decompressor]
    ) -> None:
        super().__init__(data, start)
        self._new, self._inflate, self._read = new, new(), 0

    @property
    def at(self) -> int:
        return self._read - len(self.buffer)

    def fill(self) -> bool:
        if self._inflate.eof:
            self._next -= len(self._inflate.unused_data)
            if self._next >= len(self._data):
                return False
            self._inflate = self._new()
        piece = self._data[self._next : self._next + _PIECE] if self._inflate.needs_input else b""
        if not piece and self._inflate.needs_input:
            raise EndError("the file ends within a compressed stream")
        self._next += len(piece)
        try:
            out = self._inflate.decompress(piece, _PIECE)
        except (lzma.LZMAError, OSError) as error:
            raise CorruptError(str(error)) from error
        self._read += len(out)
        self.buffer += out
        return True

    def _expect(self, size: int) -> None:
        return None


def open_stream(data: mmap.mmap, start: int) -> Stream:
    """The stream that the file's first bytes ask for."""
    if data[:3] == GzipStream.MAGIC:
        return GzipStream(data, start)
    if data[:4] == ZstdStream.MAGIC:
        return ZstdStream(data, start)
    if data[:6] == b"\xfd7zXZ\0":
        return BlockStream(data, start, lzma.LZMADecompressor)
    return BlockStream(data, start, bz2.BZ2Decompressor) if data[:3] == b"BZh" else Stream(data, start)
