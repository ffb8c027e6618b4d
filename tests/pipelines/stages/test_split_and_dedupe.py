"""Split and dedupe over planted families, in shards of more than a batch, against a reference in plain Python."""

import hashlib
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from corpus.dedup import Bands, ExactKey, PathKey
from corpus.filters import RangeRule
from pipelines.engine.stage import Context
from pipelines.engine.work import do_item
from pipelines.stages import dedupe, split
from pipelines.stages.shard import HELD_OUT, OUT, TRAIN, UNFIT
from tests.pipelines.stages.bench import Bench, counted, identifier, table_of, verdicts_of

PERMUTATIONS = 16
LIKE, UNLIKE = 12, 6  # values in which a family agrees, and in which a stranger shares a band with it
# Examples are too large to be made smaller.
SMALL = settings(max_examples=2, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])


def planted(seed: int, documents: int, shares: tuple[float, float, float]) -> list[dict]:
    """Documents of families that agree in LIKE values; strangers that share a band and no more; copies of a text;
    translations by URL. What each belongs to is in its row."""
    rng = np.random.default_rng(seed)
    rows: list[dict] = []
    while len(rows) < documents:
        n = len(rows)
        base = rng.integers(0, 1 << 32, PERMUTATIONS, dtype=np.uint32)
        kind = rng.choice(4, p=[*shares, 1 - sum(shares)])
        size = 1 if kind == 3 else int(rng.integers(2, 7))
        for member in range(size):
            signature = rng.integers(0, 1 << 32, PERMUTATIONS, dtype=np.uint32)
            row = {"id": identifier(f"{seed} {n} {member}"), "family": (n, member), "signature": signature}
            row |= {"url": f"http://h.org/a/{n}-{member}.html", "exact": identifier(f"text {n} {member}")}
            if kind == 0:
                row["family"] = (n,)
                signature[:LIKE] = base[:LIKE]
            elif kind == 1:
                signature[:UNLIKE] = base[:UNLIKE]
            elif kind == 2:
                row |= {"exact": identifier(f"text {n}"), "text_of": n}
            row["bytes"] = int(rng.integers(0, 1000))
            if kind == 3 and n % 2:
                language = ("zh", "en", "tw")
                row["url"], row["page"] = f"http://h.org/{language[n % 3]}/p/{n // 16}.html", n // 16
            rows.append(row)
    return rows


def bench(root: Path, rows: list[dict]) -> Bench:
    made = Bench(root, rows)
    signatures = [row["signature"].astype("<u4").tobytes() for row in made.rows]
    made.measure("signature", pa.table({"signature": pa.array(signatures, pa.binary(4 * PERMUTATIONS))}))
    made.measure("exact", pa.table({"exact": pa.array([row["exact"] for row in made.rows], pa.binary(16))}))
    made.measure("length", pa.table({"bytes": pa.array([row["bytes"] for row in made.rows])}))
    made.measure("language", pa.table({"language": ["zh"] * len(rows)}))
    made.keys(path=PathKey(), exact=ExactKey(), near=Bands(bands=4, rows=4))
    assert min(np.diff(made.edges)) > 4096  # more than a batch in each shard
    return made


def joined(rows: list[dict], *by: str) -> dict[bytes, bytes]:
    """Smallest id of each row's group: rows that have one of some properties in common."""
    root = {row["id"]: row["id"] for row in rows}

    def top(x: bytes) -> bytes:
        while root[x] != x:
            x = root[x]
        return x

    for name in by:
        holders = defaultdict(list)
        for row in rows:
            if name in row:
                holders[row[name]].append(row["id"])
        for ids in holders.values():
            for other in ids[1:]:
                one, two = sorted((top(ids[0]), top(other)))
                root[two] = one
    return {x: top(x) for x in root}


def drawn(group: bytes, salt: str) -> float:
    return int.from_bytes(hashlib.sha256(salt.encode() + group).digest()[:8], "big") / 2**64


CASES = st.tuples(st.integers(0, 1 << 30), st.sampled_from([(0.2, 0.1, 0.2), (0.5, 0.0, 0.3), (0.0, 0.5, 0.1)]))


