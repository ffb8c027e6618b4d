"""Dedupe stage: duplicates among the documents every rule kept, so that a keeper is a kept document."""

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.verdict import VERDICT
from pipelines.engine import roles
from pipelines.engine.identity import RunName, StageName
from pipelines.engine.stage import Context, Job, Phase, Program, Totals
from pipelines.engine.store import Attempt, sum_tallies
from pipelines.stages.grouping import Grouping, alike, compared
from pipelines.stages.grouping import node as nodes
from pipelines.stages.grouping.homes import captured_before
from pipelines.stages.shard import Shard, due, shard_phase
from pipelines.stages.verdicts import Judged, verdict_table


@configuration
class DedupeStage:
    """Duplicates: a key proposes, the whole signature confirms similar ones, the smallest id is kept.

    A document of a finished run comes before any of this one; what that run kept as the same capture is dropped.
    """

    kind: Literal["dedupe"] = "dedupe"
    input: Annotated[StageName, Doc("the stage whose kept documents are compared")]
    keys: Annotated[list[str], Field(min_length=1), Doc("keys that propose a pair; similar ones are verified")]
    against: Annotated[
        dict[str, RunName],
        Doc("finished runs of the store whose kept documents come first: NAME, or NAME/STAGE for what that kept"),
    ] = Field(default_factory=dict)
    jaccard: Annotated[
        float, Field(ge=0, le=1), Doc("estimated similarity that confirms a similar pair; 0 trusts the bands")
    ] = 0.7


def _jaccard(what: DedupeStage) -> float:
    return what.jaccard


GROUPING = Grouping(_jaccard, keepers=True)


def judge(shard: Shard, attempt: Attempt) -> None:
    """Verdicts of one home shard: what a finished run has, and every member of a component but its first.

    The value is a document's own similarity to its keeper; a chain of pairs may lead below the threshold.
    """
    parts = list(alike(shard))
    rows = np.concatenate([nodes.rows(batch["node"]) for batch, _ in parts] or [np.empty(0, np.int64)])
    value = np.concatenate([like for _, like in parts] or [np.empty(0)])
    keepers = [keeper for batch, _ in parts for keeper in nodes.ids(batch["label"]).to_pylist()]
    limit = np.full(len(rows), shard.context.what.jaccard)
    near = Judged("near_duplicate@1", "near_duplicate", rows, value, limit, keepers)
    came = shard.came_in()
    again = np.flatnonzero(came & captured_before(shard))
    ones, captures = np.ones(len(again)), shard.ids.take(pa.array(again)).to_pylist()
    same = Judged("same_capture@1", "same_capture", again, ones, ones, captures)
    table, tally = verdict_table(shard.ids, came, [same, near])
    attempt.shard(shard.named("verdicts"), [table], VERDICT)
    attempt.tally(tally)


def _phases(job: Job) -> Iterator[Phase]:
    yield from GROUPING.phases(job)
    yield shard_phase("judge", job[0], judge)


def _totals(context: Context) -> Totals:
    figures = {"edition": context.inputs[roles.EDITION].digest, "candidate_pairs": compared(context)}
    return Totals(sum_tallies(context.commits("judge").values()), figures)


PROGRAM = Program("dedupe", 1, ("pyarrow", "numpy"), (), _totals, _phases, due=due, makes="verdicts")
