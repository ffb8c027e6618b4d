"""The most documents held out, against all draws sorted in plain Python."""

import hashlib
import tempfile
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from corpus.dedup import ExactKey
from corpus.filters import RangeRule
from pipelines.engine import shuffle
from pipelines.engine.stage import Context
from pipelines.stages import draws, split
from pipelines.stages.shard import HELD_OUT, UNFIT
from tests.pipelines.stages.bench import Bench, counted, identifier, table_of, verdicts_of

EXAMPLES = settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SENTENCES = {"en": "The old house stands at the corner of the street. {}", "zh": "街角那座老房子已经没有人住了。{}"}
LONGEST = 6  # documents of a text


@cache
def texts(documents: int) -> list[dict]:
    """Documents of texts in both scripts, each of one to LONGEST documents; every tenth is short."""
    rng, rows, number = np.random.default_rng(7), [], 0
    while len(rows) < documents:
        language = "zh" if number % 2 else "en"
        value = SENTENCES[language].format(number)
        same = {"text": value, "exact": identifier(value), "language": language, "bytes": int(rng.integers(0, 1000))}
        for copy in range(int(rng.choice([1, 1, 1, 1, 2, 3, LONGEST]))):
            rows.append({"id": identifier(f"{number} {copy}"), **same})
        number += 1
    return rows


def bench(root: Path, rows: list[dict], shards: int) -> Bench:
    made = Bench(root, rows, shards)
    for name, column, kind in (("exact", "exact", pa.binary(16)), ("length", "bytes", pa.int64())):
        made.measure(name, pa.table({column: pa.array([row[column] for row in made.rows], kind)}))
    made.measure("language", pa.table({"language": [row["language"] for row in made.rows]}))
    made.keys(exact=ExactKey())
    return made


@pytest.fixture(scope="module")
def benches(tmp_path_factory):
    """The same documents in one home shard and in four."""
    return {n: bench(tmp_path_factory.mktemp(f"of{n}"), texts(9000 * (1 + (n > 1))), n) for n in (1, 2, 4)}


def chosen(rows: list[dict], share: float, most: int, largest: int, salt: str, bits: int = 64) -> set[bytes]:
    """All draws sorted, and taken while their documents fit."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["exact"]].append(row["id"])
    drawn = []
    for ids in groups.values():
        value = int(hashlib.sha256(salt.encode() + min(ids)).hexdigest()[:16], 16) >> (64 - bits) << (64 - bits)
        if value < share * 2**64 and len(ids) <= min(largest, most):
            drawn.append((value, min(ids), ids))
    out = set()
    for _, _, ids in sorted(drawn):
        if len(out) + len(ids) > most:
            break
        out.update(ids)
    return out


def made(of: Bench, name: str, **what):
    rules = {"length": RangeRule(order=1, column="length.bytes", minimum={"other": 100, "en": 100, "zh": 100})}
    return of.made(name, split.PROGRAM, split.SplitStage(input="keys", keys=["exact"], rules=rules, **what))


def held(done) -> set[bytes]:
    """Documents drawn, those that fail a rule too."""
    return {row["id"] for row in table_of(done, "sides").to_pylist() if row["side"] in (HELD_OUT, UNFIT)}


@given(
    st.sampled_from([2, 4]),
    st.sampled_from([0.05, 0.5]),
    st.one_of(st.integers(1, 60), st.integers(60, 9000)),
    st.integers(1, LONGEST),
    st.sampled_from(["siku", "盐"]),
    st.sampled_from([4, 64]),
)
@EXAMPLES
def test_the_lowest_draws_are_held_out_and_no_document_more(
    benches, monkeypatch, shards, share, most, largest, salt, bits
):
    """Groups stay whole, equal draws go by their group, and the ledger says where each document went."""
    of = benches[shards]
    plain, shift = draws.draw, 64 - bits
    rows, expected = of.rows, chosen(of.rows, share, most, largest, salt, bits)
    assert min(np.diff(of.edges)) > 4096
    with monkeypatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(draws, "draw", lambda group, salt: (plain(group, salt)[0] >> shift << shift, group))
        patch.setattr(shuffle, "FAN_IN", 3)  # four files go in two levels, two in one
        done = made(of, f"{folder[1:]}/split", held_out=share, max_held_out=most, max_group=largest, salt=salt)
    assert held(done) == expected and len(expected) <= most
    verdicts, out = verdicts_of(done), counted(expected)
    left = expected - verdicts.keys()
    assert done.tally.came == counted([row["id"] for row in rows])
    assert done.tally.kept == counted({row["id"] for row in rows} - expected)
    assert done.tally.dropped.get("held_out", counted([])) == counted(left)
    dropped = list(done.tally.dropped.values())
    assert sum(each.documents for each in dropped) == out.documents
    assert sum(each.id_sum for each in dropped) % 2**128 == out.id_sum
    assert {row["reason"] for row in verdicts.values()} <= {"unfit_length", "unfit_held_out_copy"}


def test_shards_change_no_side_and_a_larger_corpus_takes_no_older_document_in(benches, tmp_path):
    whole = bench(tmp_path, texts(18_000), 1)
    grown = {}
    for most in (50, 700):
        in_one, in_four = (
            held(made(of, f"grown-{most}", held_out=0.5, max_held_out=most)) for of in (whole, benches[4])
        )
        assert in_one == in_four
        before = held(made(benches[1], f"before-{most}", held_out=0.5, max_held_out=most))
        old = {row["id"] for row in benches[1].rows}
        assert in_one & old <= before and most - LONGEST < len(in_one) <= most
        grown[most] = in_one
    assert grown[50] < grown[700]


def test_draws_are_not_counted_where_there_are_no_more_documents_than_wanted(benches):
    """What cannot bind costs nothing."""
    of, few = benches[1], []
    for most in (len(of.rows) - 1, len(of.rows)):
        what = split.SplitStage(input="keys", keys=["exact"], held_out=0.5, max_held_out=most, rules={})
        context = Context("split", "split", what, of.root / f"few-{most}", of.inputs, {})
        few.append([phase.name for phase in draws.phases((context,))])
    assert few == [["draws", "draws-regroup", "counts", "limit"], []]
    assert held(made(of, "all", held_out=0.5, max_held_out=len(of.rows))) == chosen(of.rows, 0.5, 10**9, 100, "siku")