@given(CASES, st.sampled_from([0.1, 0.5]), st.sampled_from(["siku", "盐"]))
@SMALL
def test_a_split_keeps_groups_together_and_its_ledger_says_who_went_where(case, share, salt):
    rows = planted(case[0], 9000, case[1])
    with tempfile.TemporaryDirectory() as folder:
        made = bench(Path(folder), rows)
        rules = {"length": RangeRule(order=1, column="length.bytes", minimum={"other": 100})}
        keys = ["path", "exact", "near"]
        what = split.SplitStage(input="keys", keys=keys, near=0.7, held_out=share, salt=salt, rules=rules)
        done = made.made("split", split.PROGRAM, what)
        sides = {row["id"]: row for row in table_of(done, "sides").to_pylist()}
        verdicts = verdicts_of(done)
    groups = joined(rows, "family", "text_of", "page")
    assert {i: row["group"] for i, row in sides.items()} == groups
    out = {row["id"] for row in rows if drawn(groups[row["id"]], salt) < share}
    short = {row["id"] for row in rows if row["bytes"] < 100} & out
    first = joined([row for row in rows if "text_of" in row], "text_of")
    copies = {i: smallest for i, smallest in first.items() if i != smallest and i in out}
    unfit = short | copies.keys()
    expected = {i: HELD_OUT if i in out - unfit else UNFIT if i in unfit else TRAIN for i in groups}
    assert {i: row["side"] for i, row in sides.items()} == expected
    assert {i: row["reason"] for i, row in verdicts.items()} == {
        i: "unfit_length" if i in short else "unfit_held_out_copy" for i in unfit
    }
    assert {i: row["keeper"] for i, row in verdicts.items()} == {
        i: copies.get(i) if i not in short else None for i in unfit
    }
    dropped = {"held_out": out - unfit, "unfit_length": short, "unfit_held_out_copy": copies.keys() - short}
    assert done.tally.dropped == {reason: counted(ids) for reason, ids in dropped.items() if ids}
    assert (done.tally.came, done.tally.kept) == (counted(groups), counted(groups.keys() - out))
    assert done.figures["largest_group"] == max(Counter(groups.values()).values())


@given(CASES, st.integers(0, 1 << 30))
@SMALL
def test_dedupe_keeps_the_smallest_kept_document_of_each_family_and_names_it(case, seed):
    rows = planted(case[0], 9000, case[1])
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        made = bench(Path(folder), rows)
        side = rng.choice([TRAIN, HELD_OUT, UNFIT, OUT], len(rows), p=[0.7, 0.1, 0.1, 0.1])
        made.sides(side)
        gone = (side == TRAIN) & (rng.random(len(rows)) < 0.2)
        made.drop(side == TRAIN, gone)
        done = made.made("dedupe", dedupe.PROGRAM, dedupe.DedupeStage(input="filter", keys=["near"], jaccard=0.7))
        verdicts = verdicts_of(done)
    inside = [row for row, here in zip(made.rows, (side == TRAIN) & ~gone, strict=True) if here]
    groups = joined(inside, "family")
    assert {i: row["keeper"] for i, row in verdicts.items()} == {i: g for i, g in groups.items() if i != g}
    by_id = {row["id"]: row["signature"] for row in rows}
    for i, row in verdicts.items():
        assert (row["rule"], row["reason"], row["threshold"]) == ("near_duplicate@1", "near_duplicate", 0.7)
        assert row["value"] == (by_id[i] == by_id[groups[i]]).mean()
    kept = set(groups.values())
    assert done.tally.kept == counted(kept) and done.tally.came == counted(groups)
    assert done.tally.dropped == {"near_duplicate": counted(groups.keys() - kept)} or not verdicts


