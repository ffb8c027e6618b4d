"""Stars and components against brute force: the same labels whatever the files, their order and the buckets."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.dedup import bands
from pipelines.engine.stage import Context, Stage
from pipelines.engine.store import Artifact, seal
from pipelines.engine.work import do_item
from pipelines.stages.grouping import EXACT, KEYS, LABELS, NEAR, PATH, Grouping, copies, label, labels, similar, stars
from pipelines.stages.shard import Shard


def identifier(n):
    return n.to_bytes(2, "big") + bytes(14)


def keys_of(rows):
    """KEYS of (key, why, document) triples; document n is row n // 3 of shard n % 3."""
    rows = sorted(rows, key=lambda r: (r[0], r[2]))
    columns = [
        [r[0] for r in rows],
        [r[1] for r in rows],
        [identifier(r[2]) for r in rows],
        [r[2] % 3 for r in rows],
        [r[2] // 3 for r in rows],
    ]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, KEYS, strict=True)], schema=KEYS)


def brute(pairs):
    """Smallest member of each document's component, by joining until nothing changes."""
    groups = [{a, b} for a, b in pairs]
    merged = True
    while merged:
        merged = False
        for one, other in itertools.combinations(groups, 2):
            if one & other:
                one |= other
                groups.remove(other)
                merged = True
                break
    return {member: min(group) for group in groups for member in group}


def as_labels(table):
    return {int.from_bytes(r["id"][:2], "big"): int.from_bytes(r["label"][:2], "big") for r in table.to_pylist()}


ROWS = st.lists(st.tuples(st.integers(0, 8), st.sampled_from([NEAR, PATH, EXACT]), st.integers(0, 25)), max_size=40)


