"""Equal rows are equal bytes; a file that is not a shard says so."""

import itertools
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus.document import tokens_schema
from corpus.shard import ROWS_PER_BATCH, ShardError, iterate, open_shard, row_bytes, sha256_file, write_shard

SCHEMA = pa.schema(
    [
        pa.field("id", pa.binary(16), nullable=False),
        pa.field("parent", pa.binary(16)),
        pa.field("flag", pa.bool_()),
        pa.field("small", pa.uint8()),
        pa.field("row", pa.uint32()),
        pa.field("value", pa.float64()),
        pa.field("single", pa.float32()),
        pa.field("title", pa.string()),
        pa.field("text", pa.large_string()),
        pa.field("tokens", pa.list_(pa.uint16())),
        pa.field("wide", pa.list_(pa.uint32())),
        pa.field("words", pa.list_(pa.string())),
        pa.field("when", pa.timestamp("us")),
        pa.field("signature", pa.binary(8)),
    ]
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("中文\x00"), max_size=6)
VALUES = {
    "id": st.binary(min_size=16, max_size=16),
    "parent": st.binary(min_size=16, max_size=16),
    "flag": st.booleans(),
    "small": st.integers(0, 255),
    "row": st.integers(0, 2**32 - 1),
    "value": st.floats(allow_nan=False),
    "single": st.floats(width=32, allow_nan=False),
    "title": TEXT,
    "text": TEXT,
    "tokens": st.lists(st.none() | st.integers(0, 65535), max_size=4),
    "wide": st.lists(st.integers(0, 2**32 - 1), max_size=4),
    "words": st.lists(st.none() | TEXT, max_size=3),
    "when": st.datetimes(),
    "signature": st.binary(min_size=8, max_size=8),
}
ROW = st.fixed_dictionaries({n: s if n == "id" else st.none() | s for n, s in VALUES.items()})
COPIES = 90  # of every drawn row: enough to pass a batch's end


def with_garbage(table):
    """The same rows, but null slots come from a table of other values, as after a computation."""
    columns = []
    for name in table.column_names:
        column = table[name].combine_chunks()
        valid = np.asarray(column.is_valid())
        if valid.all() or pa.types.is_nested(column.type):
            columns.append(nested_garbage(column, valid) if pa.types.is_list(column.type) else column)
            continue
        kind = column.type
        if pa.types.is_boolean(kind):
            filled = column.fill_null(True)
        elif pa.types.is_fixed_size_binary(kind):
            filled = column.fill_null(b"\x7f" * kind.byte_width)
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            filled = column.fill_null("垃圾")
        else:
            filled = column.cast(pa.int64() if kind == pa.timestamp("us") else kind).fill_null(77)
        mask = pa.array(valid).buffers()[1]
        columns.append(pa.Array.from_buffers(kind, len(column), [mask, *filled.buffers()[1:]]))
    out = pa.table(columns, schema=table.schema)
    assert out.equals(table)
    return out


