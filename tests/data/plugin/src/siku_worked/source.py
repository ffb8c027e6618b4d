"""A folder of Markdown notes: each file a document, its first heading the title."""

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from corpus.configuration import Doc, FileRef, configuration
from corpus.sources.capture import Capture, Item, files_below, group_files, relative_name

SUFFIXES = (".md", ".markdown")
_HEADING = re.compile(r"^#+[ \t]+(.+?)[ \t#]*$", re.M)


@configuration
class MarkdownSource:
    """Every .md and .markdown file below a folder, in UTF-8."""

    version: ClassVar[int] = 1

    kind: Literal["markdown"] = "markdown"
    path: Annotated[FileRef, Doc("folder, or one file")]

    def items(self) -> list[Item]:
        """Groups of files, by relative name."""
        root = self.path.resolve()
        return group_files(root, files_below(root, SUFFIXES))

    def read(self, item: Item) -> Iterator[Capture]:
        """One capture a file; a file that is not UTF-8 has the reason `bad_unicode`."""
        for path in files_below(item.path, SUFFIXES)[item.start : item.stop]:
            record, payload = relative_name(path, item.path), path.read_bytes()
            try:
                text = payload.decode()
            except UnicodeDecodeError as error:
                yield Capture(record=record, payload=payload, error="bad_unicode", detail=f"at byte {error.start}")
                continue
            heading = _HEADING.search(text)
            title = heading[1] if heading else None
            yield Capture(record=record, payload=payload, content_type="text/markdown", title=title, text=text)
