"""Split stage: which documents are held out, fixed before anything an ablation may vary.

Documents are grouped by URL path without its language, by exact text and by near-duplication; a salted hash of
a group's smallest id decides its side. A random draw after dedupe would leak: pages that repeat each other in part
would stand on both sides.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.filters import AnyRule
from corpus.verdict import VERDICT, Count, Tally, count_ids
from pipelines.engine import roles
from pipelines.engine.identity import StageName
from pipelines.engine.stage import Context, Job, Phase, Program, Totals
from pipelines.engine.store import Attempt, sum_tallies
from pipelines.stages import draws
from pipelines.stages.filter import columns_of, judge_rules
from pipelines.stages.grouping import Grouping, copies
from pipelines.stages.grouping import node as nodes
from pipelines.stages.shard import HELD_OUT, OUT, TRAIN, UNFIT, Mask, Shard, due, shard_phase
from pipelines.stages.verdicts import Judged, verdict_table

SPLIT = pa.schema(
    [
        pa.field("id", pa.binary(16), nullable=False),
        pa.field("group", pa.binary(16), nullable=False),
        pa.field("side", pa.uint8(), nullable=False),
    ]
)


@configuration
class SplitStage:
    """The yardstick: held-out documents are chosen by group and pass fixed rules, never the recipe under test."""

    kind: Literal["split"] = "split"
    input: Annotated[StageName, Doc("the keys to group by")]
    keys: Annotated[
        list[str], Field(min_length=1), Doc("keys that put two documents into one group; similar ones are verified")
    ]
    near: Annotated[float, Field(gt=0, le=1), Doc("estimated Jaccard similarity that groups similar documents")] = 0.5
    held_out: Annotated[float, Field(gt=0, lt=1), Doc("share of groups held out")] = 0.1
    max_held_out: Annotated[
        int,
        Field(ge=1),
        Doc(
            "documents held out at most, before the rules: where the share has more, the groups of the lowest draws, "
            "none after the first that does not fit"
        ),
    ] = 100_000
    max_group: Annotated[
        int,
        Field(ge=1),
        Doc(
            "documents of a group that may be held out; a larger one trains whole, so that no chain of similar pages "
            "becomes the yardstick"
        ),
    ] = 100
    salt: Annotated[str, Doc("another salt draws another held-out set")] = "siku"
    rules: Annotated[dict[str, AnyRule], Doc("what a held-out document must pass, the same for every recipe")]


def _near(what: SplitStage) -> float:
    return what.near


GROUPING = Grouping(_near)


def assign(shard: Shard, attempt: Attempt) -> None:
    """Sides of one home shard."""
    came, (groups, sizes) = shard.came_in(), draws.groups_of(shard)
    out = draws.held_out(shard, groups, sizes)
    unfit, tally = _unfit(shard, came, out)
    side = np.where(out, HELD_OUT, np.where(came, TRAIN, OUT))
    side[unfit["row"].to_numpy()] = UNFIT
    table = pa.table([shard.ids, groups, pa.array(side, pa.uint8())], schema=SPLIT)
    attempt.shard(shard.named("sides"), [table], SPLIT, compressed=False)
    attempt.shard(shard.named("verdicts"), [unfit], VERDICT)
    attempt.tally(tally)
    attempt.figure("largest_group", int(sizes.max(initial=0)))
    attempt.figure("too_large_to_hold_out", int((sizes > draws.largest(shard.context)).sum()))


def _unfit(shard: Shard, came: Mask, out: Mask) -> tuple[pa.Table, Tally]:
    """Held-out documents that fail the fixed rules or repeat a held-out text, and the shard's ledger."""
    ids, same = shard.ids, copies(shard)
    rows, first = np.unique(nodes.rows(same["node"]), return_index=True)
    mine = out[rows]
    keepers = nodes.ids(same["label"].take(pa.array(first[mine]))).to_pylist()
    ones = np.ones(int(mine.sum()))
    rules = shard.context.what.rules
    judged = [
        replace(each, reason=f"unfit_{each.reason}") for each in judge_rules(rules, columns_of(shard, rules), out)
    ]
    judged.append(Judged("held_out_copy@1", "unfit_held_out_copy", rows[mine], ones, ones, keepers))
    table, inner = verdict_table(ids, out, judged)
    train = count_ids(ids.filter(pa.array(came & ~out)))
    dropped: dict[str, Count] = dict(inner.dropped)
    if inner.kept.documents:
        dropped["held_out"] = inner.kept
    return table, Tally(came=inner.came + train, kept=train, dropped=dropped)


def _phases(job: Job) -> Iterator[Phase]:
    yield from GROUPING.phases(job)
    yield from draws.phases(job)
    yield shard_phase("assign", job[0], assign)


def _totals(context: Context) -> Totals:
    commits = context.commits("assign").values()
    figures = {
        "edition": context.inputs[roles.EDITION].digest,
        "largest_group": max((commit.figures["largest_group"] for commit in commits), default=0),
        "too_large_to_hold_out": sum(commit.figures["too_large_to_hold_out"] for commit in commits),
    }
    return Totals(sum_tallies(commits), figures)


PROGRAM = Program("split", 2, ("pyarrow", "numpy"), (), _totals, _phases, due=due, makes="sides")