def nested_garbage(column, valid):
    """A list column whose null rows still span values."""
    filled = pa.array([v if v is not None else [None] for v in column.to_pylist()], column.type)
    mask = None if valid.all() else pa.array(valid).buffers()[1]
    return pa.Array.from_buffers(column.type, len(column), [mask, filled.buffers()[1]], children=[filled.values])


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(ROW, max_size=50), cuts=st.lists(st.integers(0, 6000), max_size=5), pad=st.integers(0, 11))
def test_equal_rows_are_equal_bytes_however_batched(tmp_path, rows, cuts, pad):
    table = pa.Table.from_pylist(rows * COPIES, SCHEMA)
    whole = write_shard(tmp_path / "whole", [table], SCHEMA)
    edges = [0, *sorted(min(c, table.num_rows) for c in cuts), table.num_rows]
    padded = pa.concat_tables([table.slice(0, pad), table, table.slice(0, 3)]).combine_chunks()
    padded = padded.slice(min(pad, table.num_rows), table.num_rows)
    dirty = with_garbage(padded)
    pieces = [dirty.slice(a, b - a) for a, b in itertools.pairwise(edges)]
    batches = [batch for piece in pieces for batch in piece.to_batches()]
    again = write_shard(tmp_path / "again", [*pieces[:1], *batches[len(pieces[0].to_batches()) :]], SCHEMA)
    assert (again.sha256, again.rows, again.bytes) == (whole.sha256, table.num_rows, whole.bytes)
    back = open_shard(tmp_path / "again")
    assert back.equals(table)
    sizes = [batch.num_rows for batch in iterate(tmp_path / "again")]
    assert sizes == [ROWS_PER_BATCH] * (table.num_rows // ROWS_PER_BATCH) + [
        r for r in [table.num_rows % ROWS_PER_BATCH] if r
    ]
    plain = write_shard(tmp_path / "plain", batches, SCHEMA, compressed=False)
    assert plain.sha256 == write_shard(tmp_path / "plain2", [table], SCHEMA, compressed=False).sha256


def test_a_stream_is_written_as_it_comes(tmp_path):
    """Only the rows of a batch are held, however many come."""
    alive = []

    def stream():
        before = pa.total_allocated_bytes()
        for _ in range(40):
            yield pa.record_batch([pa.array(["字" * 1000] * 1000, pa.large_string())], ["text"])
            alive.append(pa.total_allocated_bytes() - before)

    shard = write_shard(tmp_path / "s", stream(), pa.schema([("text", pa.large_string())]))
    assert shard.rows == 40_000
    assert max(alive) < 60e6 < 40_000 * 3000


def test_tokens_are_mapped_not_copied(tmp_path):
    schema = tokens_schema("uint16")
    table = pa.table([pa.array([b"a" * 16], pa.binary(16)), [3], [np.arange(50_000, dtype="u2")]], schema=schema)
    write_shard(tmp_path / "tokens", [table], schema, compressed=False)
    before = pa.total_allocated_bytes()
    found = open_shard(tmp_path / "tokens", ["tokens"])
    assert pa.total_allocated_bytes() - before < 10_000
    assert found["tokens"][0].as_py()[-1] == 49_999


def test_text_is_not_decompressed_for_another_column(tmp_path):
    ids = pa.array([b"%016d" % n for n in range(20_000)], pa.binary(16))
    table = pa.table({"id": ids, "text": pa.array(["字" * 500] * 20_000, pa.large_string()), "n": range(20_000)})
    write_shard(tmp_path / "documents", [table], table.schema)
    before = pa.total_allocated_bytes()
    found = open_shard(tmp_path / "documents", ["n", "id"])
    assert pa.total_allocated_bytes() - before < 2e6 < 20_000 * 1500
    assert found.equals(table.select(["n", "id"]))


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "documents-00003.arrow"
    table = pa.table({"text": pa.array(["中文", "b"] * 3000, pa.large_string())})
    write_shard(path, [table], table.schema)
    return path


def read(path, columns=None):
    return sum(batch.num_rows for batch in iterate(path, columns)), open_shard(path, columns)


@pytest.mark.parametrize("keep", [0, 5, 200, -1, -9])
def test_a_truncated_shard_names_the_file_and_the_way_out(shard, keep):
    shard.write_bytes(shard.read_bytes()[:keep])
    for reader in (lambda p: list(iterate(p)), open_shard):
        with pytest.raises(ShardError, match="remove its stage's folder and run again") as caught:
            reader(shard)
        assert str(shard) in str(caught.value)


def test_other_bytes_and_missing_files(shard, tmp_path):
    with pytest.raises(ShardError, match="is missing"):
        open_shard(tmp_path / "none.arrow")
    shard.write_text("<html>不是</html>" * 100)
    with pytest.raises(ShardError, match="not a readable Arrow file"):
        list(iterate(shard))


