"""JSON lines and JSON files: one document an object, as text."""

import json
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from corpus.configuration import Doc, FileRef, configuration
from corpus.sources.capture import Capture, Entry, Piece
from corpus.sources.files import COMPRESSED, Format, grouped, listed, read_files
from corpus.sources.rows import RowFields
from corpus.sources.streams import CorruptError, EndError, Stream, open_stream

_LINES = (".jsonl", ".ndjson")
_ENDS = ("", ".gz", ".zst", ".xz", ".bz2")
_VALUES = tuple(f".json{end}" for end in _ENDS)
FORMAT = Format("jsonl", (*(f"{name}{end}" for name in _LINES for end in _ENDS), *_VALUES), COMPRESSED)
RANGE = 32 << 20  # an uncompressed file of lines is cut into pieces of this size, on line ends
_DECODER = json.JSONDecoder()
_BETWEEN = re.compile(r"[\s,]*")


@configuration
class JsonlSource(RowFields):
    """Objects of .jsonl, .ndjson and .json files, plain, .gz, .zst, .xz or .bz2; no HTML is parsed."""

    version: ClassVar[int] = 1

    kind: Literal["jsonl"] = "jsonl"
    path: Annotated[FileRef, Doc("folder, or one file")]
    max_file_bytes: Annotated[
        int, Field(ge=1), Doc("larger .json files are dropped as too_large, since they are read whole; lines are not")
    ] = 1 << 30

    def pieces(self) -> list[Piece]:
        """Byte ranges of 32 MiB of each file of lines; a compressed file and a .json file are one piece."""
        root = self.path.resolve()
        entries = listed(root, FORMAT)
        pieces: list[Piece] = []
        for entry in entries:
            if entry.error is not None:
                continue
            step = RANGE if entry.path.lower().endswith(_LINES) else max(entry.bytes, 1)
            for start in range(0, max(entry.bytes, 1), step):
                stop = min(start + step, entry.bytes)
                pieces.append(Piece(f"{entry.name}@{start}-{stop}", root, (entry,), stop - start, start, stop))
        left = [entry for entry in entries if entry.error is not None]
        return pieces + (grouped(root, left) if left else [])

    def read(self, piece: Piece) -> Iterator[Capture]:
        """One capture a line that is not blank, or a value of a .json file.

        Reasons besides those of a row: `bad_json`, `zero_bytes`, `truncated_record` and `corrupt_record` for what
        is left of a compressed file after damage.
        """

        def read(path: Path, entry: Entry) -> Iterator[Capture]:
            if path.stat().st_size:
                with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    yield from self._objects(data, entry, piece)

        return read_files(piece, FORMAT, read)

    def _objects(self, data: mmap.mmap, entry: Entry, piece: Piece) -> Iterator[Capture]:
        stream, start, stop = open_stream(data, 0), piece.start, piece.stop
        offset = start
        try:
            if entry.path.lower().endswith(_LINES) and type(stream) is Stream:
                if start:  # the line that runs into this range belongs to the piece it starts in
                    start = data.find(b"\n", start - 1, stop or len(data)) + 1
                    if not start:
                        return
                    stream = Stream(data, start)
            elif not entry.path.lower().endswith(_VALUES) or _begins_with_line(stream, self.max_bytes):
                stop = None
            else:
                yield from self._values(stream, entry)
                return
            for offset, line in _split(stream, start, stop, self.max_bytes):
                record = f"{entry.name}@{offset}"
                if line is None:
                    yield Capture(record=record, error="too_large", detail=f"a line over {self.max_bytes} bytes")
                elif line.strip():
                    yield self._line(line, record)
        except (EndError, CorruptError) as error:
            reason = "truncated_record" if isinstance(error, EndError) else "corrupt_record"
            yield Capture(record=f"{entry.name}@after-{offset}", error=reason, detail=str(error))

    def _line(self, line: bytes, record: str) -> Capture:
        if not line.strip(b"\0\r\n"):
            return Capture(record=record, error="zero_bytes", detail=f"{len(line)} bytes of zero")
        try:
            return self._value(json.loads(line), record, line)
        except (ValueError, RecursionError) as error:
            detail = f"{type(error).__name__}: {error}"[:300]
            return Capture(record=record, payload=line, error="bad_json", detail=detail)

    def _value(self, value: Any, record: str, line: bytes = b"") -> Capture:  # noqa: ANN401 - any JSON
        if isinstance(value, dict):
            return self.capture(value, record, line)
        return Capture(record=record, payload=line, error="bad_json", detail=f"a {type(value).__name__}, not an object")

    def _values(self, stream: Stream, entry: Entry) -> Iterator[Capture]:
        """The objects of a file that holds one, a list of them, or one after another."""
        while len(stream.buffer) <= self.max_file_bytes and stream.fill():
            pass
        if len(stream.buffer) > self.max_file_bytes:
            detail = f"over {self.max_file_bytes} bytes (max_file_bytes): JSON lines are read in pieces"
            yield Capture(record=entry.name, error="too_large", detail=detail)
            return
        try:
            text = stream.buffer.decode(json.detect_encoding(stream.buffer)).lstrip("\ufeff").strip()
        except UnicodeDecodeError as error:
            yield Capture(record=entry.name, error="bad_unicode", detail=str(error)[:300])
            return
        is_list, closed = text.startswith("["), text.endswith("]")
        at, end = int(is_list), len(text) - (is_list and closed)
        while (at := _skipped(text, at)) < end:
            record = f"{entry.name}@{at}"
            try:
                value, stop = _DECODER.raw_decode(text, at)
            except (ValueError, RecursionError) as error:
                rest = f"{type(error).__name__}: {error}; {len(text) - at} characters are left"
                yield Capture(record=record, error="bad_json", detail=rest[:300])
                return
            yield self._value(value, record, text[at:stop].encode("utf-8", "replace"))
            at = stop
        if is_list and not closed:
            yield Capture(record=f"{entry.name}@{at}", error="bad_json", detail="a list without an end")


def _skipped(text: str, at: int) -> int:
    found = _BETWEEN.match(text, at)
    return found.end() if found else at


def _split(stream: Stream, start: int, stop: int | None, most: int) -> Iterator[tuple[int, bytes | None]]:
    """Offset and bytes of each line that starts before `stop`; None for a line over `most` bytes."""
    offset, scanned, passed = start, 0, 0  # passed: bytes of a long line that are let go
    while stop is None or offset < stop:
        end = stream.buffer.find(b"\n", scanned)
        if end >= 0:
            line = stream.drop(end + 1)
            yield offset, line if passed + end <= most else None
            offset, scanned, passed = offset + passed + end + 1, 0, 0
            continue
        scanned = len(stream.buffer)
        if passed + scanned > most:
            stream.drop(scanned)
            passed, scanned = passed + scanned, 0
        beyond = stop is not None and passed and offset + passed >= stop
        if beyond or not stream.fill():
            if passed or stream.buffer:
                yield offset, None if passed else stream.drop(scanned)
            return


def _begins_with_line(stream: Stream, most: int) -> bool:
    """Whether the first line is an object by itself."""
    while b"\n" not in stream.buffer and len(stream.buffer) <= most and stream.fill():
        pass
    first = stream.peek(most).partition(b"\n")[0]
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False
