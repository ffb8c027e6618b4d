"""A bucket file: rows grouped by bucket and sorted, each bucket a range of bytes that is verified as it is read.

    frames of bucket 0, frames of bucket 1, ...    a frame is a header and one compressed record batch
    table: start, bytes and rows of each bucket

A bucket takes two reads, whatever the size of the file: its row of the table, whose place follows from the size and the
number of buckets, and its frames. The schema is not stored, for its reader knows it; its fingerprint, the bucket's
number and the bytes are what a frame's check covers. Where frames end depends on the rows alone, so that equal rows are
equal files.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.shard import ROWS_PER_BATCH, Cutter, ShardError
from pipelines.engine.files import Files

FRAME = 128 << 10  # bytes of rows after which a frame ends: what a merge holds of each of its files, at the least
_PIECE = 256 << 10  # bytes read at a time
_HEADER = struct.Struct("<QQ8s")  # bytes of the batch, bytes it takes, check
_ROW = struct.Struct("<QQQ")  # start, bytes, rows
_CODEC = ("zstd", 1)  # these files live for one stage

Read = Callable[[int, int], bytes]  # bytes from start to stop, fewer only at the end
Bucket = Callable[[pa.RecordBatch], npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Range:
    """Buckets `first` to `stop`, not itself, of an object of `bytes` bytes with `buckets` buckets."""

    files: Files
    key: str
    bytes: int
    buckets: int
    first: int
    stop: int


@lru_cache(maxsize=64)
def _fingerprint(schema: pa.Schema) -> bytes:
    return hashlib.sha256(schema.remove_metadata().serialize()).digest()[:8]


def _check(schema: pa.Schema, bucket: int, size: int, stored: bytes) -> bytes:
    head = _fingerprint(schema) + struct.pack("<QQ", bucket, size)
    return hashlib.sha256(head + stored).digest()[:8]


def frame(batch: pa.RecordBatch, bucket: int) -> bytes:
    """A batch, which holds its own rows alone (`corpus.shard.compact`), as one frame."""
    data = batch.serialize()
    stored: bytes = pa.Codec(_CODEC[0], compression_level=_CODEC[1]).compress(data, asbytes=True)
    return _HEADER.pack(data.size, len(stored), _check(batch.schema, bucket, data.size, stored)) + stored


def frames(read: Read, start: int, stop: int, bucket: int, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The batches of the frames from start to stop, each verified before it is yielded. Raises ValueError."""
    data, at = b"", start  # what is read, and where it begins
    while at < stop:
        size, taken, check = _HEADER.unpack(data[: _HEADER.size]) if len(data) >= _HEADER.size else (0, 0, b"")
        end = _HEADER.size + taken
        if at + end > stop:
            raise ValueError(f"a frame of bucket {bucket} runs beyond its end")
        if not check or len(data) < end:
            more = read(at + len(data), min(at + max(end, len(data) + _PIECE), stop))
            if not more:
                raise ValueError(f"it ends within bucket {bucket}")
            data += more
            continue
        stored = data[_HEADER.size : end]
        if check != _check(schema, bucket, size, stored):
            raise ValueError(f"a frame of bucket {bucket} does not hold the bytes and columns that were written")
        yield pa.ipc.read_record_batch(pa.Codec(_CODEC[0]).decompress(stored, size), schema)
        data, at = data[end:], at + end


def write_buckets(
    file: BinaryIO, batches: Iterable[pa.RecordBatch], schema: pa.Schema, bucket_of: Bucket, buckets: int
) -> int:
    """Write sorted batches; returns how many rows they had.

    Raises ValueError for a row of no bucket, or of one before that of the row before it.
    """
    table = np.zeros((buckets, 3), "<u8")
    cutter, current, end = Cutter(schema, ROWS_PER_BATCH, FRAME), 0, 0

    def put(batches: Iterator[pa.RecordBatch]) -> None:
        nonlocal end
        for batch in batches:
            data = frame(batch, current)
            file.write(data)
            end += len(data)
            table[current] += np.array((0, len(data), batch.num_rows), "<u8")

    for batch in batches:
        bucket = bucket_of(batch)
        if len(bucket) and not (current <= bucket[0] and bucket[-1] < buckets and (np.diff(bucket) >= 0).all()):
            raise ValueError(
                f"rows of buckets {bucket.min()} to {bucket.max()} after bucket {current}, but there are {buckets} "
                "and rows come in their order"
            )
        for start, stop in pairwise([0, *(np.flatnonzero(np.diff(bucket)) + 1).tolist(), batch.num_rows]):
            if stop > start and bucket[start] != current:
                put(cutter.flush())
                current = int(bucket[start])
            put(cutter.add(batch.slice(start, stop - start)))
    put(cutter.flush())
    table[1:, 0] = np.cumsum(table[:-1, 1])
    file.write(table.tobytes())
    return int(table[:, 2].sum())


def read_range(part: Range, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Batches of consecutive buckets in order, each verified before it is yielded.

    Raises ShardError for bytes or columns that are not those written.
    """
    read = partial(part.files.read, part.key)
    try:
        for bucket, (start, size, rows) in enumerate(_table(read, part), part.first):
            found = 0
            for batch in frames(read, start, start + size, bucket, schema):
                found += batch.num_rows
                if found > rows:
                    break
                yield batch
            if found != rows:
                raise ValueError(f"bucket {bucket} has {found} rows or more, and {rows} are promised")
    except (pa.ArrowException, OSError, ValueError) as error:
        path = part.files.local(part.key)
        raise ShardError(
            f"bucket file {path} is not readable ({error}): remove it and run again, which makes its item again"
        ) from error


def _table(read: Read, part: Range) -> list[tuple[int, int, int]]:
    """The range's rows of the table."""
    base = part.bytes - part.buckets * _ROW.size
    data = read(base + part.first * _ROW.size, base + part.stop * _ROW.size)
    if len(data) != (part.stop - part.first) * _ROW.size:
        raise ValueError("it is too short for its table")
    rows: list[tuple[int, int, int]] = list(_ROW.iter_unpack(data))
    if any(start + size > base for start, size, _ in rows):
        raise ValueError("its table is damaged")
    return rows
