"""A finished run, read back from its record and the store: what reports, explanations and exports start from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from corpus.verdict import Tally
from pipelines.engine import roles
from pipelines.engine.files import Posix
from pipelines.engine.roles import Role
from pipelines.engine.stage import Context, Makes
from pipelines.engine.store import MANIFEST, Artifact, Store, StoreError
from pipelines.graph.records import SUMMARY, NoRunError, named, record_of, records, summary_of


@dataclass(frozen=True, slots=True)
class Past:
    """A stage of a finished run, as run.json tells it. `inputs` maps roles to names of stages."""

    name: str
    kind: str
    makes: Makes
    digest: str
    directory: Path
    reused: bool
    seconds: float
    identity: Mapping[str, Any]
    inputs: Mapping[Role, str]
    view: Mapping[Role, str]  # what a stage after it sees, by role

    @property
    def what(self) -> Mapping[str, Any]:
        """The encoded WHAT."""
        found: Mapping[str, Any] = self.identity["what"]
        return found


def _past(root: Path, body: Mapping[str, Any]) -> Past:
    recorded = Path(body["directory"])
    kind, digest = body["kind"], body["digest"]
    if kind == "files":
        directory = recorded
    elif kind == "snapshot":
        directory = Store(root).directory("crawl", recorded.parent.name) / recorded.name
    else:  # a store may have moved since
        directory = Store(root).directory(kind, digest)
    return Past(
        body["name"],
        kind,
        body["makes"],
        digest,
        directory,
        body["reused"],
        body["seconds"],
        body["identity"],
        body["inputs"],
        body["view"],
    )


@dataclass(frozen=True)
class History:
    """A finished run: its record, its stages in the order they ran, and their artefacts on demand."""

    root: Path
    name: str
    record: Mapping[str, Any]
    _loaded: dict[str, Artifact] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def stages(self) -> dict[str, Past]:
        """Stages by the recipe's names, inputs before what reads them."""
        return {body["name"]: _past(self.root, body) for body in self.record["stages"]}

    @cached_property
    def earlier(self) -> list[tuple[str, Past]]:
        """Stages of other runs that this one read on from, each with its run's name."""
        return [(body["run"], _past(self.root, body)) for body in self.record.get("earlier", [])]

    @property
    def folder(self) -> Path:
        """Where the run's record and report lie."""
        return self.root / "runs" / self.name

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """The figures that its report was drawn from. Raises StoreError where there are none."""
        summary = summary_of(self.root, self.name)
        if summary is None:
            raise StoreError(f"run {self.name} has no {SUMMARY} in {self.folder}: run the same command again")
        return summary

    def of_kind(self, *kinds: str) -> list[Past]:
        """Stages of some kinds, in the order they ran."""
        return [stage for stage in self.stages.values() if stage.kind in kinds]

    def making(self, *results: Makes) -> list[Past]:
        """Stages that make some results, of whatever kind, in the order they ran."""
        return [stage for stage in self.stages.values() if stage.makes in results]

    def artifact(self, stage: Past) -> Artifact:
        """A stage's result. Raises StoreError when the store no longer holds it."""
        if stage.name not in self._loaded:
            self._loaded[stage.name] = self._load(stage)
        return self._loaded[stage.name]

    def _load(self, stage: Past) -> Artifact:
        if stage.kind in ("files", "train"):
            return Artifact(stage.kind, stage.digest, stage.directory, {}, Tally(), {}, stage.digest)
        if Posix(stage.directory).head(MANIFEST) is None:
            raise StoreError(
                f"run {self.name} had stage {stage.name} in {stage.directory}, which holds no result any more: "
                "run the same command again"
            )
        if stage.kind == "snapshot":
            return Artifact.load("crawl", stage.directory.parent.name, stage.directory)
        return Artifact.load(stage.kind, stage.digest, stage.directory)

    @cached_property
    def lineage(self) -> "Lineage":
        """The line of stages from the source to the training tokens."""
        return _lineage(self)

    def route(self, shard: int) -> "Route":
        """What the documents of a home shard pass, from the first edition to the last verdict."""
        lineage = self.lineage
        own = tuple((stage, shard) for stage in lineage.editions if stage is not lineage.union)
        last = ((stage, shard) for stage in (lineage.union, lineage.split, *lineage.verdicts) if stage is not None)
        if lineage.union is None:
            return Route("", own, tuple(last))
        part, local = part_of(self.artifact(lineage.union), shard)
        chain = lineage.parts[part]
        before = tuple((stage, local) for stage in chain.editions)
        return Route(part, (*before, *own), (*((stage, local) for stage in chain.verdicts), *last))

    @cached_property
    def judges(self) -> list[Past]:
        """Every stage that drops documents after extraction, parts of a union first."""
        lineage = self.lineage
        before = [stage for chain in lineage.parts.values() for stage in chain.verdicts]
        return [*before, *(stage for stage in (lineage.union, lineage.split, *lineage.verdicts) if stage is not None)]

    def verdict_shards(self, stage: Past) -> Iterator[tuple[str, int]]:
        """Shards of a stage's verdicts by name, each with its number among the last edition's home shards."""
        lineage, first = self.lineage, 0
        for part, chain in lineage.parts.items():
            if lineage.union is not None and stage in chain.verdicts:
                first = self.artifact(lineage.union).figures["parts"][part]["first"]
        for name in self.artifact(stage).names("verdicts"):
            yield name, first + int(name.rpartition("-")[2])

    def context(self, stages: Mapping[Role, Past]) -> Context:
        """Some stages' results as inputs by role, for the functions that stages themselves use."""
        return Context(self.name, "history", None, self.root, {r: self.artifact(s) for r, s in stages.items()}, {})


