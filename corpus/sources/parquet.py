"""Parquet and Arrow files: one document a row, as text. A Hugging Face dataset folder is read as it lies on disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pyarrow as pa

from corpus.configuration import Doc, FileRef, configuration
from corpus.sources.capture import Capture, Entry, Piece
from corpus.sources.files import Format, grouped, listed, read_files
from corpus.sources.rows import RowFields

FORMAT = Format("parquet", (".parquet", ".arrow", ".feather", ".ipc"), ("Parquet", "Arrow"))
_ROWS = 1024  # read at once


@configuration
class ParquetSource(RowFields):
    """Rows of .parquet, .arrow, .feather and .ipc files."""

    version: ClassVar[int] = 1

    kind: Literal["parquet"] = "parquet"
    path: Annotated[FileRef, Doc("folder, or one file")]

    def pieces(self) -> list[Piece]:
        """Groups of files, by relative name."""
        root = self.path.resolve()
        return grouped(root, listed(root, FORMAT))

    def read(self, piece: Piece) -> Iterator[Capture]:
        """One capture a row.

        Reasons besides those of a row: `corrupt_record` for what is left of a file after damage.
        """
        return read_files(piece, FORMAT, self._rows)

    def _rows(self, path: Path, entry: Entry) -> Iterator[Capture]:
        row = 0
        try:
            for batch in _batches(path, self.fields()):
                if self.text_field not in batch.schema.names:
                    detail = f"no column {self.text_field!r} (text_field), but {', '.join(_schema(path).names)}"
                    yield Capture(record=entry.name, error="missing_text", detail=detail[:300])
                    return
                for values in batch.to_pylist():
                    yield self.capture(values, f"{entry.name}@{row}")
                    row += 1
        except (pa.ArrowException, UnicodeDecodeError) as error:
            detail = f"{type(error).__name__}: {error}"[:300]
            yield Capture(record=f"{entry.name}@{row}", error="corrupt_record", detail=detail)


def _schema(path: Path) -> pa.Schema:
    import pyarrow.parquet as pq  # a tenth of a second that a warm plan need not wait for

    if _is_parquet(path):
        return pq.read_schema(path)
    with pa.memory_map(str(path)) as file:
        return _reader(file).schema


def _batches(path: Path, fields: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    """The named columns in batches of at most 1,024 rows; an empty file gives none."""
    import pyarrow.parquet as pq

    if _is_parquet(path):
        with pq.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if name in fields]
            yield from file.iter_batches(_ROWS, columns=names)
        return
    with pa.memory_map(str(path)) as file:
        reader = _reader(file)
        count = getattr(reader, "num_record_batches", None)
        for whole in reader if count is None else map(reader.get_batch, range(count)):
            batch = whole.select([name for name in whole.schema.names if name in fields])
            yield from (batch.slice(start, _ROWS) for start in range(0, batch.num_rows, _ROWS))


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _reader(file: pa.NativeFile) -> "pa.ipc.RecordBatchFileReader | pa.ipc.RecordBatchStreamReader":
    """Of the file format, or of the stream format that Hugging Face datasets write."""
    return pa.ipc.open_file(file) if file.read_at(6, 0) == b"ARROW1" else pa.ipc.open_stream(file)
