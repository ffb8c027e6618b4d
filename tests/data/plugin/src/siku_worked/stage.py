"""A stage of its own: thins out languages, by a hash of the id, so that the same documents go every time."""

import hashlib
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np

from corpus.configuration import Doc, configuration
from corpus.filters.range import by_language
from corpus.verdict import VERDICT
from pipelines.engine.identity import StageName
from pipelines.engine.stage import Context, Job, Phase, Program, Totals
from pipelines.engine.store import Attempt, sum_tallies
from pipelines.graph.kinds import StageKind
from pipelines.graph.recipe import Builder, View
from pipelines.stages.shard import Shard, due, shard_phase
from pipelines.stages.verdicts import Judged, verdict_table


@configuration
class ThinStage:
    """Keeps a share of each language's documents."""

    kind: Literal["thin"] = "thin"
    input: Annotated[StageName, Doc("the stage whose kept documents are thinned")]
    keep: Annotated[dict[str, float], Doc("share kept, by language; `other` for the rest, 1 where there is none")]
    salt: Annotated[str, Doc("another salt keeps other documents")] = "thin"


def draw(salt: str, identifier: bytes) -> float:
    """A number in [0, 1) that only the document decides."""
    return int.from_bytes(hashlib.sha256(salt.encode() + identifier).digest()[:6], "big") / 2**48


def judge(shard: Shard, attempt: Attempt) -> None:
    """Verdicts of one home shard."""
    what: ThinStage = shard.context.what
    came = shard.came_in()
    language = shard.measured("language", ["language"])["language"].to_numpy()
    share = by_language(what.keep, language, 1.0)
    drawn = np.array([draw(what.salt, identifier) for identifier in shard.ids.to_pylist()])
    rows = np.flatnonzero(came & (drawn >= share))
    table, tally = verdict_table(shard.ids, came, [Judged("thinned@1", "thinned", rows, drawn[rows], share[rows])])
    attempt.shard(shard.named("verdicts"), [table], VERDICT)
    attempt.tally(tally)


def _judge(job: Job) -> Phase:
    return shard_phase("judge", job[0], judge)


def _totals(context: Context) -> Totals:
    return Totals(sum_tallies(context.commits("judge").values()), {"edition": context.inputs["edition"].digest})


def build(builder: Builder, name: str, spec: ThinStage) -> View:
    """Judges what its input keeps; those after it see one more verdict."""
    view = builder.seen(name, spec, split=False)
    inputs = {**view.roles(), **builder.measured(name, view, ["language"])}
    return replace(view, verdicts=(*view.verdicts, builder.stage(name, "thin", spec, inputs)))


PROGRAM = Program("thin", 1, ("pyarrow", "numpy"), (_judge,), _totals, due=due, makes="verdicts")
THIN = StageKind(ThinStage, PROGRAM, build)
