"""Arrow shards: written in one way only, so that equal rows are equal bytes.

Rows and bytes per batch, codec and level are constants of the store's format: the same rows batched otherwise
are other bytes.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

FORMAT_VERSION = 1
ROWS_PER_BATCH = 4096
BYTES_PER_BATCH = 64 << 20  # after the row that reaches it a batch ends too: readers hold a batch at a time
LEVEL = 3  # zstd


class ShardError(ValueError):
    """A shard that cannot be read, or holds another schema than its reader needs."""


@dataclass(frozen=True, slots=True)
class ShardFile:
    """A finished shard: rows, size in bytes and SHA-256 of the file."""

    path: Path
    rows: int
    bytes: int
    sha256: str


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, read in 1 MiB pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _zeroed(array: pa.Array) -> pa.Array:
    """The same values with null slots that hold nothing: Arrow leaves garbage there, and it would be hashed."""
    kind = array.type
    if pa.types.is_nested(kind):
        # A list's values may hide behind nulls of their own, or of the list: rebuilt where there are any.
        hidden = array.null_count or (pa.types.is_list(kind) and array.values.null_count)
        plain = pa.types.is_list(kind) and not pa.types.is_nested(kind.value_type)
        return array if plain and not hidden else pa.array(array.to_pylist(), type=kind)
    if array.null_count == 0 or pa.types.is_null(kind):
        return array
    if pa.types.is_boolean(kind):
        filled = array.fill_null(False)
    elif pa.types.is_fixed_size_binary(kind):
        filled = array.fill_null(bytes(kind.byte_width))
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        filled = array.fill_null("")
    elif pa.types.is_primitive(kind) and not pa.types.is_temporal(kind):
        filled = array.fill_null(0)
    else:
        return pa.array(array.to_pylist(), type=kind)
    validity = pa.array(~np.asarray(array.is_null())).buffers()[1]
    return pa.Array.from_buffers(kind, len(array), [validity, *filled.buffers()[1:]], array.null_count)


def row_bytes(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Bytes of each row's values, without offsets and validity; lists of anything but numbers count nothing."""
    import pyarrow.compute as pc

    total = np.zeros(batch.num_rows, np.int64)
    for array in batch.columns:
        kind = array.type
        if pa.types.is_list(kind):
            if pa.types.is_primitive(kind.value_type):
                lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
                total += lengths.astype(np.int64) * max(kind.value_type.bit_width // 8, 1)
        elif pa.types.is_primitive(kind) or pa.types.is_fixed_size_binary(kind):
            total += max(kind.bit_width // 8, 1)
        elif not pa.types.is_nested(kind):
            total += pc.binary_length(array).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return total


class Cutter:
    """Cuts a stream of rows into batches that end after `rows` rows or with the row that reaches `bytes`, whichever is
    first: at the same rows however the stream came in batches."""

    def __init__(self, schema: pa.Schema, rows: int, bytes: int) -> None:  # noqa: A002
        self._schema, self._most = schema, (rows, bytes)
        self._pending: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def add(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """The batches that end within this one."""
        ends = np.cumsum(row_bytes(batch))
        start = 0
        while start < batch.num_rows:
            before = int(ends[start - 1]) if start else 0
            full = int(np.searchsorted(ends, before + self._most[1] - self._bytes)) + 1
            stop = min(full, start + self._most[0] - self._rows, batch.num_rows)
            self._pending.append(batch.slice(start, stop - start))
            self._rows += stop - start
            self._bytes += int(ends[stop - 1]) - before
            start = stop
            if self._rows >= self._most[0] or self._bytes >= self._most[1]:
                yield from self.flush()

    def flush(self) -> Iterator[pa.RecordBatch]:
        """What is left, if anything."""
        if self._rows:
            yield compact(pa.Table.from_batches(self._pending, self._schema))
        self._pending, self._rows, self._bytes = [], 0, 0


def _rebatched(batches: Iterable[pa.RecordBatch | pa.Table], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    cutter = Cutter(schema, ROWS_PER_BATCH, BYTES_PER_BATCH)
    for item in batches:
        for batch in item.to_batches() if isinstance(item, pa.Table) else [item]:
            if batch.schema.names != schema.names:
                raise ShardError(f"columns {batch.schema.names} written to a shard of {schema.names}")
            yield from cutter.add(batch.cast(schema))
    yield from cutter.flush()


def compact(table: pa.Table) -> pa.RecordBatch:
    """One batch whose buffers start at 0 and hold only its own rows, with nothing under nulls."""
    columns = []
    for column in table.columns:
        # concat_arrays copies, which drops offsets and unused values of slices.
        array = pa.concat_arrays(column.chunks) if column.num_chunks != 1 else column.chunk(0)
        if array.offset or column.num_chunks == 1:
            array = pa.concat_arrays([array, array.slice(0, 0)])
        columns.append(_zeroed(array))
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


def write_shard(
    path: Path, batches: Iterable[pa.RecordBatch | pa.Table], schema: pa.Schema, *, compressed: bool = True
) -> ShardFile:
    """Stream batches into an Arrow IPC file of 4,096-row batches, fewer rows where they take 64 MiB; the file is synced
    before it returns.

    Text is compressed (zstd); measures and tokens are not, so that they can be memory-mapped.
    """
    options = pa.ipc.IpcWriteOptions(
        compression=pa.Codec("zstd", compression_level=LEVEL) if compressed else None,
        use_threads=False,
        metadata_version=pa.ipc.MetadataVersion.V5,
    )
    rows = 0
    with path.open("wb") as file:
        with pa.ipc.new_file(file, schema, options=options) as writer:
            for batch in _rebatched(batches, schema):
                writer.write_batch(batch)
                rows += batch.num_rows
        file.flush()
        os.fsync(file.fileno())
    return ShardFile(path=path, rows=rows, bytes=path.stat().st_size, sha256=sha256_file(path))


_WAY_OUT = "remove its stage's folder and run again"


def _reader(path: Path, fields: list[int] | None = None) -> pa.ipc.RecordBatchFileReader:
    try:
        return pa.ipc.open_file(pa.memory_map(str(path)), options=pa.ipc.IpcReadOptions(included_fields=fields))
    except FileNotFoundError:
        raise ShardError(f"shard {path} is missing: {_WAY_OUT}") from None
    except (pa.ArrowException, OSError) as error:
        raise ShardError(f"shard {path} is not a readable Arrow file ({error}): {_WAY_OUT}") from error


def _chosen(path: Path, schema: pa.Schema, columns: list[str] | None) -> pa.Schema:
    if columns is None:
        return schema
    if missing := [name for name in columns if name not in schema.names]:
        raise ShardError(f"shard {path} has no columns {missing}; it has {schema.names}: {_WAY_OUT}")
    return pa.schema([schema.field(name) for name in columns])


def iterate(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The shard's batches in order, memory-mapped; text that is not asked for is not decompressed. Raises ShardError
    naming the file.

    Structure is checked here, the bytes of values are not: a manifest's checksum does that.
    """
    schema = _reader(path).schema
    names = _chosen(path, schema, columns).names
    # Arrow copies what it reads of chosen columns instead of mapping it: worth it for text alone, which is compressed.
    textless = "text" in schema.names and "text" not in names
    reader = _reader(path, [schema.get_field_index(name) for name in names] if textless else None)
    for index in range(reader.num_record_batches):
        try:
            batch = reader.get_batch(index)
            batch.validate()
        except (pa.ArrowException, OSError) as error:
            raise ShardError(f"shard {path}, batch {index} is corrupt ({error}): {_WAY_OUT}") from error
        yield batch.select(names)


def open_shard(path: Path, columns: list[str] | None = None) -> pa.Table:
    """The whole shard as a table; zero-copy when it was written uncompressed."""
    schema = _chosen(path, _reader(path).schema, columns)
    return pa.Table.from_batches(iterate(path, columns), schema)
