"""A folder of plain text and Markdown: a book, a repository's notes, a file a document."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from corpus.configuration import Doc, FileRef, configuration
from corpus.sources.capture import Capture, Entry, Piece
from corpus.sources.files import COMPRESSED, Format, grouped, listed, read_files
from corpus.sources.whole import decoded

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
        kind = "text/markdown" if any(end in path.suffixes for end in _NAMES[2:]) else "text/plain"
        yield decoded(path, entry, self.max_bytes, self.charset, self.max_replaced, kind, self.language)
