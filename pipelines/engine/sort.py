"""Sorting and merging rows within a bound of memory, whatever their number: sorted runs, spilled and merged.

Both are stable, and so is a merge of merges of neighbours: rows that compare equal stay in the order they came in, on
one level or on two, however much memory there is. Only where batches end depends on it.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.shard import ROWS_PER_BATCH, Cutter
from pipelines.engine.buckets import FRAME, frame, frames

_SHARE = 4  # of the memory: rows are held twice while they are sorted, and once more a batch at a time


def sort_indices(table: pa.Table, sort: Sequence[str]) -> pa.Array:
    """Indices that put rows in ascending order, nulls last; rows that compare equal stay in their order."""
    import pyarrow.compute as pc

    return pc.sort_indices(table.select(list(sort)), sort_keys=[(column, "ascending") for column in sort])


def _taken(table: pa.Table, order: pa.Array) -> Iterator[pa.RecordBatch]:
    """Rows of a table in an order, a batch at a time: a copy of the whole would take its memory again."""
    for start in range(0, len(order), ROWS_PER_BATCH):
        yield from table.take(order.slice(start, ROWS_PER_BATCH)).to_batches()


@dataclass(slots=True)
class _Run:
    """A sorted run, read ahead as far as its share of the memory goes."""

    rest: Iterator[pa.RecordBatch]
    batches: list[pa.RecordBatch] = field(default_factory=list)
    ended: bool = False

    @property
    def rows(self) -> int:
        return sum(batch.num_rows for batch in self.batches)

    def fill(self, share: int) -> None:
        held = sum(batch.nbytes for batch in self.batches)
        while not self.ended and (held < share or not self.batches):
            batch = next(self.rest, None)
            self.ended = batch is None
            if batch is not None and batch.num_rows:
                self.batches.append(batch)
                held += batch.nbytes

    def drop(self, rows: int) -> None:
        """Forget the first rows."""
        while self.batches and self.batches[0].num_rows <= rows:
            rows -= self.batches.pop(0).num_rows
        if rows:
            self.batches[0] = self.batches[0].slice(rows)


def merge(
    runs: Iterable[Iterator[pa.RecordBatch]], schema: pa.Schema, sort: Sequence[str], memory: int
) -> Iterator[pa.RecordBatch]:
    """Rows of sorted runs in one order; of rows that compare equal those of an earlier run come first.

    Takes `memory` bytes at most where a batch of each run fits into a quarter of it.
    """
    live = [_Run(run) for run in runs]
    if len(live) == 1:
        yield from live[0].rest
        return
    while live:
        for run in live:
            run.fill(memory // _SHARE // len(live))
        table = pa.Table.from_batches([batch for run in live for batch in run.batches], schema).combine_chunks()
        order = sort_indices(table, sort)
        places, ends = order.to_numpy(), np.cumsum([run.rows for run in live])
        ready = _ready(places, [int(end) - 1 for end, run in zip(ends, live, strict=True) if not run.ended])
        yield from _taken(table, order.slice(0, ready))
        gone = np.bincount(np.searchsorted(ends, places[:ready], "right"), minlength=len(live))
        for run, count in zip(live, gone.tolist(), strict=True):
            run.drop(count)
        live = [run for run in live if run.batches or not run.ended]


def _ready(places: npt.NDArray[np.uint64], last: Sequence[int]) -> int:
    """How many of the sorted rows no row yet unread can come before: up to the first that is the last of its run."""
    return int(np.flatnonzero(np.isin(places, last))[0]) + 1 if last else len(places)


class Sorter:
    """Rows in any order in, in one order out. Use as a context manager: what does not fit into `memory` bytes lies in a
    file of `folder` that has no name, so that it goes with the process, however that ends."""

    def __init__(self, schema: pa.Schema, sort: Sequence[str], memory: int, folder: Path) -> None:
        self._schema, self._sort, self._memory, self._folder = schema, tuple(sort), memory, folder
        self._batches: list[pa.RecordBatch] = []
        self._held = 0
        self._file: IO[bytes] | None = None
        self._runs: list[tuple[int, int]] = []  # where each begins and ends in the file

    def __enter__(self) -> "Sorter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, batch: pa.RecordBatch) -> None:
        """Take a batch in."""
        if batch.num_rows:
            self._batches.append(batch)
            self._held += batch.nbytes
        if self._held >= self._memory // _SHARE:
            self._spill()

    def sorted(self) -> Iterator[pa.RecordBatch]:
        """The rows in order, once all are in."""
        if self._file is None:
            yield from self._in_memory()
            return
        if self._batches:
            self._spill()
        fan_in = max(2, self._memory // _SHARE // FRAME)
        while len(self._runs) > fan_in:  # a batch of each would not fit
            runs, self._runs = self._runs, []
            for first in range(0, len(runs), fan_in):
                self._write(self._merged(runs[first : first + fan_in]))
        yield from self._merged(self._runs)

    def _merged(self, runs: Sequence[tuple[int, int]]) -> Iterator[pa.RecordBatch]:
        if self._file is None:
            return iter(())
        read = partial(_read, self._file.fileno())
        batches = [frames(read, start, stop, 0, self._schema) for start, stop in runs]
        return merge(batches, self._schema, self._sort, self._memory)

    def _in_memory(self) -> Iterator[pa.RecordBatch]:
        table = pa.Table.from_batches(self._batches, self._schema).combine_chunks()
        self._batches, self._held = [], 0
        yield from _taken(table, sort_indices(table, self._sort))

    def _spill(self) -> None:
        self._write(self._in_memory())

    def _write(self, batches: Iterator[pa.RecordBatch]) -> None:
        """Add a run to the file."""
        file = self._file = self._file or tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115, closed by __exit__
        start, cutter = file.seek(0, os.SEEK_END), Cutter(self._schema, ROWS_PER_BATCH, FRAME)
        for batch in batches:
            for each in cutter.add(batch):
                file.write(frame(each, 0))
        for each in cutter.flush():
            file.write(frame(each, 0))
        file.flush()
        self._runs.append((start, file.tell()))


def _read(file: int, start: int, stop: int) -> bytes:
    return os.pread(file, stop - start, start)
