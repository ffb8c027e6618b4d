"""WARC files, whole or broken: every record is yielded, or says why not."""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from corpus.configuration import Doc, FileRef, configuration
from corpus.sources.capture import Capture, Item, files_below, group_files, relative_name
from corpus.sources.http import CodingError, Head, TooLargeError, decoded_body, split_message
from corpus.sources.records import Record, records

SUFFIXES = (".warc", ".warc.gz")


@configuration
class WarcSource:
    """Responses of .warc and .warc.gz files."""

    version: ClassVar[int] = 1

    kind: Literal["warc"] = "warc"
    path: Annotated[FileRef, Doc("folder, or one file")]
    max_bytes: Annotated[int, Field(ge=1), Doc("larger records are dropped as too_large")] = 64 << 20

    def items(self) -> list[Item]:
        """Groups of files, by relative name."""
        return warc_items(self.path.resolve())

    def read(self, item: Item) -> Iterator[Capture]:
        """Captures of the item's files; broken records come with a reason."""
        return read_warcs(item, self.max_bytes)


def warc_items(root: Path) -> list[Item]:
    """Groups of WARC files, by relative name."""
    return group_files(root, files_below(root, SUFFIXES))


def read_warcs(item: Item, max_bytes: int) -> Iterator[Capture]:
    """Captures of the item's files."""
    for path in files_below(item.path, SUFFIXES)[item.start : item.stop]:
        yield from read_warc(path, relative_name(path, item.path), max_bytes)


def read_warc(path: Path, name: str, max_bytes: int) -> Iterator[Capture]:
    """Every record as a capture. After a broken one reading goes on at the next record that can be found.

    Reasons: `truncated_record`, `corrupt_record`, `revisit`, `not_response`, `http_status`, `bad_http`,
    `bad_coding`, `too_large`.
    """
    if path.stat().st_size == 0:
        yield Capture(record=f"{name}@0", error="truncated_record", detail="an empty file")
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for record in records(data, max_bytes):
            yield _capture(record, name, max_bytes)


def _capture(record: Record, name: str, most: int) -> Capture:
    headers, block = record.headers, record.block
    kind = headers.get("warc-type", "").lower()
    url = headers.get("warc-target-uri", "").strip("<> ") or None
    key = None if url else f"{name}@{record.at}"
    if record.problem is not None:
        return Capture(url, key, block, error=record.problem, detail=record.detail)
    if kind == "revisit":
        return Capture(url, key, block, error="revisit", detail=headers.get("warc-refers-to-target-uri", ""))
    if kind == "resource":
        head = Head(200, {"content-type": headers.get("content-type", "")})
        return Capture(url, key, block, head.media_type, head.charset)
    if kind != "response":
        return Capture(url, key, block, error="not_response", detail=kind)
    message = split_message(block)
    if message is None:
        return Capture(url, key, block, error="bad_http", detail="no HTTP status line")
    return _response(url, key, message[0], message[1], most)


def _response(url: str | None, key: str | None, head: Head, body: bytes, most: int) -> Capture:
    try:
        payload = decoded_body(head, body, most)
    except TooLargeError as error:
        return Capture(url, key, body, error="too_large", detail=str(error))
    except CodingError as error:
        return Capture(url, key, body, error="bad_coding", detail=str(error))
    reason, detail = (None, "") if head.status == 200 else ("http_status", str(head.status))
    return Capture(url, key, payload, head.media_type, head.charset, head.status, error=reason, detail=detail)
