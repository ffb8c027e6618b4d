"""What every source yields: one capture a record, broken ones included."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ITEM_BYTES = 512 << 20  # files are grouped into items of work of at most this size, or one file


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
    text: str | None = None
    error: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """An independent piece of work: `start` and `stop` count files below `path`, or bytes of it (JSONL).

    `name` is relative to the source and the same on every machine; `bytes` is for planning.
    """

    name: str
    path: Path
    start: int
    stop: int
    bytes: int


def relative_name(path: Path, root: Path) -> str:
    """A file's name within its source: forward slashes, and undecodable bytes escaped."""
    name = path.name if path == root else path.relative_to(root).as_posix()
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def files_below(root: Path, suffixes: Sequence[str]) -> list[Path]:
    """Files with one of the suffixes, sorted by relative name; `root` may be one file.

    Raises SourceError when there is none.
    """
    if root.is_file():
        return [root]
    found = [p for p in root.rglob("*") if p.name.lower().endswith(tuple(suffixes)) and p.is_file()]
    if not found:
        raise SourceError(f"{root} holds no file named *{', *'.join(suffixes)}: give a folder or file that does")
    return sorted(found, key=lambda path: relative_name(path, root))


def group_files(root: Path, files: Sequence[Path], most: int = ITEM_BYTES) -> list[Item]:
    """Items of consecutive files of at most `most` bytes together."""
    items: list[Item] = []
    start = total = 0
    for index, path in enumerate(files):
        size = path.stat().st_size
        if index > start and total + size > most:
            items.append(Item(f"files-{start:06d}-{index:06d}", root, start, index, total))
            start, total = index, 0
        total += size
    items.append(Item(f"files-{start:06d}-{len(files):06d}", root, start, len(files), total))
    return items
