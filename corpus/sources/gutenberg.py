"""Books of Project Gutenberg: the licence in front and behind cut off, title, author and language read off it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from corpus.configuration import Doc, FileRef, configuration
from corpus.sources.capture import Capture, Entry, Piece
from corpus.sources.files import COMPRESSED, Format, grouped, listed, read_files
from corpus.sources.whole import decoded

FORMAT = Format("gutenberg", tuple(f".txt{end}" for end in ("", ".gz", ".zst", ".xz", ".bz2")), COMPRESSED)
_START = re.compile(
    r"^[ \t]*(?:\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG.*?\*\*\*|\*END[ *]*THE SMALL PRINT!.*?\*END\*)[ \t]*$"
    r"|^\*END\*?THE SMALL PRINT!.*$",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_END = re.compile(
    r"^[ \t]*(?:\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG|End of (?:the )?Project Gutenberg"
    r"|\*\*\* START: FULL LICENSE)",
    re.IGNORECASE | re.MULTILINE,
)
_FIELD = re.compile(r"^(Title|Author|Language):[ \t]*(.+)$", re.MULTILINE)
_LANGUAGES = {"english": "en", "chinese": "zh", "french": "fr", "german": "de", "japanese": "ja", "latin": "la"}


@configuration
class GutenbergSource:
    """Every .txt below a folder, plain or compressed, that stands between Project Gutenberg's lines."""

    version: ClassVar[int] = 1

    kind: Literal["gutenberg"] = "gutenberg"
    path: Annotated[FileRef, Doc("folder, or one file")]
    max_bytes: Annotated[int, Field(ge=1), Doc("larger files are dropped as too_large")] = 64 << 20

    def pieces(self) -> list[Piece]:
        """Groups of files, by relative name."""
        root = self.path.resolve()
        return grouped(root, listed(root, FORMAT))

    def read(self, piece: Piece) -> Iterator[Capture]:
        """One capture a book.

        Reasons: `unframed` where the line is missing that ends the licence, `too_large`, `undecodable`,
        `truncated_record`, `corrupt_record`.
        """
        return read_files(piece, FORMAT, self._book)

    def wanted(self) -> str:
        """What makes a document, for a source that gave none."""
        return "texts behind a line *** START OF THE PROJECT GUTENBERG EBOOK ... ***"

    def _book(self, path: Path, entry: Entry) -> Iterator[Capture]:
        book = decoded(path, entry, self.max_bytes)
        if book.text is None:
            yield book
            return
        text = book.text.replace("\r\n", "\n")
        start = _START.search(text)
        if start is None:
            detail = "no line *** START OF THE PROJECT GUTENBERG EBOOK ... ***: source=text reads texts without it"
            yield replace(book, text=None, error="unframed", detail=detail)
            return
        end = _END.search(text, start.end())
        known = {name: value.strip() for name, value in _FIELD.findall(text[: start.start()])}
        language = _LANGUAGES.get(known.get("Language", "").lower())
        body = text[start.end() : end.start() if end else len(text)].strip()
        yield replace(book, text=body, title=known.get("Title"), author=known.get("Author"), declared_language=language)
