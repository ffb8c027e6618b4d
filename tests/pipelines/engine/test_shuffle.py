"""The shuffle is a stable sort, on one level or on two, whatever the files, the buckets and the memory."""

import itertools
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus.shard import ShardError
from pipelines.engine import buckets as bucketing
from pipelines.engine import shuffle
from pipelines.engine.files import Posix
from pipelines.engine.shuffle import (
    LARGEST,
    MANY,
    TARGET,
    Rows,
    Shuffle,
    bucket_of,
    bucket_of_key,
    power_of_two,
    shard_count,
)
from pipelines.engine.stage import Item, Phase, Work
from pipelines.engine.store import StoreError
from pipelines.engine.work import do_item

SCHEMA = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("id", pa.binary(16), nullable=False),
        pa.field("text", pa.large_string()),
        pa.field("row", pa.uint32()),
    ]
)
KEY = st.sampled_from([0, 1, 2**62, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)
TEXT = st.none() | st.sampled_from(["中文", "繁體", "", "en", "\x00", "很长的文字" * 40])
ROW = st.tuples(KEY, st.binary(min_size=16, max_size=16), TEXT, st.none() | st.integers(0, 2**32 - 1))
PHASES = itertools.count()
QUIET = settings(max_examples=25, suppress_health_check=list(HealthCheck))


def by_key(batch, buckets):
    return bucket_of_key(batch["key"], buckets)


def shuffle_of(phase, sort=("key", "id"), width=None):
    return Shuffle(phase, {"rows": Rows(SCHEMA, sort, by_key)}, width)


def table_of(rows):
    return pa.table(
        [pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True) if rows else [[]] * 4, SCHEMA, strict=True)],
        schema=SCHEMA,
    )


def put(files, batch, made, buckets, work, attempt):
    """An item's rows, some batches at a time."""
    with made.scatter(work, attempt, buckets) as sorters:
        for piece in table_of(files[int(work.name)]).to_batches(max_chunksize=batch):
            sorters["rows"].add(piece)


def scattered(context, made, files, buckets, *, batch=7):
    """Write every list of rows as one scatter file, then the level between; returns the phase of that."""
    items = [Item(f"{number:05d}") for number in range(len(files))]
    phase = Phase(made.phase, items, partial(put, files, batch, made, buckets))
    for item in reversed(items):
        do_item((context,), phase, item)
    return regrouped(context, made, buckets)


def regrouped(context, made, buckets):
    between = made.regroup((context,), buckets)
    for item in between.items:
        do_item((context,), between, item)
    return between


def gathered(context, made, bucket, buckets):
    return pa.Table.from_batches(made.gather(Work(context, Item("x")), "rows", bucket, buckets), SCHEMA)


def plain(files, bucket, buckets):
    """The same by a stable sort of Python tuples."""
    rows = [row for file in files for row in file if row[0] * buckets >> 64 == bucket]
    return sorted(rows, key=lambda row: row[:2])


def as_rows(table):
    return [tuple(row.values()) for row in table.to_pylist()]


def by_numbers(monkeypatch, **numbers):
    for name, value in numbers.items():
        for module in (shuffle, bucketing):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)


@QUIET
@given(
    files=st.lists(st.lists(ROW, max_size=30), min_size=1, max_size=12),
    buckets=st.sampled_from([1, 2, 4, 8, 32]),
    fan_in=st.sampled_from([1, 3, 300]),
    fan_out=st.sampled_from([1, 2, 4, 256]),
    frame=st.sampled_from([1, 200, 128 << 10]),
    memory=st.sampled_from([1, 2000, 1 << 30]),
)
def test_one_level_and_two_equal_a_plain_stable_sort(
    context, monkeypatch, files, buckets, fan_in, fan_out, frame, memory
):
    """Rows of equal key and id stay in the order of files and rows: what the sort leaves open is not left to chance."""
    by_numbers(monkeypatch, FAN_IN=fan_in, FAN_OUT=fan_out, FRAME=frame)
    context = replace(context, where={"memory": memory})
    made = shuffle_of(f"p{next(PHASES)}")
    between = scattered(context, made, files, buckets)
    assert bool(between.items) == (len(files) > fan_in or buckets > fan_out)
    for bucket in range(buckets):
        table = gathered(context, made, bucket, buckets)
        assert table.schema == SCHEMA
        assert as_rows(table) == plain(files, bucket, buckets)


