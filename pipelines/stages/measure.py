"""Measure stages: one artefact a measure, aligned row for row with its edition; one pass makes all that miss."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import pyarrow as pa

from corpus.configuration import Doc, configuration
from corpus.measure import checked
from corpus.measures import AnyMeasure
from corpus.verdict import Tally, count_ids
from pipelines.engine.identity import UNICODE, StageName
from pipelines.engine.stage import Context, Item, Job, Phase, Program, Sealed
from pipelines.engine.store import Attempt, StoreError, sum_tallies
from pipelines.stages.verdicts import due, shard_items


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


def measure_shard(job: Job, item: Item) -> None:
    """Read a home shard once and compute every measure that misses it, each committed under its own digest."""
    attempts: list[tuple[Context, Attempt]] = []
    for context in job:
        attempt = context.begin("measure", item.name)
        if attempt is not None:
            attempts.append((context, attempt))
    if not attempts:
        return
    edition = job[0].inputs["edition"]
    # By position: two cells of a sweep may measure under one name with other parameters.
    columns: list[list[pa.RecordBatch]] = [[] for _ in attempts]
    tally = Tally()
    for batch in edition.batches(f"documents-{item.name}"):
        count = count_ids(batch["id"])
        tally += Tally(came=count, kept=count)
        for (context, _), mine in zip(attempts, columns, strict=True):
            mine.append(checked(context.name, context.what.measure, batch))
    for (context, attempt), mine in zip(attempts, columns, strict=True):
        with attempt:
            # Uncompressed: measures are small beside text, and later stages map them.
            schema = context.what.measure.schema
            attempt.shard(f"columns-{item.name}", mine, schema, compressed=False)
            attempt.tally(tally)


def _steps(job: Job) -> Phase:
    return Phase("measure", shard_items(job[0]), measure_shard)


def _seal(context: Context) -> Sealed:
    for name, commit in context.commits("measure").items():
        rows, wanted = commit.files[f"columns-{name}"].rows, context.inputs["edition"].files[f"documents-{name}"].rows
        if rows != wanted:
            raise StoreError(f"{context.name}, shard {name}: {rows} rows of columns for {wanted} documents")
    tally = sum_tallies(context.commits("measure").values())
    return Sealed(tally, {"edition": context.inputs["edition"].digest})


PROGRAM = Program("measure", 1, ("pyarrow", "numpy", UNICODE), (_steps,), _seal, due=due)