@given(st.integers(0, 1 << 30))
@settings(SMALL, max_examples=1)
def test_what_a_finished_run_kept_comes_first_and_nothing_else_of_it(seed):
    """A keeper is one that run kept, or else the smallest own document; what it kept is the same capture."""
    rows = planted(seed, 18_000, (0.5, 0.1, 0.2))
    rng = np.random.default_rng(seed)
    where = rng.choice(["earlier", "own", "both"], len(rows), p=[0.45, 0.45, 0.1])
    with tempfile.TemporaryDirectory() as folder:
        run, made = (
            bench(Path(folder) / name, [row for row, at in zip(rows, where, strict=True) if at in (name, "both")])
            for name in ("earlier", "own")
        )
        side = rng.choice([TRAIN, HELD_OUT, OUT], len(run.rows), p=[0.8, 0.1, 0.1])
        run.sides(side)
        gone = (side == TRAIN) & (rng.random(len(run.rows)) < 0.2)
        run.drop(side == TRAIN, gone)
        kept = {row["id"]: row for row, here in zip(run.rows, (side == TRAIN) & ~gone, strict=True) if here}
        roles = ("edition", "sides", "verdict.00", "key.near", "measure.signature")
        made.inputs |= {f"against.last.{role}": run.inputs[role] for role in roles}
        what = dedupe.DedupeStage(input="filter", keys=["near"], against={"last": "run"})
        done = made.made("dedupe", dedupe.PROGRAM, what, memory=1 << 20)
        verdicts = verdicts_of(done)
    own = {row["id"]: row for row in made.rows}
    again, new = own.keys() & kept.keys(), own.keys() - kept.keys()
    assert len(again) > 500 and len(own.keys() & {row["id"] for row in run.rows}) > len(again) + 100
    members = defaultdict(list)
    for rank, ids in enumerate((kept, new)):
        for i in ids:
            members[(own.get(i) or kept[i])["family"]].append((rank, i))
    first = {i: min(group)[1] for group in members.values() for rank, i in group if rank}
    near = {i: keeper for i, keeper in first.items() if i != keeper}
    assert len([keeper for keeper in near.values() if keeper in kept]) > 500
    wanted = {i: ("same_capture", i) for i in again} | {i: ("near_duplicate", keeper) for i, keeper in near.items()}
    assert {i: (row["reason"], row["keeper"]) for i, row in verdicts.items()} == wanted
    assert (done.tally.came, done.tally.kept) == (counted(own), counted(new - near.keys()))
    assert done.tally.dropped == {"same_capture": counted(again), "near_duplicate": counted(near)}


def test_union_find_and_rounds_write_the_same(tmp_path):
    """The memory decides how components are found, and never what is written."""
    made = bench(tmp_path, planted(5, 9000, (0.5, 0.1, 0.2)))
    hashes = set()
    for memory in (1 << 30, 1 << 20):
        what = split.SplitStage(input="keys", keys=["path", "exact", "near"], near=0.7, rules={})
        done = made.made(f"split{memory}", split.PROGRAM, what, memory=memory)
        duplicates = dedupe.DedupeStage(input="keys", keys=["near"])
        hashes.add(
            (done.content_hash, made.made(f"dedupe{memory}", dedupe.PROGRAM, duplicates, memory=memory).content_hash)
        )
    assert len(hashes) == 1


def test_a_group_too_large_to_hold_out_trains(tmp_path):
    """However the draw falls, a chain of similar documents never becomes the yardstick."""
    rows = planted(3, 9000, (0.0, 0.0, 0.0))
    chain = [dict(row, page="one") for row in rows[:300]]
    for row in chain:
        row["url"] = "http://h.org/zh/one.html"
    made = bench(tmp_path, [*chain, *rows[300:]])
    for share, most in ((0.999999, 299), (0.999999, 300)):
        what = split.SplitStage(
            input="keys", keys=["path"], held_out=share, max_group=most, max_held_out=10**9, rules={}
        )
        done = made.made(f"split{most}", split.PROGRAM, what)
        sides = {row["id"]: row["side"] for row in table_of(done, "sides").to_pylist()}
        assert {sides[row["id"]] for row in chain} == {TRAIN if most == 299 else HELD_OUT}
        assert done.figures["largest_group"] == 300
        assert done.figures["too_large_to_hold_out"] == (300 if most == 299 else 0)


def test_a_shard_of_many_documents_is_keyed_in_the_memory_of_one_of_few(tmp_path):
    """A home shard's keys go through in batches: what is held is the sorter's share of site.memory, not the shard."""
    peaks = []
    for documents in (9000, 45_000):
        rows = [
            {"id": identifier(n), "url": f"http://h.org/{n}.html", "exact": identifier(-n), "bytes": 1}
            | {"signature": np.full(PERMUTATIONS, n, np.uint32)}
            for n in range(documents)
        ]
        made = bench(tmp_path / str(documents), rows)
        what = dedupe.DedupeStage(input="keys", keys=["path", "exact", "near"])
        context = Context("dedupe", "dedupe", what, tmp_path / f"of-{documents}", made.inputs, {"memory": 1 << 20})
        context.directory.mkdir()
        phase = next(dedupe.GROUPING.phases((context,)))
        before, pool = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
        pa.set_memory_pool(pool)
        try:
            do_item((context,), phase, phase.items[0])
        finally:
            pa.set_memory_pool(before)
        assert context.commit("keys", "00000").files["keys-00000"].rows > 2.5 * documents
        peaks.append(pool.max_memory())
    assert peaks[1] < 1.5 * peaks[0], peaks