@QUIET
@given(
    files=st.lists(st.lists(ROW, max_size=30), min_size=1, max_size=5),
    memory=st.tuples(*[st.sampled_from([1, 700, 5000, 1 << 30])] * 2),
    batch=st.tuples(*[st.integers(1, 30)] * 2),
)
def test_files_are_the_same_bytes_whatever_the_memory_and_the_batches(context, monkeypatch, files, memory, batch):
    """A second attempt on a machine with less memory would fail the stage otherwise."""
    by_numbers(monkeypatch, FRAME=100, FAN_IN=2)
    content = []
    name = f"p{next(PHASES)}"
    for one, (size, rows) in enumerate(zip(memory, batch, strict=True)):
        made = shuffle_of(f"{name}-{one}")
        scattered(replace(context, where={"memory": size}), made, files, 8, batch=rows)
        phases = [context.commits(phase) for phase in (made.phase, f"{made.phase}-regroup")]
        content.append([[commit.content_hash() for commit in commits.values()] for commits in phases])
    assert content[0] == content[1]


def test_buckets_may_be_counted_after_the_scatter(context, monkeypatch):
    """Files of 16 buckets serve 1 to 64 of them, in two levels where there are more than the files have."""
    by_numbers(monkeypatch, FAN_OUT=16)
    rng = np.random.default_rng(5)
    files = [[(int(k), rng.bytes(16), "文", 1) for k in rng.integers(0, 2**64, 300, np.uint64)] for _ in range(5)]
    made = shuffle_of("once", width=16)
    scattered(context, made, files, 16)
    for buckets in (1, 2, 16, 64):
        between = regrouped(context, replace(made, phase="once"), buckets)
        assert bool(between.items) == (buckets == 64)
        found = [as_rows(gathered(context, made, bucket, buckets)) for bucket in range(buckets)]
        assert found == [plain(files, bucket, buckets) for bucket in range(buckets)]
        assert sum(map(len, found)) == 1500 and min(map(len, found)) > 0


def test_fan_in_is_the_square_root_of_the_files(context, monkeypatch):
    by_numbers(monkeypatch, FAN_IN=10)
    opened = []
    real = shuffle.read_range
    monkeypatch.setattr(shuffle, "read_range", lambda part, schema: opened.append(part) or real(part, schema))
    rng = np.random.default_rng(2)
    files = [[(int(k), rng.bytes(16), "x", 1) for k in rng.integers(0, 2**64, 40, np.uint64)] for _ in range(100)]
    made = shuffle_of("many")
    between = scattered(context, made, files, 16)
    assert len(between.items) == 10 * 4 and len(opened) == 10 * len(between.items)  # ten chunks, four groups of four
    assert all(part.stop - part.first == 4 for part in opened)
    opened.clear()
    assert gathered(context, made, 7, 16).num_rows == len(plain(files, 7, 16)) > 100
    assert len(opened) == 10 and {part.buckets for part in opened} == {4}
    scale = shuffle._Levels([""] * 93_133, shuffle.FAN_OUT, 1 << 17)
    assert (scale.chunks, scale.groups, scale.per) == (306, 256, 512)
    assert {len(scale.chunk(number)) for number in range(scale.chunks)} == {304, 305}


def test_a_bucket_takes_two_reads_and_nothing_of_its_neighbours(context, monkeypatch):
    rng = np.random.default_rng(3)
    files = [[(int(k), rng.bytes(16), "x" * 50, 1) for k in rng.integers(0, 2**64, 4000, np.uint64)]]
    made = shuffle_of("reads")
    scattered(context, made, files, 64)
    reads, real = [], Posix.read

    def read(files, key, start=0, stop=None):
        if key.endswith(".rows"):
            reads.append(stop - start)
        return real(files, key, start, stop)

    monkeypatch.setattr(Posix, "read", read)  # what an object store would be asked
    before = _bytes_read()
    assert gathered(context, made, 5, 64).num_rows == len(plain(files, 5, 64))
    disk = _bytes_read() - before
    table, frame = reads
    assert table == 24 and frame < 4000 * 70 / 64 * 2
    (entry,) = (each for commit in context.commits("reads").values() for each in commit.files.values())
    assert disk < entry.bytes / 2  # what the disk was asked: the file's own part, whole buffers, and the commit


def _bytes_read():
    """What this process has read so far (proc(5), rchar)."""
    return int(re.search(r"rchar: (\d+)", Path("/proc/self/io").read_text())[1])


