"""One configuration becomes the graph of stages. Each stage sees, through its input, what came before it."""

import dataclasses
import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, ClassVar

from corpus.measures import Signature
from corpus.plugins import plugins
from pipelines.engine.identity import FileHash, StageName, canonical_json
from pipelines.engine.stage import Program, Stage
from pipelines.graph.kinds import GROUP, StageKind, plugin_kind
from pipelines.stages import decontaminate, dedupe, edit, extract, measure, split, tokenize, tokenizer, union
from pipelines.stages import filter as filters
from pipelines.stages.decontaminate import DecontaminateStage
from pipelines.stages.dedupe import DedupeStage
from pipelines.stages.edit import EditStage
from pipelines.stages.extract import ExtractStage
from pipelines.stages.filter import FilterStage, reads
from pipelines.stages.measure import MeasureStage, OneMeasure
from pipelines.stages.split import SplitStage
from pipelines.stages.tokenize import TokenizeStage
from pipelines.stages.tokenizer import TokenizerStage
from pipelines.stages.train import EvaluateWhat, TrainWhat, UntrainedWhat
from pipelines.stages.union import JoinedWhat, UnionStage
from pretrain.config import Evaluation

# No recipe names these. By path: the crawler is not needed to plan.
OTHERS = {
    "crawl": ("pipelines.stages.crawl", "PROGRAM"),
    "train": ("pipelines.stages.train", "TRAIN"),
    "evaluate": ("pipelines.stages.train", "EVALUATE"),
    "joined": ("pipelines.stages.union", "JOINED"),
}


class RecipeError(ValueError):
    """A recipe whose stages do not fit together: names the stage, what it needs and the way out."""


def program(kind: str) -> Program:
    """How a kind of stage is made."""
    if kind not in OTHERS:
        return kinds()[kind].program
    module, name = OTHERS[kind]
    found: Program = getattr(importlib.import_module(module), name)
    return found


@dataclass(frozen=True)
class SnapshotWhat:
    """A sealed crawl, known by its content."""

    version: ClassVar[int] = 1
    digest: str


@dataclass(frozen=True)
class View:
    """What a stage sees through its input: the edition, its measures, the split, the verdicts so far."""

    source: Stage | None = None
    edition: Stage | None = None
    measures: Mapping[str, Stage] = field(default_factory=dict)
    union: Stage | None = None  # tells who is in until there is a split
    split: Stage | None = None
    verdicts: tuple[Stage, ...] = ()
    tokenizer: Stage | None = None

    def __post_init__(self) -> None:
        """Refuse a stage that does not make what it stands for: readers of a finished run go by what it makes."""
        places = {"edition": [self.edition], "measure": self.measures.values(), "sides": [self.split]}
        for makes, stages in {**places, "verdicts": self.verdicts}.items():
            for stage in stages:
                if stage is not None and stage.makes != makes:
                    raise RecipeError(
                        f"recipe.{stage.name} stands for {makes}, but the program of kind={stage.kind} makes "
                        f"{stage.makes or 'nothing'}: declare it with makes={makes!r}"
                    )

    def roles(self) -> dict[str, Stage]:
        """Edition, split and verdicts as inputs by role."""
        out: dict[str, Stage] = {}
        if self.edition is not None:
            out["edition"] = self.edition
        sides = self.split or self.union
        if sides is not None:
            out["sides"] = sides
        for index, stage in enumerate(self.verdicts):
            out[f"verdict.{index:02d}"] = stage
        return out


@dataclass
class Graph:
    """Stages in an order in which each follows its inputs; `views` by the recipe's names."""

    stages: dict[str, Stage] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)

    def add(self, stage: Stage) -> Stage:
        """Put a stage after its inputs."""
        self.stages[stage.name] = stage
        return stage


