"""The labelled sentences of tests.benchmarks.safety: fixed shapes are found, what looks like them is left."""

from tests.benchmarks.labelled import abuse, personal
from tests.benchmarks.safety import _flagged, _masked, judged


def test_recall_and_precision_by_kind():
    rows = [*judged(personal(), _masked), *judged(abuse(), _flagged)]
    assert len(rows) == 8
    assert all(row.recall >= 0.95 and row.precision >= 0.97 for row in rows), rows