@given(ROWS, st.randoms())
def test_stars_and_components_equal_brute_force(rows, random):
    rows = [(key * 3 + why, why, document) for key, why, document in rows]  # as key_table: kinds never share a key
    table = keys_of(rows)
    edges = stars(table)
    by_key = {}
    for key, _, document in rows:
        by_key.setdefault(key, set()).add(document)
    expected = {(key % 3, min(g), d) for key, g in by_key.items() for d in g if d != min(g)}
    found = [
        (r["why"], int.from_bytes(r["a_id"][:2], "big"), int.from_bytes(r["b_id"][:2], "big"))
        for r in edges.to_pylist()
    ]
    assert sorted(found) == sorted(expected)  # a star to the smallest id, each edge once
    for row in edges.to_pylist():
        for side in "ab":
            document = int.from_bytes(row[f"{side}_id"][:2], "big")
            assert (row[f"{side}_shard"], row[f"{side}_row"]) == (document % 3, document // 3)
    truth = brute([(a, b) for _, a, b in found])
    order = list(range(edges.num_rows))
    random.shuffle(order)
    once, again = label(edges), label(edges.take(pa.array(order, pa.int64())))
    assert once.schema == LABELS and once.equals(again)
    assert as_labels(once) == truth
    ids = once["id"].to_pylist()
    assert ids == sorted(set(ids))


def test_no_edges():
    assert stars(KEYS.empty_table()).num_rows == 0
    assert label(stars(KEYS.empty_table())).equals(LABELS.empty_table())


def test_a_long_chain_is_one_component():
    n = 20_000
    rng = np.random.default_rng(0)
    chain = rng.permutation(n)
    rows = [(k, NEAR, int(d)) for k in range(n - 1) for d in (chain[k], chain[k + 1])]
    found = as_labels(label(stars(keys_of(rows))))
    assert len(found) == n and set(found.values()) == {0}


# A whole grouping, over an edition of three shards with a signature measure.

PERMUTATIONS = 8
DOCUMENTS = 5000  # more than a batch in each shard


def signatures_of(n):
    """Documents in families of five that share their signature, but for its last value."""
    out = np.tile(np.arange(n)[:, None] // 5 * 1000, (1, PERMUTATIONS)) + np.arange(PERMUTATIONS)
    out[:, -1] = np.arange(n) % 5
    return out.astype("<u4")


def sealed(root, kind, tables, figures):
    from corpus.verdict import Tally

    stage = Stage(kind, kind, 1, None, {}, (), str)
    context = Context(kind, kind, None, root / kind, {}, {})
    context.directory.mkdir(parents=True)
    with context.begin("all", "0") as attempt:
        for name, table in tables.items():
            attempt.shard(name, [table], table.schema, compressed=False)
    seal(context.directory, stage.identity, context.commits("all"), figures, Tally(), {})
    return Artifact.load(kind, stage.digest, context.directory)


def corpus(root, shards):
    """Edition and signatures, documents dealt to shards by range of their id."""
    per = -(-DOCUMENTS // shards)
    signature = signatures_of(DOCUMENTS)
    editions, columns = {}, {}
    for shard in range(shards):
        members = range(shard * per, min((shard + 1) * per, DOCUMENTS))
        editions[f"documents-{shard:05d}"] = pa.table({"id": pa.array([identifier(n) for n in members], pa.binary(16))})
        raw = [signature[n].tobytes() for n in members]
        columns[f"columns-{shard:05d}"] = pa.table({"signature": pa.array(raw, pa.binary(4 * PERMUTATIONS))})
    edition = sealed(root, "edit", editions, {})
    return {"edition": edition, "measure.signature": sealed(root, "signature", columns, {"edition": edition.digest})}


def some_keys(shard):
    """Families meet in a band; every hundredth document has one text with its neighbour in another family."""
    from pipelines.stages.grouping import signatures
    from pipelines.stages.split import key_table

    ids = shard.ids
    number = np.array([int.from_bytes(i[:2], "big") for i in ids.to_pylist()])
    rows = np.arange(len(number))
    near = bands(signatures(shard, "signature"), 2, 2)
    twin = np.flatnonzero((number // 5) % 100 < 2)
    exact = ((number[twin] // 1000) * 5 + number[twin] % 5).astype(np.uint64)
    return key_table(shard, [(near.ravel(), np.repeat(rows, near.shape[1]), NEAR), (exact, twin, EXACT)])


def some_edges(context, edges):
    return similar(context, edges, "signature", 0.8)


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    """Labels and copies of the same documents in one, three and seven shards."""
    out = {}
    for shards in (1, 3, 7):
        root = tmp_path_factory.mktemp(f"shards{shards}")
        context = Context("g", "dedupe", None, root / "g", corpus(root, shards), {})
        context.directory.mkdir()
        for step in Grouping(some_keys, some_edges).phases():
            phase = step((context,))
            for item in reversed(phase.items):
                do_item((context,), phase, item)
        found = pa.concat_tables([labels(Shard(context, shard)) for shard in range(shards)])
        twins = pa.concat_tables([copies(Shard(context, shard)) for shard in range(shards)])
        for shard in range(shards):
            part = labels(Shard(context, shard))
            assert set(part["shard"].to_pylist()) <= {shard} and part["row"].to_pylist() == sorted(
                part["row"].to_pylist()
            )
        out[shards] = (found.select(["id", "label"]), twins.select(["id", "label"]))
    return out


def test_a_grouping_is_the_same_in_any_number_of_shards(grouped):
    one = grouped[1]
    assert one[0].num_rows == DOCUMENTS and one[1].num_rows > 0
    for shards in (3, 7):
        for mine, theirs in zip(grouped[shards], one, strict=True):
            key = [("id", "ascending"), ("label", "ascending")]
            assert mine.sort_by(key).equals(theirs.sort_by(key))


def test_families_and_twins_are_what_they_were_made(grouped):
    found, twins = (as_labels(table) for table in grouped[1])
    for document, smallest in found.items():
        family = document // 5
        joined = family - 1 if family % 100 == 1 else family  # by the text it shares with the family before
        if family % 200 in (100, 101):
            joined = family // 200 * 200  # the next hundred's twins have the same texts
        assert smallest == joined * 5, (document, smallest)
    assert all(keeper < document and keeper % 5 == document % 5 for document, keeper in twins.items())


def test_near_edges_are_verified_and_sure_ones_are_not(tmp_path):
    inputs = corpus(tmp_path, 3)
    context = Context("g", "dedupe", None, tmp_path / "g", inputs, {})
    per = -(-DOCUMENTS // 3)
    pairs = [(0, 1, NEAR), (0, 5, NEAR), (0, 5, PATH), (0, 5, EXACT), (4500, 4501, NEAR), (10, 4999, NEAR)]
    columns = [[p[2] for p in pairs]]
    for side in (0, 1):
        columns += [
            [identifier(p[side]) for p in pairs],
            [p[side] // per for p in pairs],
            [p[side] % per for p in pairs],
        ]
    from pipelines.stages.grouping import EDGES

    edges = pa.table([pa.array(c, f.type) for c, f in zip(columns, EDGES, strict=True)], schema=EDGES)
    assert similar(context, edges, "signature", 0.8).tolist() == [True, False, True, True, True, False]
    assert similar(context, edges, "signature", 0.9).tolist() == [False, False, True, True, False, False]
    assert similar(context, edges, "signature", 7 / 8).tolist()[0]
    assert similar(context, edges.slice(0, 0), "signature", 0.8).tolist() == []
