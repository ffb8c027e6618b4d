"""Quarantine stage: drops the documents that training runs have named as the cause of their spikes."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.verdict import VERDICT
from pipelines.engine import roles
from pipelines.engine.identity import RunName, StageName
from pipelines.engine.stage import Context, Job, Phase, Program, Totals
from pipelines.engine.store import Attempt, sum_tallies
from pipelines.stages.shard import Shard, due, shard_phase
from pipelines.stages.verdicts import Judged, verdict_table

REASON = "quarantined"


@configuration
class QuarantineStage:
    """Documents that stood out in batches which a training run did not take, or took back, are dropped.

    After the dedupe stage, for else a copy of what is dropped would be kept in its place.
    """

    kind: Literal["quarantine"] = "quarantine"
    input: Annotated[StageName, Doc("the stage whose kept documents are judged")]
    runs: Annotated[
        dict[str, RunName],
        Field(min_length=1),
        Doc("runs of the store, by any name, whose quarantine.jsonl counts: a run, also one that failed, or the digest "
            "of a training"),
    ]  # fmt: skip


@dataclass(frozen=True)
class QuarantineWhat:
    """The lists as they are when a run is planned: a longer one is another stage."""

    version: ClassVar[int] = 1
    documents: tuple[str, ...]  # ids, hex, sorted


def judge(shard: Shard, attempt: Attempt) -> None:
    """Verdicts of one home shard."""
    import pyarrow.compute as pc

    came = shard.came_in()
    listed = pa.array([bytes.fromhex(each) for each in shard.context.what.documents], pa.binary(16))
    rows = np.flatnonzero(came & pc.is_in(shard.ids, listed).to_numpy(zero_copy_only=False))
    ones = np.ones(len(rows))
    table, tally = verdict_table(shard.ids, came, [Judged(f"{REASON}@1", REASON, rows, ones, ones)])
    attempt.shard(shard.named("verdicts"), [table], VERDICT)
    attempt.tally(tally)


def _judge(job: Job) -> Phase:
    return shard_phase("judge", job[0], judge)


def _totals(context: Context) -> Totals:
    return Totals(sum_tallies(context.commits("judge").values()), {"edition": context.inputs[roles.EDITION].digest})


PROGRAM = Program("quarantine", 1, ("pyarrow", "numpy"), (_judge,), _totals, due=due, makes="verdicts")
