"""The labelled sentences of tests.benchmarks.safety: fixed shapes are found, what looks like them is left."""

from corpus.pii import MASKS
from tests.benchmarks.labelled import abuse, personal
from tests.benchmarks.safety import _flagged, _masked, judged


def test_recall_and_precision_by_kind():
    rows = [*judged(personal(), _masked), *judged(abuse(), _flagged)]
    assert {row.tool.removeprefix("siku ") for row in rows} == {*MASKS, "abuse"}
    assert len(rows) == 2 * (len(MASKS) + 1)
    assert sum(1 for _ in personal()) >= 1500
    assert all(row.recall >= 0.95 and row.precision >= 0.97 for row in rows), rows
