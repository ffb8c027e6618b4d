"""Sorting within a bound of memory: the same rows, and a peak that does not grow with their number."""

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.sort import Sorter, merge

SCHEMA = pa.schema([pa.field("id", pa.binary(16), nullable=False), pa.field("text", pa.large_string(), nullable=False)])
PAIRS = pa.schema([pa.field("key", pa.int64()), pa.field("from", pa.int64())])


def batches_of(rows, size):
    table = pa.table([pa.array(c, pa.int64()) for c in (zip(*rows, strict=True) if rows else ([], []))], schema=PAIRS)
    return table.to_batches(max_chunksize=size)


@given(
    st.lists(st.lists(st.none() | st.integers(0, 9), max_size=40), max_size=6),
    st.integers(1, 9),
    st.sampled_from([1, 300, 1 << 20]),
)
def test_merging_is_stable(keys, size, memory):
    """Of equal keys those of an earlier run come first, and no row is lost where a key straddles batches."""
    runs = [sorted(((key, at) for key in run), key=lambda row: (row[0] is None, row[0])) for at, run in enumerate(keys)]
    merged = merge((iter(batches_of(run, size)) for run in runs), PAIRS, ("key",), memory)
    found = [tuple(row.values()) for batch in merged for row in batch.to_pylist()]
    assert found == sorted(itertools.chain(*runs), key=lambda row: (row[0] is None, row[0] or 0, row[1]))


@given(st.lists(st.integers(0, 30), max_size=300), st.integers(1, 50), st.sampled_from([1, 500, 1 << 20]))
def test_sorting_is_stable_with_spills_and_without(tmp_path_factory, keys, size, memory):
    rows = [(key, at) for at, key in enumerate(keys)]
    with Sorter(PAIRS, ("key",), memory, tmp_path_factory.getbasetemp()) as sorter:
        for batch in batches_of(rows, size):
            sorter.add(batch)
        found = [tuple(row.values()) for batch in sorter.sorted() for row in batch.to_pylist()]
    assert found == sorted(rows)


def texts(rows, seed, *, sorted_ids):
    """Batches of 50 documents of 2 kB, drawn as they are asked for."""
    rng = np.random.default_rng(seed)
    for first in range(0, rows, 50):
        ids = [rng.bytes(16) for _ in range(50)]
        if sorted_ids:
            ids = [(first + i).to_bytes(4, "big") + rng.bytes(12) for i in range(50)]
        yield pa.record_batch([pa.array(ids, pa.binary(16)), pa.array(["文字" * 340] * 50, pa.large_string())], SCHEMA)


def peak(batches):
    """Largest growth of Arrow's memory while an iterator is drained, in MB, and its rows."""
    pool, highest, rows = pa.default_memory_pool(), 0, 0
    before = pool.bytes_allocated()
    for batch in batches:
        rows += batch.num_rows
        highest = max(highest, pool.bytes_allocated() - before)
    return highest / 1e6, rows


def test_the_peak_of_a_merge_does_not_grow_with_its_rows():
    """H11: a gather took 3.2 times its shard's text."""
    peaks = {}
    for rows in (2_000, 16_000):  # 4 and 33 MB of text a run
        runs = [texts(rows, seed, sorted_ids=True) for seed in range(4)]
        peaks[rows], found = peak(merge(runs, SCHEMA, ("id",), 8 << 20))
        assert found == 4 * rows
    assert peaks[16_000] < 8 and peaks[16_000] < 1.2 * peaks[2_000], peaks


def test_the_peak_of_a_sort_does_not_grow_with_its_rows(tmp_path):
    peaks = {}
    for rows in (8_000, 40_000):
        with Sorter(SCHEMA, ("id",), 8 << 20, tmp_path) as sorter:

            def through(sorter=sorter, rows=rows):
                for batch in texts(rows, 1, sorted_ids=False):
                    sorter.add(batch)
                    yield batch.slice(0, 0)
                yield from sorter.sorted()

            peaks[rows], found = peak(through())
            assert found == rows
    assert peaks[40_000] < 8 and peaks[40_000] < 1.2 * peaks[8_000], peaks


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_what_is_spilled_has_no_name_and_is_given_back(tmp_path):
    """So that a killed process leaves nothing behind."""
    open_before = open_files()
    with pytest.raises(LookupError), Sorter(SCHEMA, ("id",), 1 << 20, tmp_path) as sorter:
        for batch in texts(2_000, 1, sorted_ids=False):
            sorter.add(batch)
        assert open_files() == open_before + 1 and list(tmp_path.iterdir()) == []
        raise LookupError
    assert open_files() == open_before