@dataclass(frozen=True, slots=True)
class Route:
    """Stages that one home shard passes, each with the shard's number there; `part` of a union, or empty."""

    part: str
    editions: tuple[tuple[Past, int], ...]
    verdicts: tuple[tuple[Past, int], ...]  # union and split among them, where they stand


def part_of(union: Artifact, shard: int) -> tuple[str, int]:
    """Part of a union, and the shard's number there. Raises StoreError for a shard that the union has not."""
    for name, part in union.figures["parts"].items():
        if part["first"] <= shard < part["first"] + part["shards"]:
            return name, shard - part["first"]
    raise StoreError(f"{union.directory} has no shard {shard}: run the same command again")


@dataclass(frozen=True, slots=True)
class Chain:
    """Stages that documents of one numbering of shards pass: editions first to last, then verdict stages."""

    editions: tuple[Past, ...]
    verdicts: tuple[Past, ...]  # the split among them, where it stands


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a document passes. Rows stay in their home shard and row from the first edition to the last verdict;
    where chains are joined, the parts' shards are numbered one after another, and `editions` begin with the union."""

    editions: tuple[Past, ...]  # first to last
    split: Past | None
    verdicts: tuple[Past, ...]  # in their order
    measures: Mapping[str, Past]  # of the last edition
    tokens: Past | None  # the training side
    held_out: Past | None
    parts: Mapping[str, Chain] = field(default_factory=dict)  # of the union, by name

    @property
    def union(self) -> Past | None:
        """The union that the editions begin with, if there is one."""
        return self.editions[0] if self.parts else None

    @property
    def sides(self) -> Past | None:
        """The stage that tells who is in before the verdicts: the split, or else the union."""
        return self.split or self.union

    def roles(self, verdicts: int | None = None) -> dict[Role, Past]:
        """Inputs by role, with the first `verdicts` verdict stages (all by default)."""
        last = self.editions[-1] if self.editions else None
        measures = {roles.measure(name): stage for name, stage in self.measures.items()}
        return roles.chain(last, self.sides, self.verdicts[:verdicts]) | measures


def _lineage(history: History) -> Lineage:
    stages = history.stages
    sides = {stage.what["side"]: stage for stage in history.of_kind("tokenize")}
    tokens = sides.get("train")
    for trained in history.of_kind("train"):
        tokens = stages[trained.inputs[roles.TOKENS]]
    # A run that stopped early has no training tokens: its last judged or written stage stands for them.
    ends = [tokens] if tokens else history.making("edition", "sides", "verdicts")
    end = ends[-1] if ends else None
    inputs = dict(end.view) if end else {}
    chain = _chain(stages, inputs)
    editions, verdicts = list(chain.editions), [stage for stage in chain.verdicts if stage.makes == "verdicts"]
    split = stages.get(inputs.get(roles.SIDES, ""))
    edition = editions[-1].name if editions else ""
    measures = {
        stage.name.rpartition(".")[2]: stage
        for stage in history.making("measure")
        if stage.inputs[roles.EDITION] == edition
    }
    union = editions[0] if editions and editions[0].kind == "union" else None
    parts = _parts(stages, union) if union else {}
    split = split if split and split.kind == "split" else None
    return Lineage(tuple(editions), split, tuple(verdicts), measures, tokens, sides.get("held_out"), parts)


def _chain(stages: Mapping[str, Past], inputs: Mapping[Role, str]) -> Chain:
    """The editions before a stage, back to the first or to a union, and the verdict stages it reads."""
    editions: list[Past] = []
    last = stages.get(inputs.get(roles.EDITION, ""))
    while last is not None:
        editions.insert(0, last)
        last = stages.get(last.inputs.get(roles.EDITION, ""))
    verdicts = [stages[inputs[role]] for role in roles.verdicts(inputs)]
    split = stages.get(inputs.get(roles.SIDES, ""))
    return Chain(tuple(editions), (*((split,) if split and split.kind == "split" else ()), *verdicts))


def _parts(stages: Mapping[str, Past], union: Past) -> dict[str, Chain]:
    return {
        part: _chain(stages, {own: union.inputs[role] for own, role in chain.items()})
        for part, chain in roles.parts(union.inputs).items()
    }


def histories(root: Path) -> list[History]:
    """Finished runs, newest first; a damaged one is passed over, with a warning."""
    return [History(root, each.name, each.body) for each in records(root)]


def open_run(store_root: Path, name: str) -> History:
    """A finished run by name, or the latest for an empty name. Raises NoRunError naming the runs there are."""
    names = named(store_root)
    if not name:
        names = [each.name for each in records(store_root)]
    if not names:
        raise NoRunError(
            f"{store_root} holds no finished run: `siku run` makes one, site.store=PATH names another store"
        )
    chosen = name or names[0]
    if chosen not in names:
        raise NoRunError(f"--run {name!r}: {store_root} holds no such run; it holds {', '.join(names[:8])}")
    return History(store_root, chosen, record_of(store_root, chosen).body)
