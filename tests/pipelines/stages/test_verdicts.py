"""in = kept + dropped for any masks and judged rows; the first rule to fail a row names the reason."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.verdict import VERDICT, Count, ReconciliationError, Tally, count_ids
from pipelines.engine.stage import Context, Stage
from pipelines.engine.store import Artifact, StoreError, seal
from pipelines.stages.shard import HELD_OUT, TRAIN, Shard, due, verdict_inputs
from pipelines.stages.verdicts import Judged, verdict_table

RULES = ["short", "语言", "near"]


def judged_of(rule, reason, rows, keepers=None):
    rows = np.array(rows, np.int64)
    return Judged(f"{rule}@2", reason, rows, rows + 0.5, rows + 0.25, keepers)


@st.composite
def cases(draw):
    """Ids, who came in, and for each rule who fails among those."""
    n = draw(st.integers(0, 12))
    ids = draw(st.lists(st.binary(min_size=16, max_size=16), min_size=n, max_size=n, unique=True))
    came = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
    inside = np.flatnonzero(came).tolist()
    fails = [[row for row in inside if draw(st.booleans())] for _ in RULES]
    return ids, came, fails


@given(cases(), st.data())
def test_tables_and_tallies_agree_with_plain_python(case, data):
    ids, came, fails = case
    before = came.copy()
    array = pa.array([b"\x00" * 16, *ids], pa.binary(16)).slice(1)
    keepers = [bytes([row]) * 16 for row in fails[2]]
    judged = [judged_of(r, r, rows, keepers if r == "near" else None) for r, rows in zip(RULES, fails, strict=True)]
    table, tally = verdict_table(array, came, judged)
    tally.check("filter")
    assert np.array_equal(came, before) and table.schema == VERDICT
    expected = []
    for row in range(len(ids)):
        failing = [r for r, rows in zip(RULES, fails, strict=True) if row in rows]
        for rule in failing:
            keeper = bytes([row]) * 16 if rule == "near" else None
            first = rule == failing[0]
            expected.append((ids[row], row, f"{rule}@2", rule, first, row + 0.5, row + 0.25, keeper))
    assert [tuple(row.values()) for row in table.to_pylist()] == expected
    dropped = {row for rows in fails for row in rows}
    inside = [i for i, c in zip(ids, came, strict=True) if c]
    assert tally.came == count_ids(pa.array(inside, pa.binary(16)))
    assert tally.kept.documents == len(inside) - len(dropped)
    firsts = [row for row in table.to_pylist() if row["first"]]
    for reason in RULES:
        mine = [row["id"] for row in firsts if row["reason"] == reason]
        assert tally.dropped.get(reason, count_ids(pa.array([], pa.binary(16)))) == count_ids(
            pa.array(mine, pa.binary(16))
        )
    if len(ids) > came.sum():  # a row that did not come in, judged: the tally shows it
        stranger = data.draw(st.sampled_from(np.flatnonzero(~came).tolist()))
        _, wrong = verdict_table(array, came, [*judged, judged_of("x", "x", [stranger])])
        with pytest.raises(ReconciliationError):
            wrong.check("filter")


@pytest.mark.parametrize("rows", [[1, 1], [2, 1]])
def test_a_row_judged_twice_is_refused(rows):
    ids = pa.array([bytes([i]) * 16 for i in range(3)], pa.binary(16))
    with pytest.raises(ReconciliationError, match="short@2 judges a row twice, or its rows do not ascend"):
        verdict_table(ids, np.ones(3, bool), [judged_of("short", "short", rows)])


def test_two_rules_of_one_reason_add_up():
    ids = pa.array([bytes([i]) * 16 for i in range(3)], pa.binary(16))
    table, tally = verdict_table(ids, np.ones(3, bool), [judged_of("a", "bad", [0, 1]), judged_of("b", "bad", [1, 2])])
    tally.check("x")
    assert tally.dropped["bad"].documents == 3 and table["first"].to_pylist() == [True, True, False, True]


IDS = [bytes([i]) * 16 for i in range(1, 7)]


def sealed(root, kind, tables, figures=None):
    """A finished stage of tables by logical name."""
    stage = Stage(kind, kind, 1, None, {}, (), str)
    context = Context(kind, kind, None, root / kind, {}, {})
    context.directory.mkdir()
    with context.begin("all", "0") as attempt:
        for name, table in tables.items():
            attempt.shard(name, [table], table.schema)
    from corpus.verdict import Tally

    seal(context.directory, stage.identity, context.commits("all"), figures or {}, Tally(), {})
    return Artifact.load(kind, stage.digest, context.directory)


def test_who_came_in_is_the_split_less_every_verdict_before(tmp_path):
    side = pa.table({"side": pa.array([TRAIN, TRAIN, HELD_OUT, TRAIN, TRAIN, HELD_OUT], pa.uint8())})
    ids = pa.array(IDS, pa.binary(16))
    edition = sealed(tmp_path, "edit", {"documents-00000": pa.table({"id": ids})})
    one, _ = verdict_table(ids, np.ones(6, bool), [judged_of("a", "a", [0])])
    none, _ = verdict_table(ids, np.ones(6, bool), [])
    length = pa.table({"bytes": [1, 2, 3, 4, 5, 6]})
    inputs = {
        "edition": edition,
        "sides": sealed(tmp_path, "split", {"sides-00000": side}),
        "verdict.01": sealed(tmp_path, "dedupe", {"verdicts-00000": none}),
        "verdict.00": sealed(tmp_path, "filter", {"verdicts-00000": one}),
        "measure.length": sealed(tmp_path, "m", {"columns-00000": length}, {"edition": edition.digest}),
        "measure.old": sealed(tmp_path, "o", {"columns-00000": length}, {"edition": "another"}),
    }
    context = Context("next", "filter", None, tmp_path / "next", inputs, {})
    assert [artifact.kind for artifact in verdict_inputs(context)] == ["filter", "dedupe"]
    assert Shard(context, 0).came_in().tolist() == [False, True, False, True, True, False]
    assert Shard(context, 0).came_in(HELD_OUT).tolist() == [False, False, True, False, False, True]
    assert Shard(context, 0).ids.to_pylist() == IDS
    assert Shard(context, 0).measured("length", ["bytes"])["bytes"].to_pylist() == [1, 2, 3, 4, 5, 6]
    with pytest.raises(StoreError, match=r"next reads measure.old of edition another, but judges .* put its stage"):
        Shard(context, 0).measured("old")


def test_what_comes_in_is_what_the_stage_before_kept(tmp_path):
    """A stage whose own ledger balances may still have missed documents."""
    from types import SimpleNamespace

    from pipelines.engine.execute import make
    from pipelines.engine.runner import Workers
    from pipelines.engine.stage import Program, Totals

    def artifact(kept, **dropped):
        return SimpleNamespace(
            tally=Tally(kept=Count(kept, kept), dropped={k: Count(v, v) for k, v in dropped.items()})
        )

    inputs = {"edition": artifact(9), "sides": artifact(6, held_out=2, unfit_length=1), "verdict.00": artifact(5)}
    inputs["verdict.01"] = artifact(4)

    def context(kind, what=None, *roles):
        return Context("x", kind, what, tmp_path / kind, {role: inputs[role] for role in roles}, {})

    assert due(context("tokenize", None, "edition", "sides", "verdict.00", "verdict.01")) == Count(4, 4)
    assert due(context("filter", None, "edition", "sides")) == Count(6, 6)
    assert due(context("measure", None, "edition")) == Count(9, 9)
    assert due(context("tokenize", SimpleNamespace(side="held_out"), "edition", "sides")) == Count(2, 2)
    stage = Stage("x", "filter", 1, None, {}, (), str)
    lost = Program(
        "filter", 1, (), (), lambda c: Totals(Tally(came=Count(5, 5), kept=Count(5, 5))), due=due, beam=False
    )
    with pytest.raises(ReconciliationError, match="x: 5 documents came in, but the stage before kept 6"):
        make(lost, [stage], (context("filter", None, "edition", "sides"),), Workers(), print)
    assert not (tmp_path / "filter" / "manifest.json").exists()
