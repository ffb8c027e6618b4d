"""A folder of plain text and Markdown: a book, a repository's notes, a file a document."""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from corpus.charset import DecodingError, decode
from corpus.configuration import Doc, FileRef, configuration
from corpus.sources.capture import Capture, Entry, Piece
from corpus.sources.files import COMPRESSED, Format, grouped, listed, read_files
from corpus.sources.streams import CorruptError, EndError, open_stream

_NAMES = (".txt", ".text", ".md", ".markdown")
FORMAT = Format(
    "text", tuple(f"{name}{end}" for name in _NAMES for end in ("", ".gz", ".zst", ".xz", ".bz2")), COMPRESSED
)


@configuration
class TextSource:
    """Every .txt and .md file below a folder, plain or compressed; Markdown stays as it is written."""

    version: ClassVar[int] = 1

    kind: Literal["text"] = "text"
    path: Annotated[FileRef, Doc("folder, or one file")]
    charset: Annotated[str | None, Doc("charset the publisher declares; without it each file speaks for itself")] = None
    language: Annotated[str | None, Doc("language the publisher declares for all of it")] = None
    max_bytes: Annotated[int, Field(ge=1), Doc("larger files are dropped as too_large")] = 64 << 20
    max_replaced: Annotated[
        float, Field(ge=0, le=1), Doc("share of unreadable characters above which a file is undecodable")
    ] = 0.01

    def pieces(self) -> list[Piece]:
        """Groups of files, by relative name."""
        root = self.path.resolve()
        return grouped(root, listed(root, FORMAT))

    def read(self, piece: Piece) -> Iterator[Capture]:
        """One capture a file, known by its path in the folder.

        Reasons: `too_large`, `undecodable`, `truncated_record`, `corrupt_record`.
        """
        return read_files(piece, FORMAT, self._document)

    def wanted(self) -> str:
        """What makes a document, for a source that gave none."""
        return "files of text"

    def _document(self, path: Path, entry: Entry) -> Iterator[Capture]:
        try:
            payload = self._payload(path)
        except (EndError, CorruptError) as error:
            reason = "truncated_record" if isinstance(error, EndError) else "corrupt_record"
            yield Capture(record=entry.name, error=reason, detail=str(error))
            return
        if len(payload) > self.max_bytes:
            yield Capture(record=entry.name, error="too_large", detail=f"over {self.max_bytes} bytes")
            return
        try:
            found = decode(payload, self.charset, self.max_replaced)
        except DecodingError as error:
            yield Capture(record=entry.name, payload=payload, error="undecodable", detail=str(error))
            return
        kind = "text/markdown" if any(f"{end}" in path.suffixes for end in _NAMES[2:]) else "text/plain"
        language = self.language
        yield Capture(None, entry.name, payload, kind, found.encoding, declared_language=language, text=found.text)

    def _payload(self, path: Path) -> bytes:
        """The file's bytes, decompressed; more than `max_bytes` of a longer one."""
        if not path.stat().st_size:
            return b""
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            stream = open_stream(data, 0)
            while len(stream.buffer) <= self.max_bytes and stream.fill():
                pass
            return stream.peek(len(stream.buffer))
