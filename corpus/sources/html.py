"""A folder of HTML files: a mirror, a manual, a static site."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import quote, urljoin

from pydantic import Field

from corpus.configuration import Doc, FileRef, configuration
from corpus.sources.capture import Capture, Entry, Piece
from corpus.sources.files import Format, grouped, listed, read_files

FORMAT = Format("html", (".html", ".htm", ".xhtml"))


@configuration
class HtmlSource:
    """Every .html, .htm and .xhtml file below a folder."""

    version: ClassVar[int] = 1

    kind: Literal["html"] = "html"
    path: Annotated[FileRef, Doc("folder, or one file")]
    base_url: Annotated[str | None, Doc("URL of the folder; without it a page is known by its path in the folder")] = (
        None
    )
    language: Annotated[str | None, Doc("language the publisher declares for all of it")] = None
    max_bytes: Annotated[int, Field(ge=1), Doc("larger files are dropped as too_large")] = 64 << 20

    def pieces(self) -> list[Piece]:
        """Groups of files, by relative name."""
        root = self.path.resolve()
        return grouped(root, listed(root, FORMAT))

    def read(self, piece: Piece) -> Iterator[Capture]:
        """One capture a file."""
        return read_files(piece, FORMAT, self._page)

    def wanted(self) -> str:
        """What makes a document, for a source that gave none."""
        return "HTML pages with text"

    def _page(self, path: Path, entry: Entry) -> Iterator[Capture]:
        url: str | None = None
        record: str | None = entry.name
        if self.base_url is not None:
            url, record = urljoin(self.base_url.rstrip("/") + "/", quote(entry.name)), None
        if path.stat().st_size > self.max_bytes:
            yield Capture(url, record, error="too_large", detail=f"over {self.max_bytes} bytes")
            return
        kind = "application/xhtml+xml" if path.suffix.lower() == ".xhtml" else "text/html"
        yield Capture(url, record, path.read_bytes(), kind, declared_language=self.language)
