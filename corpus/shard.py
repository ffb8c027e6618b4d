"""Arrow shards: written in one way only, so that equal rows are equal bytes.

Rows per batch, codec and level are constants of the store's format: the same rows batched otherwise
are other bytes.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

FORMAT_VERSION = 1
ROWS_PER_BATCH = 4096
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


def _rebatched(batches: Iterable[pa.RecordBatch | pa.Table], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    pending: list[pa.RecordBatch] = []
    rows = 0
    for item in batches:
        for batch in item.to_batches() if isinstance(item, pa.Table) else [item]:
            if batch.schema.names != schema.names:
                raise ShardError(f"columns {batch.schema.names} written to a shard of {schema.names}")
            pending.append(batch.cast(schema))
            rows += batch.num_rows
        while rows >= ROWS_PER_BATCH:
            table = pa.Table.from_batches(pending, schema)
            yield compact(table.slice(0, ROWS_PER_BATCH))
            pending, rows = table.slice(ROWS_PER_BATCH).to_batches(), rows - ROWS_PER_BATCH
    if rows:
        yield compact(pa.Table.from_batches(pending, schema))


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
    """Stream batches into an Arrow IPC file of 4,096-row batches; the file is synced before it returns.

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


def _reader(path: Path) -> pa.ipc.RecordBatchFileReader:
    try:
        return pa.ipc.open_file(pa.memory_map(str(path)))
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
    """The shard's batches in order, memory-mapped; raises ShardError naming the file.

    Structure is checked here, the bytes of values are not: a manifest's checksum does that.
    """
    reader = _reader(path)
    names = _chosen(path, reader.schema, columns).names
    for index in range(reader.num_record_batches):
        try:
            batch = reader.get_batch(index)
            batch.validate()
        except (pa.ArrowException, OSError) as error:
            raise ShardError(f"shard {path}, batch {index} is corrupt ({error}): {_WAY_OUT}") from error
        yield batch if columns is None else batch.select(names)


def open_shard(path: Path, columns: list[str] | None = None) -> pa.Table:
    """The whole shard as a table; zero-copy when it was written uncompressed."""
    schema = _chosen(path, _reader(path).schema, columns)
    return pa.Table.from_batches(iterate(path, columns), schema)