class Builder:
    """Builds the corpus part of a graph from a recipe; `seen`, `measured` and `stage` are what a stage's kind uses."""

    def __init__(self, recipe: Mapping[str, Any], file_hash: FileHash, sources: Mapping[str, Stage]) -> None:
        self._recipe, self._file_hash, self._sources = recipe, file_hash, sources
        self.graph = Graph()
        self._names: dict[str, str] = {}  # extract stages by the source that their documents carry

    def build(self) -> Graph:
        """Every stage of the recipe, inputs first. Raises RecipeError."""
        for name in self._recipe:
            self._view(name, ())
        read = {before for spec in self._recipe.values() for before in inputs_of(spec)}
        if idle := sorted(self._sources.keys() - read):
            raise RecipeError(
                f"recipe.{idle[0]} is a source that no extract stage reads: add one with input: {idle[0]}, and a union "
                f"where it joins the others; or remove it with ~recipe.{idle[0]}"
            )
        return self.graph

    def _view(self, name: str, below: tuple[str, ...]) -> View:
        if name in below:
            raise RecipeError(f"recipe.{name} is its own input, by way of {' -> '.join((*below, name))}")
        if name not in self.graph.views:
            if name not in self._recipe:
                raise RecipeError(
                    f"recipe.{below[-1]}.input={name!r}: the recipe has no such stage; it has {sorted(self._recipe)}"
                )
            spec = self._recipe[name]
            kind = kinds().get(spec.kind)
            if kind is None:  # a source
                self.graph.views[name] = View(source=self.graph.add(self._sources[name]))
            else:
                for before in inputs_of(spec):
                    self._view(before, (*below, name))
                self.graph.views[name] = kind.build(self, name, spec)
        return self.graph.views[name]

    def stage(self, name: str, kind: str, what: object, inputs: Mapping[str, Stage], *more: str) -> Stage:
        """Add a stage that is `what`; `more` libraries decide its output, beside those of its program."""
        how = program(kind)
        libraries = tuple(sorted({*how.libraries, *more}))
        return self.graph.add(Stage(name, kind, how.version, what, dict(inputs), libraries, self._file_hash, how.makes))

    def measured(self, name: str, view: View, wanted: Iterable[str]) -> dict[str, Stage]:
        """Measures of the view's edition as inputs by role. Raises RecipeError."""
        missing = [measure for measure in wanted if measure not in view.measures]
        if missing:
            raise RecipeError(
                f"recipe.{name} reads the measures {missing}, which no measure stage before it makes; "
                f"there are {sorted(view.measures)}: add them to a measure stage of the same edition"
            )
        return {f"measure.{measure}": view.measures[measure] for measure in wanted}

    def seen(self, name: str, spec: Any, *, split: bool) -> View:  # noqa: ANN401
        """What a stage sees through its first input: an edition, and a split if it needs one. Raises RecipeError."""
        before = inputs_of(spec)[0]
        view = self.graph.views[before]
        if view.edition is None:
            raise RecipeError(f"recipe.{name}.input={before!r} leads to no edition: put an extract stage before it")
        if split and view.split is None:
            raise RecipeError(f"recipe.{name}.input={before!r} leads to no split: put a split stage before it")
        return view

    def _extract(self, name: str, spec: ExtractStage) -> View:
        source = self.graph.views[spec.input].source
        if source is None:
            raise RecipeError(f"recipe.{name}.input={spec.input!r} is no source: name one of {sorted(self._sources)}")
        spec = replace(spec, source=spec.source or spec.input)
        if spec.source in self._names:
            raise RecipeError(
                f"recipe.{name}.source={spec.source!r} is the source of recipe.{self._names[spec.source]} too: "
                "documents without a URL are known by it, so give each extract stage its own"
            )
        self._names[spec.source] = name
        return View(edition=self.stage(name, "extract", spec, {"source": source}, *spec.libraries()))

    def _union(self, name: str, spec: UnionStage) -> View:
        views = {part: self._union_part(name, part, before) for part, before in sorted(spec.parts.items())}
        inputs = {f"part.{part}.{role}": stage for part, view in views.items() for role, stage in view.roles().items()}
        edition = self.stage(name, "union", spec, inputs)
        shared = set.intersection(*(set(view.measures) for view in views.values())) if views else set()
        measures = {}
        for key in sorted(shared):
            parts = {f"part.{part}.measure": view.measures[key] for part, view in views.items()}
            if len({_measure_of(stage) for stage in parts.values()}) == 1:  # others cannot be one measure of the union
                what = JoinedWhat(getattr(next(iter(parts.values())).what, "measure"))  # noqa: B009
                measures[key] = self.stage(f"{name}.{key}", "joined", what, {"edition": edition, **parts})
        return View(edition=edition, measures=measures, union=edition)

    def _union_part(self, name: str, part: str, before: str) -> View:
        view = self.graph.views[before]
        if view.edition is None:
            raise RecipeError(
                f"recipe.{name}.parts.{part}={before!r} leads to no edition: put an extract stage before it"
            )
        if view.split is not None:
            raise RecipeError(
                f"recipe.{name}.parts.{part}={before!r} comes after recipe.{view.split.name}, a split: split what the "
                "union joins, not its parts, so that twins in two parts stand on one side"
            )
        return view

    def _edit(self, name: str, spec: EditStage) -> View:
        view = self.seen(name, spec, split=False)
        # Rows stay where they are, so sides and verdicts still fit; measures are of the text and do not.
        libraries = {name for one in spec.edits.values() for name in getattr(one, "libraries", ())}
        edition = self.stage(name, "edit", spec, {"edition": _there(view.edition)}, *libraries)
        return replace(view, edition=edition, measures={})

    def _measure(self, name: str, spec: MeasureStage) -> View:
        view = self.seen(name, spec, split=False)
        made = dict(view.measures)
        for key, each in sorted(spec.measures.items()):
            libraries = getattr(each, "libraries", ())
            one = OneMeasure(measure=each)
            made[key] = self.stage(f"{name}.{key}", "measure", one, {"edition": _there(view.edition)}, *libraries)
        return replace(view, measures=made)

    def _split(self, name: str, spec: SplitStage) -> View:
        view = self.seen(name, spec, split=False)
        if view.split:
            raise RecipeError(f"recipe.{name} splits what recipe.{view.split.name} has split: a recipe has one split")
        wanted = sorted({spec.signature, spec.exact, *reads(spec.rules)})
        inputs = {**view.roles(), **self.measured(name, view, wanted)}
        _check_bands(name, spec, view)
        return replace(view, split=self.stage(name, "split", spec, inputs), verdicts=())

    def _filter(self, name: str, spec: FilterStage) -> View:
        view = self.seen(name, spec, split=False)
        inputs = {**view.roles(), **self.measured(name, view, reads(spec.rules))}
        return replace(view, verdicts=(*view.verdicts, self.stage(name, "filter", spec, inputs)))

    def _dedupe(self, name: str, spec: DedupeStage) -> View:
        view = self.seen(name, spec, split=False)
        inputs = {**view.roles(), **self.measured(name, view, [spec.signature])}
        _check_bands(name, spec, view)
        return replace(view, verdicts=(*view.verdicts, self.stage(name, "dedupe", spec, inputs)))

    def _decontaminate(self, name: str, spec: DecontaminateStage) -> View:
        view = self.seen(name, spec, split=True)
        return replace(view, verdicts=(*view.verdicts, self.stage(name, "decontaminate", spec, view.roles())))

    def _tokenizer(self, name: str, spec: TokenizerStage) -> View:
        view = self.seen(name, spec, split=False)
        inputs = {**view.roles(), **self.measured(name, view, ["language"] if spec.languages else [])}
        return replace(view, tokenizer=self.stage(name, "tokenizer", spec, inputs))

    def _tokenize(self, name: str, spec: TokenizeStage) -> View:
        view = self.seen(name, spec, split=spec.side == "held_out")
        tokenizer = self.graph.views[spec.tokenizer].tokenizer
        if tokenizer is None:
            raise RecipeError(f"recipe.{name}.tokenizer={spec.tokenizer!r} is no tokenizer stage")
        wanted = [] if spec.components == "source" else ["language"]
        inputs = {**view.roles(), **self.measured(name, view, wanted), "tokenizer": tokenizer}
        self.stage(name, "tokenize", spec, inputs)
        return view


