"""Union stage: one edition of several, by reference.

Its manifest names the shards of its parts, numbered one after another in the order of the parts' names: nothing is
copied, and what reads the union needs not know that it is one. A row's address is (part, shard, row), told by one
shard number. Measures of the parts are joined in the same way, each a stage of its own. Of one capture in several
parts the first part's is kept.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa

from corpus.configuration import Doc, configuration
from corpus.document import ID, raw_ids
from corpus.measures import AnyMeasure
from corpus.verdict import VERDICT, Count, Tally
from pipelines.engine import roles
from pipelines.engine.commit import Entry
from pipelines.engine.identity import StageName
from pipelines.engine.roles import Role
from pipelines.engine.stage import Context, Item, Job, Phase, Program, Totals
from pipelines.engine.store import Artifact, Attempt, StoreError, shard_name, sum_tallies
from pipelines.stages.shard import OUT, TRAIN, Shard, due, kept_among, narrowed, shard_count_runs
from pipelines.stages.verdicts import Judged, verdict_table

SIDES = pa.schema([pa.field("id", ID, nullable=False), pa.field("side", pa.uint8(), nullable=False)])


@configuration
class UnionStage:
    """Several chains go on as one edition; split, dedupe, decontamination and mixture see their documents together."""

    kind: Literal["union"] = "union"
    parts: Annotated[
        dict[str, StageName],
        Doc("last stage of each chain, by the part's name; of one capture in two parts the first by name is kept"),
    ]


@dataclass(frozen=True)
class JoinedWhat:
    """What is joined beside the edition: the same measure of each part."""

    version: ClassVar[int] = 1
    measure: AnyMeasure


def part_context(context: Context, part: str) -> Context:
    """A part's view: its inputs by the roles they had there."""
    return narrowed(context, roles.parts(context.inputs)[part])


def parts_of(context: Context) -> list[str]:
    """Names of the parts, in the order in which their shards are numbered."""
    return list(roles.parts(context.inputs))


def addresses(context: Context, role: Role, piece: str) -> Iterator[tuple[str, int]]:
    """Part and shard of each shard of the union."""
    for part in parts_of(context):
        for number in range(len(part_context(context, part).inputs[role].names(piece))):
            yield part, number


def join_shard(shard: Shard, attempt: Attempt) -> None:
    """Which documents of one shard go on, and the ledger of those that an earlier part has too."""
    part, number = shard.arguments["part"], shard.arguments["shard"]
    home = Shard(part_context(shard.context, part), number)
    came = home.came_in()
    raw = raw_ids(home.ids)
    again = np.zeros(home.rows, bool)
    for earlier in parts_of(shard.context):
        if earlier == part:
            break
        again |= np.isin(raw, kept_among(part_context(shard.context, earlier), raw))
    rows = np.flatnonzero(came & again)
    ones, keepers = np.ones(len(rows)), home.ids.take(pa.array(rows)).to_pylist()
    table, tally = verdict_table(home.ids, came, [Judged("same_capture@1", "same_capture", rows, ones, ones, keepers)])
    side = np.where(came & ~again, TRAIN, OUT)
    attempt.shard(
        shard.named("sides"), [pa.table([home.ids, pa.array(side, pa.uint8())], SIDES)], SIDES, compressed=False
    )
    attempt.shard(shard.named("verdicts"), [table], VERDICT)
    attempt.tally(tally)


def _join(job: Job) -> Phase:
    (context,) = job
    items = [
        Item(f"{index:05d}", arguments={"part": part, "shard": number})
        for index, (part, number) in enumerate(addresses(context, roles.EDITION, "documents"))
    ]
    return Phase("join", items, join_shard, view=Shard)


def _relative(artifact: Artifact, name: str, directory: Path) -> Entry:
    """A part's file as the union's manifest names it: by its path from the union's folder."""
    entry = artifact.files[name]
    return replace(entry, file=os.path.relpath(artifact.directory / entry.file, directory))


def _referred(context: Context, role: Role, pieces: tuple[str, ...]) -> dict[str, Entry]:
    files = {}
    for piece in pieces:
        for index, (part, number) in enumerate(addresses(context, role, piece)):
            artifact = part_context(context, part).inputs[role]
            files[shard_name(piece, index)] = _relative(artifact, shard_name(piece, number), context.directory)
    return files


def _totals(context: Context) -> Totals:
    runs: list[int] = []
    parts = {}
    for part in parts_of(context):
        edition = part_context(context, part).inputs[roles.EDITION]
        parts[part] = {"first": sum(runs), "shards": len(edition.names("documents")), "edition": edition.digest}
        runs += shard_count_runs(edition)
    tally = sum_tallies(context.commits("join").values())
    # What the parts' text has in bytes; the tokenizer's sample is a share of it.
    size = sum(part_context(context, part).inputs[roles.EDITION].tally.bytes_out for part in parts)
    figures = {"parts": parts, "shard_counts": runs, "text_bytes": size}
    return Totals(tally, figures, _referred(context, roles.EDITION, ("documents",)))


def _due(context: Context) -> Count:
    """What the parts kept."""
    return sum((due(part_context(context, part)) for part in parts_of(context)), Count())


def _totals_joined(context: Context) -> Totals:
    """A joined measure: the parts' columns under the union's numbers. Raises StoreError where a part has no such."""
    edition = context.inputs[roles.EDITION]
    for part, known in edition.figures["parts"].items():
        measure = part_context(context, part).inputs[roles.JOINED]
        if measure.figures["edition"] != known["edition"]:
            raise StoreError(
                f"stage {context.name}: part {part} has the measure of edition {measure.figures['edition']}, but the "
                f"union joins {known['edition']}: measure the last edition of each part"
            )
    return Totals(Tally(), {"edition": edition.digest}, _referred(context, roles.JOINED, ("columns",)))


PROGRAM = Program("union", 1, ("pyarrow", "numpy"), (_join,), _totals, due=_due, makes="edition")
JOINED = Program("joined", 1, ("pyarrow",), (), _totals_joined, beam=False, makes="measure")
