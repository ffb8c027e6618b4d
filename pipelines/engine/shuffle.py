"""The columnar shuffle: bulk rows change places through files, never through Beam.

A scatter item writes one bucket file a part, its rows sorted; a gather item reads its range of every file and merges.
Beyond FAN_IN files, or FAN_OUT buckets, there is a level between: a regroup item reads some buckets of about the square
root of the files and writes them as one file of finer buckets, so that 93,000 files and as many buckets take 57 million
opens instead of 8.7 billion. Merging is stable and files are taken in the order of their items, so that one level and
two give the same rows in the same order.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from math import isqrt

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.buffers import fixed_width
from pipelines.engine.attempt import Attempt
from pipelines.engine.buckets import Range, read_range, write_buckets
from pipelines.engine.files import explained
from pipelines.engine.sort import Sorter, merge
from pipelines.engine.stage import Context, Item, Job, Phase, Work

FAN_IN = 300  # files an item reads, at most
FAN_OUT = 256  # buckets of a scatter file, at most
TARGET = 4 << 20  # bytes of text a home shard, up to MANY shards
MANY = 64
LARGEST = 512 << 20  # bytes of text a home shard beyond that: the size an item may have


def shard_count(text_bytes: int) -> int:
    """How many home shards an edition gets: a power of two, by its text alone and never by the workers."""
    shards = 1
    while text_bytes > shards * (TARGET if shards < MANY else LARGEST):
        shards *= 2
    return shards


def power_of_two(least: int) -> int:
    """The smallest that is `least` or more."""
    return 1 << max(least - 1, 0).bit_length()


def bucket_of(ids: pa.Array, buckets: int) -> npt.NDArray[np.int64]:
    """Bucket by id: equal ranges of the first 32 bits, so that home shards hold ids in order."""
    head = fixed_width(ids)[:, :4].copy().view(">u4").ravel().astype(np.uint64)
    return ((head * np.uint64(buckets)) >> np.uint64(32)).astype(np.int64)


def bucket_of_key(keys: pa.Array, buckets: int) -> npt.NDArray[np.int64]:
    """Bucket by a 64-bit hash: equal ranges of its first 32 bits."""
    head: npt.NDArray[np.uint64] = keys.to_numpy() >> np.uint64(32)
    return ((head * np.uint64(buckets)) >> np.uint64(32)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Rows:
    """What is shuffled: columns, the order rows come out in, and the bucket of each among any number of them, which
    must not descend in that order. `bucket` is importable."""

    schema: pa.Schema
    sort: tuple[str, ...]
    bucket: Callable[[pa.RecordBatch, int], npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Shuffle:
    """Rows of the items of one phase on their way to `buckets` items of another, a power of two, in parts that go
    together. `width` is how many buckets the scatter files have where their number is decided only after them."""

    phase: str
    parts: Mapping[str, Rows]
    width: int | None = None

    @contextmanager
    def scatter(self, work: Work, attempt: Attempt, buckets: int) -> Iterator[Mapping[str, Sorter]]:
        """Takes an item's rows of each part, in any order; at its end those of a part become one file."""
        memory, width = work.context.memory // len(self.parts), self._width(buckets)
        with ExitStack() as stack:
            sorters = {
                part: stack.enter_context(Sorter(rows.schema, rows.sort, memory, work.context.directory))
                for part, rows in self.parts.items()
            }
            yield sorters
            for part, sorter in sorters.items():
                whole = _Buckets(width, 0, width)
                _write(attempt, f"{part}-{work.name}", sorter.sorted(), self.parts[part], whole)

    def _width(self, buckets: int) -> int:
        if buckets & (buckets - 1):
            raise ValueError(f"{self.phase}: {buckets} buckets, but their number is a power of two")
        return self.width or min(buckets, FAN_OUT)

    def regroup(self, job: Job, buckets: int) -> Phase:
        """The level between: each item reads a group of buckets of a chunk of the files. Without items where one level
        is enough."""
        (context,) = job
        levels, commits, items = self._levels(context, buckets), context.commits(self.phase), []
        if levels.two:
            size = sum(entry.bytes for commit in commits.values() for entry in commit.files.values())
            names = [(group, chunk) for group in range(levels.groups) for chunk in range(levels.chunks)]
            items = [
                Item(f"{group:05d}-{chunk:05d}", size // len(names), {"at": (group, chunk), "buckets": buckets})
                for group, chunk in names
            ]
        return Phase(f"{self.phase}-regroup", items, self._regroup, scratch=True)

    def _regroup(self, work: Work, attempt: Attempt) -> None:
        (group, chunk), buckets, context = work.arguments["at"], work.arguments["buckets"], work.context
        levels, memory = self._levels(context, buckets), context.memory
        for part, rows in self.parts.items():
            of_group = levels.of_group(group)
            ranges = _ranges(context, self.phase, part, levels.chunk(chunk), levels.width, of_group)
            if ranges:
                merged = merge((read_range(each, rows.schema) for each in ranges), rows.schema, rows.sort, memory)
                inner = _Buckets(buckets, group * levels.per, levels.per)
                _write(attempt, f"{part}-{work.name}", merged, rows, inner)

    def gather(self, work: Work, part: str, bucket: int, buckets: int) -> Iterator[pa.RecordBatch]:
        """One bucket's rows of a part, in order. Raises ShardError for bytes that are not those written."""
        context, rows = work.context, self.parts[part]
        levels = self._levels(context, buckets)
        if levels.two:
            group, inner = divmod(bucket, levels.per)
            items, inside = [f"{group:05d}-{c:05d}" for c in range(levels.chunks)], (inner, inner + 1)
            ranges = _ranges(context, f"{self.phase}-regroup", part, items, levels.per, inside)
        else:
            first, stop = (at * levels.width // buckets for at in (bucket, bucket + 1))
            ranges = _ranges(context, self.phase, part, levels.items, levels.width, (first, stop))
        memory = context.memory // len(self.parts)  # parts are gathered side by side
        return merge((read_range(each, rows.schema) for each in ranges), rows.schema, rows.sort, memory)

    def _levels(self, context: Context, buckets: int) -> "_Levels":
        return _Levels(list(context.commits(self.phase)), self._width(buckets), buckets)


@dataclass(frozen=True, slots=True)
class _Levels:
    """How many files are read in how many levels: `items` wrote files of `width` buckets, and `buckets` are wanted."""

    items: Sequence[str]
    width: int
    buckets: int

    @property
    def two(self) -> bool:
        return len(self.items) > FAN_IN or self.buckets > self.width

    @property
    def groups(self) -> int:
        """Groups of buckets: as many as a scatter file can tell apart, or about the square root."""
        return self.width if self.buckets > self.width else 1 << (self.buckets.bit_length() // 2)

    @property
    def per(self) -> int:
        """Buckets of a group."""
        return self.buckets // self.groups

    @property
    def chunks(self) -> int:
        """Chunks of files: the square root of their number, rounded up."""
        return isqrt(max(len(self.items) - 1, 0)) + 1

    def chunk(self, number: int) -> Sequence[str]:
        """Items of a chunk; chunks are of neighbours."""
        edges = [at * len(self.items) // self.chunks for at in (number, number + 1)]
        return self.items[edges[0] : edges[1]]

    def of_group(self, group: int) -> tuple[int, int]:
        """Buckets of a scatter file that a group has."""
        return group * self.width // self.groups, (group + 1) * self.width // self.groups


@dataclass(frozen=True, slots=True)
class _Buckets:
    """Buckets `first` on, `count` of them, where there are `of` in all: those that a file has."""

    of: int
    first: int
    count: int


def _ranges(
    context: Context, phase: str, part: str, items: Iterable[str], buckets: int, wanted: tuple[int, int]
) -> list[Range]:
    """Buckets `wanted`, from and up to, of what some items of a phase wrote of a part, in their order."""
    commits, files = context.commits(phase), context.files
    entries = [entry for item in items if (entry := commits[item].files.get(f"{part}-{item}"))]
    return [Range(files, entry.file, entry.bytes, buckets, *wanted) for entry in entries]


def _write(attempt: Attempt, name: str, batches: Iterable[pa.RecordBatch], rows: Rows, buckets: _Buckets) -> None:
    """Write sorted rows as one bucket file; nothing where there are none."""
    batches = iter(batches)
    head = next(batches, None)
    if head is None:
        return
    path = attempt.path(name, ".rows")
    with explained(path), path.open("wb") as file:
        written = write_buckets(
            file,
            chain([head], batches),
            rows.schema,
            lambda batch: rows.bucket(batch, buckets.of) - buckets.first,
            buckets.count,
        )
    attempt.add(name, path, written)
