"""What every source yields, one capture a record, broken ones included; and the pieces of work it is read by."""

import os
from dataclasses import dataclass
from pathlib import Path


class SourceError(ValueError):
    """A source that holds nothing to read."""


@dataclass(frozen=True, slots=True)
class Capture:
    """One record of a source: a page as it was served, or a text as it was stored.

    `payload` is what the document's id hashes: after transfer and content decoding, before character decoding.
    `text` is set where the record is text already, and then no HTML is parsed. `error` is the dead-letter
    reason of a record that cannot become a document. Either `url` or `record` is set.
    """

    url: str | None = None
    record: str | None = None
    payload: bytes = b""
    content_type: str | None = None
    charset: str | None = None
    status: int = 200
    declared_language: str | None = None
    title: str | None = None
    author: str | None = None
    published: str | None = None
    text: str | None = None
    error: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a source by its path within it; `error` is the dead-letter reason of one that is not read."""

    path: str
    bytes: int
    error: str | None = None
    detail: str = ""

    @property
    def name(self) -> str:
        """The path with undecodable bytes escaped."""
        return os.fsencode(self.path).decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Piece:
    """An independent piece of work: files below `root`, or of one file the bytes from `start` to `stop`.

    `name` is the same on every machine; `bytes` is for planning.
    """

    name: str
    root: Path
    entries: tuple[Entry, ...]
    bytes: int
    start: int = 0
    stop: int | None = None