def test_a_bucket_of_few_rows_is_not_many_times_its_rows(context):
    """Two rows of 33 bytes a bucket made files of seven times their rows; what is left are a batch's own offsets."""
    types = {"key": pa.uint64(), "why": pa.uint8(), "id": pa.binary(16), "shard": pa.uint32(), "row": pa.uint32()}
    schema = pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()])
    made = Shuffle("few", {"keys": Rows(schema, ("key", "id"), by_key)})
    rng = np.random.default_rng(0)
    for rows, most in ((2, 4.2), (20, 1.9), (400, 1.0)):
        keys = np.repeat(np.arange(256, dtype=np.uint64) << np.uint64(56), rows) + rng.integers(
            0, 1 << 40, 256 * rows, np.uint64
        )
        columns = [
            keys,
            np.zeros(len(keys)),
            [rng.bytes(16) for _ in keys],
            np.full(len(keys), 3),
            np.arange(len(keys)),
        ]
        table = pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
        work = Work(context, Item(f"{rows}"))
        with context.begin("few", f"{rows}") as attempt, made.scatter(work, attempt, 256) as sorters:
            sorters["keys"].add(table.to_batches()[0])
        (entry,) = context.commit("few", f"{rows}").files.values()
        assert entry.bytes < most * 33 * len(keys), (rows, entry.bytes / 33 / len(keys))


def test_a_second_attempt_writes_the_same_bytes_whatever_lies_under_nulls(context):
    rows = [(k << 60, bytes([k]) * 16, None, None) for k in range(9)]
    clean = table_of(rows)
    garbage = pa.array([7] * 9, pa.uint32())
    mask = pa.array([False] * 9).buffers()[1]
    dirty = clean.set_column(
        3, SCHEMA.field("row"), pa.Array.from_buffers(pa.uint32(), 9, [mask, garbage.buffers()[1]])
    )
    made = shuffle_of("same")
    work = Work(context, Item("0"))
    attempts = [context.begin("same", "0") for _ in range(2)]
    for attempt, table in zip(attempts, (clean, dirty), strict=True):
        with attempt, made.scatter(work, attempt, 2) as sorters:  # the second would raise: other bytes than the first
            sorters["rows"].add(table.to_batches()[0])


@pytest.mark.parametrize("bucket", [-1, 2])
def test_rows_outside_the_buckets_are_refused(context, bucket):
    made = Shuffle("out", {"rows": Rows(SCHEMA, ("key",), lambda batch, buckets: np.array([bucket]))})
    with (
        pytest.raises(ValueError, match="but there are 2"),
        context.begin("out", "0") as attempt,
        made.scatter(Work(context, Item("0")), attempt, 2) as sorters,
    ):
        sorters["rows"].add(table_of([(1, b"a" * 16, None, None)]).to_batches()[0])
    assert not list(context.directory.glob("rows*"))


def test_buckets_out_of_their_order_are_refused(context):
    """Ascending rows whose buckets descend would be told apart by no table of ranges."""
    made = Shuffle("down", {"rows": Rows(SCHEMA, ("key",), lambda batch, n: 1 - by_key(batch, 2))})
    with pytest.raises(ValueError, match="rows come in their order"):
        scattered(context, made, [[(0, b"a" * 16, None, None), (2**63, b"a" * 16, None, None)]], 2)
    with pytest.raises(ValueError, match="3 buckets, but their number is a power of two"):
        scattered(context, shuffle_of("odd"), [[]], 3)


@pytest.fixture(scope="module")
def sample():
    """Rows of four buckets."""
    rng = np.random.default_rng(8)
    return [[(int(k), rng.bytes(16), "正文" * 9, 1) for k in rng.integers(0, 2**64, 60, np.uint64)]]


@QUIET
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_is_gathered(context, sample, where, bit):
    """Anywhere in the file: rows, their headers, the table (S5: 10 of 14 flips were sealed)."""
    made = shuffle_of("flip")
    if not context.committed("flip", "00000"):
        scattered(context, made, sample, 4)
    (entry,) = context.commit("flip", "00000").files.values()
    path = context.directory / entry.file
    whole = path.read_bytes()
    data = bytearray(whole)
    data[int(where * len(data))] ^= 1 << bit
    path.write_bytes(data)
    try:
        with pytest.raises(ShardError, match="remove it and run again, which makes its item again"):
            for bucket in range(4):
                gathered(context, made, bucket, 4)
    finally:
        path.write_bytes(whole)
    assert sum(gathered(context, made, bucket, 4).num_rows for bucket in range(4)) == 60


