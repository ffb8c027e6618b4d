"""JSON lines: one document a line, as text."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, ClassVar, Literal, cast

from pydantic import Field

from corpus.configuration import Doc, FileRef, configuration
from corpus.sources.capture import Capture, Item, files_below, relative_name

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".ndjson", ".json.gz")
RANGE = 32 << 20  # an uncompressed file is cut into items of this size, on line ends


@configuration
class JsonlSource:
    """Documents of .jsonl, .jsonl.gz and .jsonl.zst files; no HTML is parsed."""

    version: ClassVar[int] = 1

    kind: Literal["jsonl"] = "jsonl"
    path: Annotated[FileRef, Doc("folder, or one file")]
    text_field: Annotated[str, Doc("field that holds the text")] = "text"
    url_field: Annotated[str, Doc("field that holds the URL, where a line has one")] = "url"
    id_field: Annotated[str, Doc("field that names the record, where it has no URL; else its byte offset does")] = "id"
    title_field: Annotated[str, Doc("field that holds the title, where a line has one")] = "title"
    language_field: Annotated[str, Doc("field that holds the declared language")] = "language"
    max_bytes: Annotated[int, Field(ge=1), Doc("longer lines are dropped as too_large")] = 64 << 20

    def items(self) -> list[Item]:
        """Byte ranges of 32 MiB of each file; a compressed file is one item."""
        root = self.path.resolve()
        items: list[Item] = []
        for path in files_below(root, SUFFIXES):
            name, size = relative_name(path, root), path.stat().st_size
            step = size if path.suffix in (".gz", ".zst") else RANGE
            for start in range(0, size, step) if size else ():
                stop = min(start + step, size)
                items.append(Item(f"{name}@{start}-{stop}", path, start, stop, stop - start))
        return items

    def read(self, item: Item) -> Iterator[Capture]:
        """One capture a line that is not blank; a compressed file that ends early ends in `truncated_record`."""
        root = self.path.resolve()
        name = relative_name(item.path, root)
        offset = item.start
        try:
            with _open(item.path) as file:
                for offset, line in _lines(file, item, self.max_bytes):
                    record = f"{name}@{offset}"
                    if line is None:
                        yield Capture(record=record, error="too_large", detail=f"a line over {self.max_bytes} bytes")
                    elif line.strip():
                        yield _capture(self, record, line)
        except (EOFError, zlib.error, gzip.BadGzipFile, OSError) as error:
            if item.path.suffix not in (".gz", ".zst"):
                raise
            yield Capture(record=f"{name}@after-{offset}", error="truncated_record", detail=f"{error}"[:300])


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.suffix == ".zst":
        import pyarrow as pa

        return io.BufferedReader(pa.input_stream(str(path), compression="zstd"))
    return path.open("rb")


def _lines(file: BinaryIO, item: Item, most: int) -> Iterator[tuple[int, bytes | None]]:
    """Offset and bytes of each line that starts in the item's range; None for a line over `most` bytes."""
    offset = item.start
    if offset:
        # The line that runs into this range belongs to the item it starts in.
        file.seek(offset - 1)
        while True:
            skipped = file.readline(most)
            offset += len(skipped)
            if not skipped or skipped.endswith(b"\n"):
                break
        offset -= 1
    whole = item.path.suffix in (".gz", ".zst")
    while whole or offset < item.stop:
        line = file.readline(most + 1)
        if not line:
            return
        start, offset = offset, offset + len(line)
        if len(line) <= most or line.endswith(b"\n"):
            yield start, line
            continue
        while rest := file.readline(most):
            offset += len(rest)
            if rest.endswith(b"\n"):
                break
        yield start, None


def _string(row: dict[str, Any], name: str) -> str | None:
    value = row.get(name)
    return value if isinstance(value, str) and value else None


def _capture(source: JsonlSource, record: str, line: bytes) -> Capture:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Capture(record=record, payload=line, error="bad_json", detail=f"{type(error).__name__}: {error}"[:300])
    if not isinstance(row, dict):
        return Capture(record=record, payload=line, error="bad_json", detail=f"a {type(row).__name__}, not an object")
    name = row.get(source.id_field)
    url = _string(row, source.url_field)
    key = None if url else str(name) if isinstance(name, str | int) and name != "" else record
    text = row.get(source.text_field)
    if not isinstance(text, str):
        found = "no field" if text is None else f"a {type(text).__name__} in field"
        detail = f"{found} {source.text_field!r}"
        return Capture(_encodable(url), _encodable(key), payload=line, error="missing_text", detail=detail)
    try:
        payload = text.encode()
    except UnicodeEncodeError as error:
        detail = f"half a surrogate pair at character {error.start}"
        return Capture(_encodable(url), _encodable(key), payload=line, error="bad_unicode", detail=detail)
    return Capture(
        _encodable(url),
        _encodable(key),
        payload,
        "text/plain",
        "utf-8",
        declared_language=_encodable(_string(row, source.language_field)),
        title=_encodable(_string(row, source.title_field)),
        text=text,
    )


def _encodable(value: str | None) -> str | None:
    """The value with half surrogates escaped, which JSON can write and UTF-8 cannot."""
    return None if value is None else value.encode("utf-8", "backslashreplace").decode()
