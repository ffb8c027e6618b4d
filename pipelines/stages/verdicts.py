"""Which rows of an edition are still in: the split's side, less what each verdict stage dropped."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.verdict import VERDICT, Count, ReconciliationError, Tally, count_ids
from pipelines.engine.stage import Context, Item
from pipelines.engine.store import Artifact, StoreError

TRAIN, HELD_OUT, UNFIT = 0, 1, 2  # sides of the split; UNFIT: held out, but fails the fixed rules
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdict rows of one rule on one shard, columns of equal length; rows ascend."""

    rule: str  # name@version
    reason: str
    rows: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    threshold: npt.NDArray[np.float64]
    keeper: Sequence[bytes | None] | None = None


def shard_items(context: Context, role: str = "edition") -> list[Item]:
    """One item a home shard of the edition."""
    edition = context.inputs[role]
    return [
        Item(name.rpartition("-")[2], edition.files[name].bytes, {"shard": index})
        for index, name in enumerate(edition.names("documents"))
    ]


def verdict_inputs(context: Context) -> list[Artifact]:
    """The verdict stages before this one, in their order."""
    return [context.inputs[role] for role in sorted(context.inputs) if role.startswith("verdict.")]


def came_in(context: Context, shard: int, side: int = TRAIN) -> Mask:
    """Rows of a home shard that reach this stage: on `side`, and dropped by no verdict stage before it."""
    split = context.inputs["split"].table(f"split-{shard:05d}", ["side"])
    mask: Mask = split["side"].to_numpy() == side
    for artifact in verdict_inputs(context):
        dropped = artifact.table(f"verdicts-{shard:05d}", ["row"])["row"].to_numpy()
        mask[dropped] = False
    return mask


def due(context: Context) -> Count:
    """Documents that must come into a stage: those its predecessor kept."""
    if getattr(context.what, "side", "") == "held_out":
        return context.inputs["split"].tally.dropped.get("held_out", Count())
    before = verdict_inputs(context)[-1:] or [
        context.inputs[role] for role in ("split", "edition") if role in context.inputs
    ]
    return before[0].tally.kept


def ids_of(edition: Artifact, shard: int) -> pa.Array:
    """The ids of a home shard, in row order."""
    return edition.table(f"documents-{shard:05d}", ["id"])["id"].combine_chunks()


def measured(context: Context, measure: str, shard: int, columns: list[str] | None = None) -> pa.Table:
    """A measure's columns for a home shard; refused when they are of another edition."""
    artifact, edition = context.inputs[f"measure.{measure}"], context.inputs["edition"]
    of = artifact.figures["edition"]
    if of != edition.digest:
        raise StoreError(
            f"stage {context.name} reads measure {measure} of edition {of}, but judges edition {edition.digest}: "
            "put a measure stage after the edition it judges"
        )
    rows, wanted = (a.files[f"{part}-{shard:05d}"].rows for a, part in ((artifact, "columns"), (edition, "documents")))
    if rows != wanted:
        raise StoreError(
            f"{artifact.directory} has {rows} rows in shard {shard}, where its edition has {wanted}: remove that "
            "folder and run again"
        )
    return artifact.table(f"columns-{shard:05d}", columns)


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
