"""Files that are read whole: their bytes decompressed, or as a stream that parsers read."""

import io
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corpus.charset import DecodingError, decode
from corpus.sources.capture import Capture, Entry
from corpus.sources.streams import CorruptError, EndError, Stream, open_stream


class Reader(io.RawIOBase):
    """A stream as parsers read it. Raises what the stream raises, and EndError past `most` bytes."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while (size < 0 or len(self._stream.buffer) < size) and self._stream.fill():
            pass
        held = len(self._stream.buffer)
        return self._stream.drop(held if size < 0 else min(size, held))


@contextmanager
def opened(path: Path) -> Iterator[Reader]:
    """A file that is not empty, decompressed as it is read."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield Reader(open_stream(data, 0))


def payload(path: Path, most: int) -> bytes:
    """A file's bytes, decompressed; more than `most` of a longer one. Raises EndError, CorruptError."""
    if not path.stat().st_size:
        return b""
    with opened(path) as reader:
        return reader.read(most + 1)


def damaged(record: str, error: EndError | CorruptError) -> Capture:
    """What is left of a file after damage."""
    reason = "truncated_record" if isinstance(error, EndError) else "corrupt_record"
    return Capture(record=record, error=reason, detail=str(error))


def decoded(
    path: Path,
    entry: Entry,
    most: int,
    charset: str | None = None,
    replaced: float = 0.01,
    media_type: str = "text/plain",
    language: str | None = None,
) -> Capture:
    """A text file as a capture; `language` is the declared one.

    Reasons: `too_large`, `undecodable`, `truncated_record`, `corrupt_record`.
    """
    try:
        data = payload(path, most)
    except (EndError, CorruptError) as error:
        return damaged(entry.name, error)
    if len(data) > most:
        return Capture(record=entry.name, error="too_large", detail=f"over {most} bytes")
    try:
        found = decode(data, charset, replaced)
    except DecodingError as error:
        return Capture(record=entry.name, payload=data, error="undecodable", detail=str(error))
    return Capture(None, entry.name, data, media_type, found.encoding, declared_language=language, text=found.text)
