"""The columnar shuffle, in disk mode: bulk rows change places through files, never through Beam.

A scatter item writes ONE file: its rows grouped by bucket and sorted, with an offset table. A gather item
reads one bucket's range of every file and sorts. Sorting by the full key and id hides which worker wrote what.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.shard import ROWS_PER_BATCH, ShardError, compact
from kernels.buffers import fixed_width
from pipelines.engine.store import Attempt, full_disk_explained

_OFFSETS = b"siku.offsets"
TARGET = 8 << 20  # bytes a home shard, up to MANY shards
MANY = 64
LARGEST = 512 << 20  # bytes a home shard beyond that: the size an item may have


def shard_count(input_bytes: int) -> int:
    """How many home shards an edition gets: a function of its input alone, never of the workers."""
    wanted = -(-input_bytes // TARGET)
    return max(1, wanted if wanted <= MANY else max(MANY, -(-input_bytes // LARGEST)))


def bucket_of(ids: pa.FixedSizeBinaryArray, buckets: int) -> npt.NDArray[np.int64]:
    """Home shard by id: equal ranges of the first 32 bits, so that shards hold ids in order."""
    head = fixed_width(ids)[:, :4].copy().view(">u4").ravel().astype(np.uint64)
    return ((head * np.uint64(buckets)) >> np.uint64(32)).astype(np.int64)


def scatter(
    attempt: Attempt, name: str, table: pa.Table, bucket: npt.NDArray[np.int64], buckets: int, sort: Sequence[str]
) -> None:
    """Write `table` as one file, bucket-contiguous and sorted by `sort` within each bucket."""
    if len(bucket) and not 0 <= bucket.min() <= bucket.max() < buckets:
        raise ValueError(f"{name}: rows of buckets {bucket.min()} to {bucket.max()}, but there are {buckets}")
    keys = [("__bucket", "ascending"), *((column, "ascending") for column in sort)]
    order = pc.sort_indices(table.append_column("__bucket", pa.array(bucket)), sort_keys=keys)
    edges = np.searchsorted(np.sort(bucket), np.arange(buckets + 1)).tolist()
    spans = [range(start, stop, ROWS_PER_BATCH) for start, stop in pairwise(edges)]
    offsets = np.cumsum([0, *map(len, spans)]).tolist()
    schema = table.schema.with_metadata({_OFFSETS: json.dumps(offsets).encode()})
    path = attempt.path(name, ".arrow")
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=1), use_threads=False)
    with full_disk_explained(path), path.open("wb") as file, pa.ipc.new_file(file, schema, options=options) as writer:
        for first, stop in ((first, span.stop) for span in spans for first in span):
            # Rows are copied a batch at a time: a sorted copy of the whole table would double its memory.
            rows = order.slice(first, min(ROWS_PER_BATCH, stop - first))
            writer.write_batch(compact(table.take(rows)).replace_schema_metadata(schema.metadata))
    attempt.add(name, path, table.num_rows)


def _range(path: Path, bucket: int) -> Iterator[pa.RecordBatch]:
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        offsets = json.loads(reader.schema.metadata[_OFFSETS])
        for index in range(offsets[bucket], offsets[bucket + 1]):
            yield reader.get_batch(index).replace_schema_metadata(None)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, IndexError) as error:
        raise ShardError(
            f"scatter file {path} is not readable ({error}): remove its stage's folder and run again"
        ) from error


def gather(paths: Iterable[Path], bucket: int, schema: pa.Schema, sort: Sequence[str]) -> pa.Table:
    """One bucket's rows of every file, sorted. Files are opened one after another, so fan-in has no limit."""
    batches = [batch for path in paths for batch in _range(path, bucket)]
    table = pa.Table.from_batches(batches, schema)
    return table.take(pc.sort_indices(table, sort_keys=[(column, "ascending") for column in sort]))
