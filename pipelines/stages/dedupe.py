"""Dedupe stage: MinHash LSH among the documents every rule kept, so that a keeper is a kept document."""

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.dedup import bands, has_shingles
from corpus.verdict import VERDICT
from pipelines.engine.identity import StageName
from pipelines.engine.stage import Context, Job, Phase, Program, Sealed
from pipelines.engine.store import Attempt, sum_tallies
from pipelines.stages.grouping import NEAR, Grouping, agreement, labels, signatures, similar
from pipelines.stages.shard import Shard, due, shard_phase
from pipelines.stages.split import key_table
from pipelines.stages.verdicts import Judged, verdict_table


@configuration
class DedupeStage:
    """Near-duplicates: a band of the signature proposes, the whole signature confirms, the smallest id is kept."""

    kind: Literal["dedupe"] = "dedupe"
    input: Annotated[StageName, Doc("the stage whose kept documents are compared")]
    bands: Annotated[int, Field(ge=1), Doc("LSH bands; 14 x 8 proposes 92 % of pairs at J = 0.8, 56 % at 0.7")] = 14
    rows: Annotated[int, Field(ge=1), Doc("signature values a band")] = 8
    jaccard: Annotated[
        float, Field(ge=0, le=1), Doc("estimated similarity that confirms a pair; 0 trusts the bands")
    ] = 0.7
    signature: Annotated[str, Doc("measure that holds the MinHash signature")] = "signature"


def dedupe_keys(shard: Shard) -> pa.Table:
    """KEYS of a home shard: signature bands of the documents that came in."""
    what: DedupeStage = shard.context.what
    values = signatures(shard, what.signature)
    rows = np.flatnonzero(shard.came_in() & has_shingles(values))
    keys = bands(values[rows], what.bands, what.rows)
    return key_table(shard, [(keys.ravel(), np.repeat(rows, keys.shape[1]), NEAR)])


def dedupe_edges(context: Context, edges: pa.Table) -> npt.NDArray[np.bool_]:
    """Pairs whose signatures agree in `jaccard` or more."""
    return similar(context, edges, context.what.signature, context.what.jaccard)


GROUPING = Grouping(dedupe_keys, dedupe_edges)


def judge(shard: Shard, attempt: Attempt) -> None:
    """Verdicts of one home shard: every member of a component but its smallest id.

    The value is a document's own similarity to its keeper; a chain of pairs may lead below the threshold.
    """
    what: DedupeStage = shard.context.what
    grouped = labels(shard)
    grouped = grouped.filter(pc.not_equal(grouped["id"], grouped["label"]))
    like = agreement(shard.context, grouped, ("shard", "row"), ("label_shard", "label_row"), what.signature)
    rows = grouped["row"].to_numpy().astype(np.int64)
    limit = np.full(len(rows), what.jaccard)
    judged = Judged("near_duplicate@1", "near_duplicate", rows, like, limit, grouped["label"].to_pylist())
    table, tally = verdict_table(shard.ids, shard.came_in(), [judged])
    attempt.shard(shard.named("verdicts"), [table], VERDICT)
    attempt.tally(tally)


def _judge(job: Job) -> Phase:
    return shard_phase("judge", job[0], judge)


def _seal(context: Context) -> Sealed:
    candidates = sum(commit.figures["candidates"] for commit in context.commits("edges").values())
    figures = {"edition": context.inputs["edition"].digest, "candidate_pairs": candidates}
    return Sealed(sum_tallies(context.commits("judge").values()), figures)


PROGRAM = Program("dedupe", 1, ("pyarrow", "numpy"), (*GROUPING.phases(), _judge), _seal, due=due, makes="verdicts")