def test_a_file_that_cannot_be_read_is_named(context, sample):
    made = shuffle_of("broken")
    scattered(context, made, sample, 4)
    (entry,) = context.commit("broken", "00000").files.values()
    path = context.directory / entry.file
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ShardError, match=f"bucket file {path} is not readable"):
        gathered(context, made, 3, 4)
    path.unlink()
    with pytest.raises(ShardError, match=f"bucket file {path} is not readable"):
        gathered(context, made, 3, 4)


def test_rows_of_other_columns_are_not_read_as_these(context, sample):
    """The schema is not in the file; a key file of an older layout must not pass for one of today's."""
    made = shuffle_of("columns")
    scattered(context, made, sample, 4)
    other = pa.schema([SCHEMA.field("key"), pa.field("other", pa.binary(16), nullable=False), *list(SCHEMA)[2:]])
    changed = Shuffle("columns", {"rows": Rows(other, ("key",), by_key)})
    with pytest.raises(ShardError, match="does not hold the bytes and columns that were written"):
        list(changed.gather(Work(context, Item("x")), "rows", 0, 4))


def test_a_full_disk_is_explained(context):
    attempt = context.begin("full", "0")
    (context.directory / f"rows-0.{attempt._token}.rows").symlink_to("/dev/full")
    made = shuffle_of("full")
    with (
        pytest.raises(StoreError, match=r"no space left .* set site\.store to another disk"),
        attempt,
        made.scatter(Work(context, Item("0")), attempt, 1) as sorters,
    ):
        sorters["rows"].add(table_of([(1, b"a" * 16, "中", 1)]).to_batches()[0])
    assert not context.commits("full") and not list(context.directory.glob("rows*"))


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=30), st.integers(1, 200), st.integers(0, 5))
def test_home_shards_hold_ids_in_order(ids, buckets, skip):
    array = pa.array(sorted(ids), pa.binary(16))
    found = bucket_of(array, buckets)
    assert list(found) == sorted(found) and all(0 <= b < buckets for b in found)
    assert list(bucket_of(array.slice(skip), buckets)) == list(found[skip:])
    assert list(found) == [int.from_bytes(i[:4], "big") * buckets >> 32 for i in sorted(ids)]


@given(st.lists(st.integers(0, 2**64 - 1), max_size=30), st.integers(0, 20))
def test_keys_and_ids_of_twice_the_buckets_lie_within_those(keys, power):
    """Why a file may have fewer buckets than there will be."""
    array = pa.array(keys, pa.uint64())
    ids = pa.array([key.to_bytes(16, "big") for key in keys], pa.binary(16))
    for function, column in ((bucket_of_key, array), (bucket_of, ids)):
        assert list(function(column, 2 << power) // 2) == list(function(column, 1 << power))
    assert list(bucket_of_key(array, 1 << power)) == [key >> 64 - power if power else 0 for key in keys]


def test_all_home_shards_are_used_and_the_ends_fit():
    edges = pa.array([bytes(16), b"\xff" * 16], pa.binary(16))
    for buckets in (1, 2, 64, 1000, 1 << 20):
        assert list(bucket_of(edges, buckets)) == [0, buckets - 1]
    ids = pa.array([np.random.default_rng(i).bytes(16) for i in range(3000)], pa.binary(16))
    assert len(np.unique(bucket_of(ids, 64))) == 64


@given(st.integers(0, 1 << 50), st.integers(0, 1 << 50))
def test_shard_count_grows_with_the_text_alone(one, other):
    low, high = sorted((one, other))
    assert 1 <= shard_count(low) <= shard_count(high)
    assert high / shard_count(high) <= LARGEST and power_of_two(shard_count(high)) == shard_count(high)


def test_shard_count_at_its_corners():
    assert [shard_count(n) for n in (0, 1, TARGET, TARGET + 1, MANY * TARGET)] == [1, 1, 1, 2, MANY]
    assert shard_count(MANY * TARGET + 1) == MANY == shard_count(MANY * LARGEST)
    assert shard_count(MANY * LARGEST + 1) == 2 * MANY
    assert [power_of_two(n) for n in (0, 1, 2, 3, 64, 65)] == [1, 1, 2, 4, 64, 128]
