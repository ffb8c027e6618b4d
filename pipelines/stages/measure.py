"""Measure stages: one artefact a measure, aligned row for row with its edition; one pass makes all that miss."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import pyarrow as pa

from corpus.configuration import Doc, configuration
from corpus.document import DOCUMENT
from corpus.measure import checked
from corpus.measures import AnyMeasure
from corpus.verdict import Tally, count_ids
from pipelines.engine import roles
from pipelines.engine.identity import UNICODE, StageName
from pipelines.engine.stage import Context, Job, Phase, Program, Totals
from pipelines.engine.store import Attempt, StoreError, sum_tallies
from pipelines.stages.shard import Shard, due_of_edition, shard_phase


@configuration
class MeasureStage:
    """What may be measured of an edition; only what some stage reads is."""

    kind: Literal["measure"] = "measure"
    input: Annotated[StageName, Doc("the edition to measure")]
    measures: Annotated[dict[str, AnyMeasure], Doc("measures by name; rules read them as `name.column`")]


@dataclass(frozen=True, slots=True)
class OneMeasure:
    """What a measure stage is made of: the measure, and nothing of its neighbours."""

    version: ClassVar[int] = 1
    measure: AnyMeasure


def measure_shard(work: Sequence[tuple[Shard, Attempt]]) -> None:
    """Read a home shard once and compute every measure that misses it, each committed under its own digest."""
    # By position: two cells of a sweep may measure under one name with other parameters.
    columns: list[list[pa.RecordBatch]] = [[] for _ in work]
    tally = Tally()
    first = work[0][0]
    for base, batch in first.text_batches(*DOCUMENT.names):
        count = count_ids(batch["id"].filter(pa.array(first.counted[base : base + batch.num_rows])))
        tally += Tally(came=count, kept=count)
        for (shard, _), mine in zip(work, columns, strict=True):
            mine.append(checked(shard.context.name, shard.context.what.measure, batch))
    for (shard, attempt), mine in zip(work, columns, strict=True):
        # Uncompressed: measures are small beside text, and later stages map them.
        attempt.shard(shard.named("columns"), mine, shard.context.what.measure.schema, compressed=False)
        attempt.tally(tally)


def _measure(job: Job) -> Phase:
    return shard_phase("measure", job[0], measure_shard, joint=True)


def _totals(context: Context) -> Totals:
    for name, commit in context.commits("measure").items():
        rows, wanted = (
            commit.files[f"columns-{name}"].rows,
            context.inputs[roles.EDITION].files[f"documents-{name}"].rows,
        )
        if rows != wanted:
            raise StoreError(f"{context.name}, shard {name}: {rows} rows of columns for {wanted} documents")
    tally = sum_tallies(context.commits("measure").values())
    return Totals(tally, {"edition": context.inputs[roles.EDITION].digest})


PROGRAM = Program(
    "measure", 1, ("pyarrow", "numpy", UNICODE), (_measure,), _totals, due=due_of_edition, makes="measure"
)
