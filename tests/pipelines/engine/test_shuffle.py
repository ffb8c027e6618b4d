"""The disk shuffle is a sort, whatever the files and their order."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus.shard import ShardError
from pipelines.engine import shuffle
from pipelines.engine.shuffle import LARGEST, MANY, TARGET, bucket_of, gather, scatter, shard_count
from pipelines.engine.store import StoreError

SCHEMA = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("id", pa.binary(16), nullable=False),
        pa.field("text", pa.large_string()),
        pa.field("row", pa.uint32()),
    ]
)
ROW = st.tuples(
    st.integers(0, 3) | st.integers(0, 2**64 - 1),
    st.binary(min_size=16, max_size=16),
    st.none() | st.sampled_from(["中文", "", "en", "\x00"]),
    st.none() | st.integers(0, 2**32 - 1),
)
PHASES = itertools.count()
QUIET = settings(max_examples=25, suppress_health_check=list(HealthCheck))


def table_of(rows):
    return pa.table(
        [pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True) if rows else [[]] * 4, SCHEMA, strict=True)],
        schema=SCHEMA,
    )


def scattered(context, phase, tables, buckets, sort, bucket_for):
    """Write every table as one scatter file; their paths."""
    paths = []
    for index, table in enumerate(tables):
        attempt = context.begin(phase, f"{index:05d}")
        with attempt:
            scatter(attempt, f"{phase}-{index}", table, bucket_for(table), buckets, sort)
        commit = context.commits(phase)[f"{index:05d}"]
        (entry,) = commit.files.values()
        assert entry.rows == table.num_rows
        paths.append(context.directory / entry.file)
    return paths


@QUIET
@given(
    files=st.lists(st.lists(ROW, max_size=30), min_size=1, max_size=5),
    buckets=st.integers(1, 7),
    small=st.sampled_from([3, 4096]),
    data=st.data(),
)
def test_scatter_and_gather_equal_a_plain_sort(context, monkeypatch, files, buckets, small, data):
    monkeypatch.setattr(shuffle, "ROWS_PER_BATCH", small)
    phase = f"p{next(PHASES)}"
    tables = [table_of(rows) for rows in files]
    paths = scattered(
        context,
        phase,
        tables,
        buckets,
        ("key", "id"),
        lambda t: (t["key"].to_numpy() % np.uint64(buckets)).astype(np.int64),
    )
    order = data.draw(st.permutations(paths))
    everything = [row for rows in files for row in rows]
    found = []
    for bucket in range(buckets):
        expected = sorted((r[0], r[1]) for r in everything if r[0] % buckets == bucket)
        table = gather(order, bucket, SCHEMA, ("key", "id"))
        assert list(zip(table["key"].to_pylist(), table["id"].to_pylist(), strict=True)) == expected
        assert table.schema == SCHEMA
        found += [tuple(row.values()) for row in table.to_pylist()]
    assert sorted(map(repr, found)) == sorted(map(repr, everything))


def test_a_total_order_hides_who_wrote_what(context):
    """With the id in the key, other files and another order of files give the same table."""
    rng = np.random.default_rng(1)
    rows = [(int(k), rng.bytes(16), "x", 1) for k in rng.integers(0, 50, 500)]
    one = scattered(
        context, "one", [table_of(rows)], 4, ("key", "id"), lambda t: (t["key"].to_numpy() % 4).astype(np.int64)
    )
    parts = [table_of(rows[i::7]) for i in range(7)]
    many = scattered(context, "many", parts, 4, ("key", "id"), lambda t: (t["key"].to_numpy() % 4).astype(np.int64))
    for bucket in range(4):
        expected = gather(one, bucket, SCHEMA, ("key", "id"))
        assert expected.num_rows > 0
        for paths in (many, many[::-1]):
            assert gather(paths, bucket, SCHEMA, ("key", "id")).equals(expected)


def test_a_second_attempt_writes_the_same_bytes_whatever_lies_under_nulls(context):
    rows = [(k, bytes([k]) * 16, None, None) for k in range(9)]
    clean = table_of(rows)
    garbage = pa.array([7] * 9, pa.uint32())
    mask = pa.array([False] * 9).buffers()[1]
    dirty = clean.set_column(
        3, SCHEMA.field("row"), pa.Array.from_buffers(pa.uint32(), 9, [mask, garbage.buffers()[1]])
    )
    first, second = context.begin("same", "0"), context.begin("same", "0")
    bucket = np.arange(9) % 2
    with first:
        scatter(first, "rows", clean, bucket, 2, ("key",))
    with second:  # would raise: a second attempt made other bytes
        scatter(second, "rows", dirty.slice(0, 9), bucket, 2, ("key",))


def test_rows_outside_the_buckets_are_refused(context):
    table = table_of([(1, b"a" * 16, None, None)])
    for bucket in (-1, 2):
        with pytest.raises(ValueError, match="but there are 2"), context.begin("out", "0") as attempt:
            scatter(attempt, "x", table, np.array([bucket]), 2, ("key",))
    assert not list(context.directory.glob("x.*"))


def test_a_scatter_file_that_cannot_be_read_is_named(context):
    (path,) = scattered(
        context, "p", [table_of([(1, b"a" * 16, "中", 1)])], 1, ("key",), lambda t: np.zeros(1, np.int64)
    )
    with pytest.raises(ShardError, match="remove its stage's folder"):
        gather([path], 5, SCHEMA, ("key",))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ShardError, match=f"scatter file {path}"):
        gather([path], 0, SCHEMA, ("key",))


def test_a_full_disk_is_explained(context):
    attempt = context.begin("full", "0")
    name = f"rows.{attempt._token}.arrow"
    (context.directory / name).symlink_to("/dev/full")
    with pytest.raises(StoreError, match=r"no space left .* set site\.store to another disk"), attempt:
        scatter(attempt, "rows", table_of([(1, b"a" * 16, "中", 1)]), np.zeros(1, np.int64), 1, ("key",))
    assert not context.commits("full") and not list(context.directory.glob("rows*"))


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=30), st.integers(1, 200), st.integers(0, 5))
def test_home_shards_hold_ids_in_order(ids, buckets, skip):
    array = pa.array(sorted(ids), pa.binary(16))
    found = bucket_of(array, buckets)
    assert list(found) == sorted(found) and all(0 <= b < buckets for b in found)
    assert list(bucket_of(array.slice(skip), buckets)) == list(found[skip:])
    assert list(found) == [int.from_bytes(i[:4], "big") * buckets >> 32 for i in sorted(ids)]


def test_all_home_shards_are_used_and_the_ends_fit():
    edges = pa.array([bytes(16), b"\xff" * 16], pa.binary(16))
    for buckets in (1, 2, 64, 1000, 1 << 20):
        assert list(bucket_of(edges, buckets)) == [0, buckets - 1]
    ids = pa.array([np.random.default_rng(i).bytes(16) for i in range(3000)], pa.binary(16))
    assert len(np.unique(bucket_of(ids, 64))) == 64


@given(st.integers(0, 1 << 50), st.integers(0, 1 << 50))
def test_shard_count_grows_with_the_input_alone(one, other):
    low, high = sorted((one, other))
    assert 1 <= shard_count(low) <= shard_count(high)
    assert high / shard_count(high) <= LARGEST


def test_shard_count_at_its_corners():
    assert [shard_count(n) for n in (0, 1, TARGET, TARGET + 1, MANY * TARGET)] == [1, 1, 1, 2, MANY]
    assert shard_count(MANY * TARGET + 1) == MANY == shard_count(MANY * LARGEST)
    assert shard_count(MANY * LARGEST + 1) == MANY + 1
