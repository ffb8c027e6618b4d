"""Stages made in this process from tables: an edition with its shards, measures and verdicts, and what follows."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.document import DOCUMENT
from corpus.verdict import VERDICT, Count, Tally, count_ids
from pipelines.engine.execute import make
from pipelines.engine.runner import Workers
from pipelines.engine.shuffle import bucket_of
from pipelines.engine.stage import Context, Program, Stage
from pipelines.engine.store import Artifact, seal
from pipelines.stages.keys import PROGRAM as KEYS
from pipelines.stages.keys import OneKey
from pipelines.stages.verdicts import Judged, verdict_table


def identifier(name: object) -> bytes:
    """16 bytes, scattered as ids are."""
    return hashlib.sha256(str(name).encode()).digest()[:16]


def sealed(
    root: Path, name: str, tables: Mapping[str, pa.Table], figures: Mapping[str, Any] | None = None, **more: Any
) -> Artifact:
    """A finished stage of tables by logical name."""
    stage = Stage(name, name, 1, None, {}, (), str)
    context = Context(name, name, None, root / name, {}, {})
    context.directory.mkdir(parents=True)
    with context.begin("all", "0") as attempt:
        for key, table in tables.items():
            attempt.shard(key, [table], table.schema, compressed=False)
    seal(context.directory, stage.identity, context.commits("all"), figures or {}, more.get("tally", Tally()), {})
    return Artifact.load(name, stage.digest, context.directory)


def finished(
    root: Path, name: str, program: Program, what: object, inputs: Mapping[str, Artifact], **where: Any
) -> Artifact:
    """A stage made as a run makes it, without Beam: every phase in turn, the items of each from last to first."""
    stage = Stage(name, program.kind, program.version, what, {}, (), str)
    context = Context(name, program.kind, what, root / name, inputs, where)
    backwards = dataclasses.replace(program, beam=False, phases=(), rounds=lambda job: _reversed(program, job))
    make(backwards, [stage], (context,), Workers(), lambda line: None)
    return Artifact.load(program.kind, stage.digest, context.directory)


def _reversed(program: Program, job: Any) -> Any:
    for phase in program.listed(job):
        yield dataclasses.replace(phase, items=list(reversed(phase.items)))


@dataclasses.dataclass
class Bench:
    """An edition in home shards and what is known of it; `rows` are its documents, each a mapping with an `id`."""

    root: Path
    rows: Sequence[Mapping[str, Any]]
    shards: int = 2

    def __post_init__(self) -> None:
        self.rows = sorted(self.rows, key=lambda row: row["id"])
        self.ids = pa.array([row["id"] for row in self.rows], pa.binary(16))
        home = bucket_of(self.ids, self.shards)
        self.edges = np.searchsorted(home, np.arange(self.shards + 1)).tolist()
        defaults = {"source": "test", "text": ""}
        columns = [
            pa.array([row.get(field.name, defaults.get(field.name)) for row in self.rows], field.type)
            for field in DOCUMENT
        ]
        count = count_ids(self.ids)
        size = sum(len(row.get("text", "").encode()) for row in self.rows)
        tally = Tally(born=count, kept=count, bytes_in=size, bytes_out=size)
        tables = self.split("documents", pa.table(columns, schema=DOCUMENT))
        self.inputs: dict[str, Artifact] = {"edition": sealed(self.root, "edition", tables, tally=tally)}

    def split(self, part: str, table: pa.Table) -> dict[str, pa.Table]:
        """A table of all rows as one of each shard."""
        return {
            f"{part}-{shard:05d}": table.slice(self.edges[shard], self.edges[shard + 1] - self.edges[shard])
            for shard in range(self.shards)
        }

    def measure(self, name: str, table: pa.Table) -> None:
        """Add a measure, given its columns for all rows."""
        figures = {"edition": self.inputs["edition"].digest}
        self.inputs[f"measure.{name}"] = sealed(self.root, f"measure.{name}", self.split("columns", table), figures)

    def keys(self, **keys: Any) -> None:
        """Make keys stages."""
        made_of = {role for role in self.inputs if role in ("edition", "union") or role.startswith("measure.")}
        inputs = {role: self.inputs[role] for role in made_of}
        for name, key in keys.items():
            self.inputs[f"key.{name}"] = finished(self.root, f"keys.{name}", KEYS, OneKey(key=key), inputs)

    def sides(self, side: np.ndarray) -> None:
        """Add a split's sides."""
        table = pa.table({"id": self.ids, "side": pa.array(side, pa.uint8())})

        def on(*chosen: int) -> Count:
            return count_ids(self.ids.filter(pa.array(np.isin(side, chosen))))

        tally = Tally(came=on(0, 1, 2), kept=on(0), dropped={"held_out": on(1), "unfit_test": on(2)})
        self.inputs["sides"] = sealed(self.root, "sides", self.split("sides", table), tally=tally)

    def drop(self, came: np.ndarray, gone: np.ndarray) -> None:
        """Add a verdict stage that drops some of the rows that came in."""
        tables, tally = {}, Tally()
        for shard in range(self.shards):
            part = slice(self.edges[shard], self.edges[shard + 1])
            rows = np.flatnonzero(gone[part])
            ones = np.ones(len(rows))
            judged = [Judged("gone@1", "gone", rows, ones, ones)]
            ids = self.ids[self.edges[shard] : self.edges[shard + 1]]
            table, one = verdict_table(ids, came[part], judged)
            tables[f"verdicts-{shard:05d}"], tally = table, tally + one
        number = sum(role.startswith("verdict.") for role in self.inputs)
        self.inputs[f"verdict.{number:02d}"] = sealed(self.root, f"verdicts{number}", tables, tally=tally)

    def made(self, name: str, program: Program, what: Any, **where: Any) -> Artifact:
        """A stage after all that, given the keys it names."""
        named = getattr(what, "keys", None) or [what.key]
        unnamed = {role for role in self.inputs if role.startswith("key.") and role[4:] not in named}
        inputs = {role: each for role, each in self.inputs.items() if role not in unnamed}
        return finished(self.root, name, program, what, inputs, **where)


def table_of(artifact: Artifact, part: str) -> pa.Table:
    """A part's shards in order, as one table."""
    return pa.concat_tables([artifact.table(name) for name in artifact.names(part)])


def verdicts_of(artifact: Artifact) -> dict[bytes, dict[str, Any]]:
    """First verdict of each document that has one."""
    table = table_of(artifact, "verdicts")
    assert table.schema == VERDICT
    return {row["id"]: row for row in table.to_pylist() if row["first"]}


def counted(ids: Sequence[bytes]) -> Count:
    """What the ledger should say of some documents."""
    return count_ids(pa.array(list(ids), pa.binary(16)))
