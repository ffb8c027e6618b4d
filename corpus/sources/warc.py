"""WARC, WET and ARC files, whole or broken: every record is yielded, or says why not."""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from corpus.configuration import Doc, FileRef, configuration
from corpus.sources.capture import Capture, Entry, Piece
from corpus.sources.files import Format, grouped, listed, read_files
from corpus.sources.http import CodingError, Head, TooLargeError, decoded_body, split_message
from corpus.sources.records import Record, records

_KINDS = (".warc", ".wet", ".arc")
FORMAT = Format(
    "warc", (*_KINDS, *(f"{kind}{end}" for kind in _KINDS for end in (".gz", ".zst"))), ("WARC", "ARC", "gzip", "zstd")
)


@configuration
class WarcSource:
    """Responses of .warc and .arc files and texts of .wet files, plain, .gz or .zst."""

    version: ClassVar[int] = 1

    kind: Literal["warc"] = "warc"
    path: Annotated[FileRef, Doc("folder, or one file")]
    max_bytes: Annotated[int, Field(ge=1), Doc("larger records are dropped as too_large")] = 64 << 20

    def pieces(self) -> list[Piece]:
        """Groups of files, by relative name."""
        root = self.path.resolve()
        return grouped(root, listed(root, FORMAT))

    def read(self, piece: Piece) -> Iterator[Capture]:
        """Captures of the piece's files; broken records come with a reason."""

        def read(path: Path, entry: Entry) -> Iterator[Capture]:
            return read_warc(path, entry.name, self.max_bytes)

        return read_files(piece, FORMAT, read)

    def wanted(self) -> str:
        """What makes a document, for a source that gave none."""
        return "records of type response or resource that hold HTML, or of type conversion that hold text"


def read_warc(path: Path, name: str, max_bytes: int) -> Iterator[Capture]:
    """Every record as a capture. After a broken one reading goes on at the next record that can be found.

    Reasons: `truncated_record`, `corrupt_record`, `revisit`, `not_response`, `http_status`, `bad_http`,
    `bad_coding`, `bad_record`, `too_large`.
    """
    seen = False
    if path.stat().st_size:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for record in records(data, max_bytes):
                seen = True
                yield _capture(record, name, max_bytes)
    if not seen:
        yield Capture(record=f"{name}@0", error="truncated_record", detail="a file without a record")


def _capture(record: Record, name: str, most: int) -> Capture:
    """The record's capture, whatever its bytes make the reading raise."""
    url = record.headers.get("warc-target-uri", "").strip("<> ") or None
    key = None if url else f"{name}@{record.at}"
    if record.problem is not None:
        return Capture(url, key, record.block, error=record.problem, detail=record.detail)
    try:
        return _content(record, url, key, most)
    except TooLargeError as error:
        return Capture(url, key, record.block, error="too_large", detail=str(error))
    except CodingError as error:
        return Capture(url, key, record.block, error="bad_coding", detail=str(error))
    except Exception as error:  # noqa: BLE001 - one record's bytes may not end the stage; nothing of it is lost
        detail = f"{type(error).__name__}: {error}"[:300]
        return Capture(url, key, record.block, error="bad_record", detail=detail)


def _content(record: Record, url: str | None, key: str | None, most: int) -> Capture:
    headers, block = record.headers, record.block
    kind = headers.get("warc-type", "").lower()
    named = Head(200, {"content-type": headers.get("content-type", "")})
    if kind == "revisit":
        return Capture(url, key, block, error="revisit", detail=headers.get("warc-refers-to-target-uri", ""))
    if kind == "resource":
        return Capture(url, key, block, named.media_type, named.charset)
    if kind == "conversion" and named.media_type == "text/plain":
        return Capture(url, key, block, named.media_type, "utf-8", text=block.decode("utf-8", "replace"))
    if kind not in ("response", "arc"):
        return Capture(url, key, block, error="not_response", detail=kind)
    message = split_message(block)
    if message is None and kind == "arc":  # what was not fetched by HTTP stands without a status line
        return Capture(url, key, block, named.media_type, named.charset)
    if message is None:
        return Capture(url, key, block, error="bad_http", detail="no HTTP status line")
    head, body = message
    payload = decoded_body(head, body, most)
    reason, detail = (None, "") if head.status == 200 else ("http_status", str(head.status))
    return Capture(url, key, payload, head.media_type, head.charset, head.status, error=reason, detail=detail)
