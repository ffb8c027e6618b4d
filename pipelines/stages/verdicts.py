"""Verdicts of a home shard: rows of the ledger, and the shard's tally."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.verdict import VERDICT, Count, ReconciliationError, Tally, count_ids
from pipelines.stages.shard import Mask


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdict rows of one rule on one shard, columns of equal length; rows ascend."""

    rule: str  # name@version
    reason: str
    rows: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    threshold: npt.NDArray[np.float64]
    keeper: Sequence[bytes | None] | None = None


def verdict_table(ids: pa.Array, came: Mask, judged: Sequence[Judged]) -> tuple[pa.Table, Tally]:
    """Rows of the ledger, sorted by row and then in the order given, and the shard's tally.

    The first rule to fail a row names the reason in the funnel. A judged row that did not come in makes a tally
    that fails its check. Raises ReconciliationError for a row that one rule judges twice.
    """
    for one in judged:
        if np.any(np.diff(one.rows) <= 0):
            raise ReconciliationError(f"{one.rule} judges a row twice, or its rows do not ascend")
    row = np.concatenate([j.rows for j in judged] or [np.empty(0, np.int64)])
    which = np.concatenate([np.full(len(j.rows), i) for i, j in enumerate(judged)] or [np.empty(0, np.int64)])
    order = np.lexsort((which, row))
    row, which = row[order], which[order]
    first = np.ones(len(row), bool)
    first[1:] = row[1:] != row[:-1]
    keepers: list[bytes | None] = [k for j in judged for k in (j.keeper or [None] * len(j.rows))]
    names, reasons = [j.rule for j in judged], [j.reason for j in judged]
    table = pa.table(
        [
            ids.take(pa.array(row)),
            pa.array(row, pa.uint32()),
            pa.array([names[i] for i in which], pa.string()),
            pa.array([reasons[i] for i in which], pa.string()),
            pa.array(first),
            pa.array(np.concatenate([j.value for j in judged] or [np.empty(0)])[order], pa.float64()),
            pa.array(np.concatenate([j.threshold for j in judged] or [np.empty(0)])[order], pa.float64()),
            pa.array([keepers[i] for i in order], pa.binary(16)),
        ],
        schema=VERDICT,
    )
    kept = came.copy()
    kept[row] = False
    dropped: dict[str, Count] = {}
    for index, reason in enumerate(reasons):
        rows = row[first & (which == index)]
        if len(rows):
            dropped[reason] = dropped.get(reason, Count()) + count_ids(ids.take(pa.array(rows)))
    return table, Tally(
        came=count_ids(ids.filter(pa.array(came))), kept=count_ids(ids.filter(pa.array(kept))), dropped=dropped
    )