def with_training(graph: Graph, what: TrainWhat, evaluation: Evaluation, steps: int, file_hash: FileHash) -> Graph:
    """Add the trajectory and its two evaluations: step 0, the untrained model, and the last step.

    A recipe without token shards of both sides ends as a corpus, and nothing is added.
    """
    tokens, held_out = _tokens(graph, "train"), _tokens(graph, "held_out")
    if tokens is None or held_out is None:
        return graph

    def stage(name: str, kind: str, of: object, inputs: Mapping[str, Stage]) -> Stage:
        made = program(kind)
        return graph.add(Stage(name, kind, made.version, of, dict(inputs), made.libraries, file_hash))

    train = stage("train", "train", what, {"tokens": tokens})
    # Initial weights know nothing of the corpus: cells of a filter sweep share this one.
    start = UntrainedWhat(what.model, what.train.seed, what.precision, evaluation)
    untrained = stage("untrained", "evaluate", start, {"held_out": held_out})
    inputs = {"train": train, "tokens": tokens, "held_out": held_out, "untrained": untrained}
    stage("evaluate", "evaluate", EvaluateWhat(evaluation, steps), inputs)
    return graph


def _tokens(graph: Graph, side: str) -> Stage | None:
    """The recipe's one tokenize stage of a side, if it has one."""
    stages = [s for s in graph.stages.values() if isinstance(s.what, TokenizeStage) and s.what.side == side]
    if len(stages) > 1:
        names = [stage.name for stage in stages]
        raise RecipeError(
            f"the recipe has {len(stages)} tokenize stages with side={side} ({names}): training needs one"
        )
    return stages[0] if stages else None


