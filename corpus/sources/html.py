"""A folder of HTML files: a mirror, a manual, a static site."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal
from urllib.parse import quote, urljoin

from pydantic import Field

from corpus.configuration import Doc, FileRef, configuration
from corpus.sources.capture import Capture, Item, files_below, group_files, relative_name

SUFFIXES = (".html", ".htm", ".xhtml")


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

    def items(self) -> list[Item]:
        """Groups of files, by relative name."""
        root = self.path.resolve()
        return group_files(root, files_below(root, SUFFIXES))

    def read(self, item: Item) -> Iterator[Capture]:
        """One capture a file; a file that cannot be read is a capture with reason `unreadable`."""
        for path in files_below(item.path, SUFFIXES)[item.start : item.stop]:
            name = relative_name(path, item.path)
            url: str | None = None
            record: str | None = name
            if self.base_url is not None:
                url, record = urljoin(self.base_url.rstrip("/") + "/", quote(name)), None
            if path.stat().st_size > self.max_bytes:
                yield Capture(url, record, error="too_large", detail=f"over {self.max_bytes} bytes")
                continue
            try:
                payload = path.read_bytes()
            except OSError as error:
                yield Capture(url, record, error="unreadable", detail=str(error.strerror))
                continue
            kind = "application/xhtml+xml" if path.suffix.lower() == ".xhtml" else "text/html"
            yield Capture(url, record, payload, kind, declared_language=self.language)
