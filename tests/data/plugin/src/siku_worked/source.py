"""A folder of Markdown notes: each file a document, its first heading the title."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from corpus.configuration import Doc, FileRef, configuration
from corpus.sources.capture import Capture, Entry, Piece
from corpus.sources.files import Format, grouped, listed, read_files

FORMAT = Format("markdown", (".md", ".markdown"))
_HEADING = re.compile(r"^#+[ \t]+(.+?)[ \t#]*$", re.M)


@configuration
class MarkdownSource:
    """Every .md and .markdown file below a folder, in UTF-8."""

    version: ClassVar[int] = 1

    kind: Literal["markdown"] = "markdown"
    path: Annotated[FileRef, Doc("folder, or one file")]

    def pieces(self) -> list[Piece]:
        """Groups of files, by relative name."""
        root = self.path.resolve()
        return grouped(root, listed(root, FORMAT))

    def read(self, piece: Piece) -> Iterator[Capture]:
        """One capture a file; a file that is not UTF-8 has the reason `bad_unicode`."""
        return read_files(piece, FORMAT, self._note)

    def wanted(self) -> str:
        """What makes a document, for a source that gave none."""
        return "files of Markdown"

    def _note(self, path: Path, entry: Entry) -> Iterator[Capture]:
        payload = path.read_bytes()
        try:
            text = payload.decode()
        except UnicodeDecodeError as error:
            yield Capture(record=entry.name, payload=payload, error="bad_unicode", detail=f"at byte {error.start}")
            return
        heading = _HEADING.search(text)
        title = heading[1] if heading else None
        yield Capture(record=entry.name, payload=payload, content_type="text/markdown", title=title, text=text)