def test_a_corrupt_batch_is_named(shard):
    data = bytearray(shard.read_bytes())
    at = data.find(b"\x28\xb5\x2f\xfd")  # zstd's magic: the first compressed buffer
    assert at > 0
    data[at : at + 12] = b"\xff" * 12
    shard.write_bytes(bytes(data))
    with pytest.raises(ShardError, match="batch 0 is corrupt") as caught:
        list(iterate(shard))
    assert str(shard) in str(caught.value)


def test_any_flipped_byte_reads_or_raises_shard_error(shard):
    """Hostile bytes never end in another error, nor in the death of the process."""
    code = (
        "import sys, pathlib; from corpus.shard import *\n"
        "path = pathlib.Path(sys.argv[1]); good = path.read_bytes(); bad = 0\n"
        "for at in range(0, len(good), 7):\n"
        "    path.write_bytes(good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1:])\n"
        "    try: open_shard(path)\n"
        "    except ShardError: bad += 1\n"
        "print(bad)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(shard)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 0


def test_columns_must_be_the_schemas(shard, tmp_path):
    with pytest.raises(ShardError, match=r"has no columns \['id'\]; it has \['text'\]"):
        open_shard(shard, ["text", "id"])
    with pytest.raises(ShardError, match="no columns"):
        list(iterate(shard, ["id"]))
    with pytest.raises(ShardError, match=r"columns \['b', 'a'\] written to a shard of \['a', 'b'\]"):
        batch = pa.record_batch({"b": pa.array([1]), "a": pa.array([1])})
        write_shard(tmp_path / "x", [batch], pa.schema([("a", pa.int64()), ("b", pa.int64())]))


def test_a_null_in_a_column_without_nulls_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'id' with null values"):
        write_shard(
            tmp_path / "x", [pa.table({"id": pa.array([None], pa.binary(16))})], pa.schema([SCHEMA.field("id")])
        )


def test_checksum_is_of_the_file(shard):
    import hashlib

    assert sha256_file(shard) == hashlib.sha256(shard.read_bytes()).hexdigest()


@given(st.lists(ROW, max_size=12))
def test_bytes_of_rows_are_those_of_their_values(rows):
    """Against Python: numbers by their width, text by its UTF-8, lists of numbers by their length."""
    batch = pa.Table.from_pylist(rows, schema=SCHEMA).combine_chunks().to_batches()
    width = {
        "flag": 1,
        "small": 1,
        "row": 4,
        "value": 8,
        "single": 4,
        "when": 8,
        "id": 16,
        "parent": 16,
        "signature": 8,
    }
    expected = [
        sum(width.values())
        + sum(len((row[name] or "").encode()) for name in ("title", "text"))
        + 2 * len(row["tokens"] or [])
        + 4 * len(row["wide"] or [])
        for row in rows
    ]
    assert [int(size) for each in batch for size in row_bytes(each)] == expected


def test_long_texts_end_a_batch_early(tmp_path, monkeypatch):
    """A reader holds a batch: 4,096 books would be gigabytes. The cut is the same however the rows came."""
    monkeypatch.setattr("corpus.shard.BYTES_PER_BATCH", 10_000)
    schema = pa.schema([pa.field("text", pa.large_string())])
    texts = ["书" * 1000, "短", "b" * 9_999, "", "c" * 30_000, *["d"] * 5000, "书" * 4000]
    table = pa.table({"text": pa.array(texts, pa.large_string())})
    hashes = set()
    for size in (1, 7, 5007):
        path = tmp_path / f"{size}.arrow"
        hashes.add(write_shard(path, table.to_batches(max_chunksize=size), schema).sha256)
        assert [batch.num_rows for batch in iterate(path)] == [3, 2, 4096, 905]
        assert open_shard(path)["text"].to_pylist() == texts
    assert len(hashes) == 1