PACKAGED = (
    StageKind(ExtractStage, extract.PROGRAM, Builder._extract),
    StageKind(EditStage, edit.PROGRAM, Builder._edit),
    StageKind(MeasureStage, measure.PROGRAM, Builder._measure),
    StageKind(UnionStage, union.PROGRAM, Builder._union),
    StageKind(SplitStage, split.PROGRAM, Builder._split),
    StageKind(FilterStage, filters.PROGRAM, Builder._filter),
    StageKind(DedupeStage, dedupe.PROGRAM, Builder._dedupe),
    StageKind(DecontaminateStage, decontaminate.PROGRAM, Builder._decontaminate),
    StageKind(TokenizerStage, tokenizer.PROGRAM, Builder._tokenizer),
    StageKind(TokenizeStage, tokenize.PROGRAM, Builder._tokenize),
)


@cache
def kinds() -> Mapping[str, StageKind]:
    """Every kind of corpus stage, packaged or a plug-in's, by name. Raises PluginError."""
    every = [*PACKAGED, *(plugin_kind(plugin) for plugin in plugins(GROUP))]
    return {kind.program.kind: kind for kind in every}


def inputs_of(spec: Any) -> list[StageName]:  # noqa: ANN401
    """Names of the stages that a stage of a recipe reads, in the order of its fields; none for a source."""
    names: list[StageName] = []
    for each in dataclasses.fields(spec):
        value = getattr(spec, each.name)
        several = (
            value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else [value]
        )
        names += [name for name in several if isinstance(name, StageName)]
    return names


def _measure_of(stage: Stage) -> str:
    """What a measure stage measures, whatever its edition."""
    what: Any = stage.identity["what"]
    return canonical_json(what["measure"])


def _check_bands(name: str, spec: SplitStage | DedupeStage, view: View) -> None:
    """Refuse a measure that is no signature, and bands that it is too short for."""
    measure = getattr(view.measures[spec.signature].what, "measure", None)
    if not isinstance(measure, Signature):
        raise RecipeError(f"recipe.{name}.signature={spec.signature!r} is no signature measure: name one")
    if spec.bands * spec.rows > measure.permutations:
        raise RecipeError(
            f"recipe.{name}: bands={spec.bands} of rows={spec.rows} need {spec.bands * spec.rows} permutations, but "
            f"{spec.signature} has {measure.permutations}: lower them, or raise the measure's permutations"
        )


def _there(stage: Stage | None) -> Stage:
    if stage is None:
        raise RecipeError("a stage without an edition")
    return stage


def sources_of(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's sources by name. Raises RecipeError where there is none."""
    sources = {name: spec for name, spec in recipe.items() if spec.kind not in kinds()}
    if not sources:
        raise RecipeError("the recipe has no source: add one, such as recipe.source={kind: html, path: DIR}")
    return sources


__all__ = ["Builder", "Graph", "RecipeError", "SnapshotWhat", "View", "program", "sources_of", "with_training"]
