"""Decontaminate stage: no training document may share much with a held-out one.

Three shares are measured. Over shingles (13 words, or 26 Chinese characters): how much of the training document is
held out, and how much of any one held-out document lies in the training document, which catches the long page that
contains a short held-out one. And over whole sentences: how much of the training document's text stands in one
held-out document, which catches the page whose sentences were rewritten here and there, where few shingles survive.
What documents of many groups share is common to none of them in particular, and a few short sentences are no copy.
"""

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.verdict import VERDICT
from pipelines.engine import roles
from pipelines.engine.identity import UNICODE, StageName
from pipelines.engine.stage import Context, Job, Phase, Program, Totals
from pipelines.engine.store import Attempt, sum_tallies
from pipelines.stages.held_out import (
    INDEX,
    ITEM,
    PARTS,
    Index,
    document_sizes,
    index_phase,
    pieces,
    regroup_phase,
    scatter_phase,
)
from pipelines.stages.shard import Shard, due, shard_phase
from pipelines.stages.verdicts import Judged, verdict_table

Shares = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]  # of shingles, of sentences


@configuration
class DecontaminateStage:
    """Drops training documents that share more than `share` of their shingles with held-out documents, hold more
    than `share` of one held-out document's, or have more than `share` of their text in sentences of one."""

    kind: Literal["decontaminate"] = "decontaminate"
    input: Annotated[StageName, Doc("the stage whose kept documents are compared with the held-out ones")]
    words: Annotated[
        int, Field(ge=1), Doc("shingle length where words are spaced; 13 as in GPT-3, Gopher, the Pile")
    ] = 13
    characters: Annotated[int, Field(ge=1), Doc("shingle length in Chinese characters")] = 26
    sentence: Annotated[int, Field(ge=1), Doc("shortest sentence counted, in characters")] = 8
    share: Annotated[float, Field(ge=0, le=1), Doc("largest share of shingles or sentences in common")] = 0.2
    groups: Annotated[
        int,
        Field(ge=1),
        Doc(
            "a shingle or sentence that held-out documents of more groups than this have does not count: boilerplate "
            "(of the drops on three sites 4 of 5 had nothing else in common)"
        ),
    ] = 4
    common: Annotated[
        int,
        Field(ge=0),
        Doc("UTF-8 bytes of common sentences below which they do not count: some 50 words, or 100 Chinese characters"),
    ] = 300


def overlaps(shard: Shard, rows: npt.NDArray[np.bool_]) -> Shares:
    """The shares of the given rows of a shard, in their order.

    Of shingles the larger of two: how many of the document's are held out; how many of one held-out document's it has.
    """
    context, sizes = shard.context, document_sizes(shard.context)
    index = {part: Index.open(context, part) for part in PARTS}
    shares: tuple[list[npt.NDArray[np.float64]], ...] = ([np.empty(0)], [np.empty(0)])
    for base, batch in shard.text_batches():
        mine = pieces(context, batch["text"].filter(pa.array(rows[base : base + batch.num_rows])))
        met = index["shingles"].meetings(mine["shingles"])
        own = met.held_out / np.maximum(mine["shingles"].total, 1)
        shares[0].append(np.maximum(own, met.largest(met.common / sizes[met.documents])))
        met = index["sentences"].meetings(mine["sentences"])
        same = met.common / np.maximum(mine["sentences"].total, 1)[met.texts]
        shares[1].append(met.largest(np.where(met.common >= context.what.common, same, 0)))
    return np.concatenate(shares[0]), np.concatenate(shares[1])


def judge(shard: Shard, attempt: Attempt) -> None:
    """Verdicts of one home shard."""
    what, came = shard.context.what, shard.came_in()
    rows = np.flatnonzero(came)
    share, same = overlaps(shard, came)
    judged = []
    for name, value in (("near_held_out", share), ("held_out_sentences", same)):
        over = value > what.share
        limit = np.full(int(over.sum()), what.share)
        judged.append(Judged(f"{name}@1", name, rows[over], value[over], limit))
    fails = (share > what.share) | (same > what.share)
    table, tally = verdict_table(shard.ids, came, judged)
    attempt.shard(shard.named("verdicts"), [table], VERDICT)
    attempt.tally(tally)
    kept = share[~fails]
    attempt.figure("overlap", [int((kept > 0).sum()), float(kept.sum()), float(kept.max(initial=0.0)), len(kept)])


def _judge(job: Job) -> Phase:
    return shard_phase("judge", job[0], judge)


def _totals(context: Context) -> Totals:
    commits = context.commits("judge").values()
    parts = [commit.figures["overlap"] for commit in commits]
    documents = sum(part[3] for part in parts)
    remaining = {
        "documents": documents,
        "with_any_overlap": sum(part[0] for part in parts),
        "mean_share": sum(part[1] for part in parts) / max(documents, 1),
        "largest_share": max((part[2] for part in parts), default=0.0),
    }
    figures = {
        "edition": context.inputs[roles.EDITION].digest,
        "index": context.commit(INDEX, ITEM).figures,
        "remaining_overlap": remaining,
    }
    return Totals(sum_tallies(commits), figures)


PROGRAM = Program(
    "decontaminate",
    3,
    ("pyarrow", "numpy", UNICODE),
    (scatter_phase, regroup_phase, index_phase, _judge),
    _totals,
    due=due,
    makes="verdicts",
)
