"""One configuration becomes the graph of stages. Each stage sees, through its input, what came before it."""

import dataclasses
import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

from corpus.dedup import AnyKey, Bands, Key
from corpus.measures import AnyMeasure, Signature
from corpus.plugins import plugins
from pipelines.engine import roles
from pipelines.engine.identity import FileHash, RunName, StageName, canonical_json, encode
from pipelines.engine.roles import Role
from pipelines.engine.stage import Program, Stage
from pipelines.graph import quarantined
from pipelines.graph.finished import ReadRun, RunError, no_runs, open_view
from pipelines.graph.kinds import GROUP, StageKind, plugin_kind
from pipelines.graph.view import Graph as Graph
from pipelines.graph.view import RecipeError as RecipeError
from pipelines.graph.view import View as View
from pipelines.stages import (
    decontaminate,
    dedupe,
    dedupe_spans,
    edit,
    extract,
    keys,
    measure,
    split,
    tokenize,
    tokenizer,
    union,
)
from pipelines.stages import filter as filters
from pipelines.stages.decontaminate import DecontaminateStage
from pipelines.stages.dedupe import DedupeStage
from pipelines.stages.dedupe_spans import DedupeSpansStage
from pipelines.stages.edit import EditStage
from pipelines.stages.extract import ExtractStage
from pipelines.stages.filter import FilterStage, reads
from pipelines.stages.keys import KeysStage, OneKey
from pipelines.stages.measure import MeasureStage, OneMeasure
from pipelines.stages.split import SplitStage
from pipelines.stages.tokenize import TokenizeStage
from pipelines.stages.tokenizer import TokenizerStage
from pipelines.stages.union import JoinedWhat, UnionStage

# No recipe names these. By path: the crawler is not needed to plan.
OTHERS = {
    "crawl": ("pipelines.stages.crawl", "PROGRAM"),
    "train": ("pipelines.stages.train", "TRAIN"),
    "evaluate": ("pipelines.stages.train", "EVALUATE"),
    "joined": ("pipelines.stages.union", "JOINED"),
}


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


class Builder:
    """Builds the corpus part of a graph from a recipe; `seen`, `measured` and `stage` are what a stage's kind uses."""

    def __init__(
        self,
        recipe: Mapping[str, Any],
        file_hash: FileHash,
        sources: Mapping[str, Stage],
        runs: ReadRun = no_runs,
        quarantines: quarantined.ReadQuarantine = quarantined.no_quarantine,
    ) -> None:
        self.quarantines = quarantines
        self._recipe, self._file_hash, self._sources, self._runs = recipe, file_hash, sources, runs
        self.graph = Graph()
        self._names: dict[str, str] = {}  # extract stages by the source that their documents carry

    def build(self) -> Graph:
        """Every stage of the recipe, inputs first. Raises RecipeError."""
        for name in self._recipe:
            _check_names(name, self._recipe[name])
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

    def stage(self, name: str, kind: str, what: object, inputs: Mapping[Role, Stage], *more: str) -> Stage:
        """Add a stage that is `what`; `more` libraries decide its output, beside those of its program."""
        how = program(kind)
        libraries = tuple(sorted({*how.libraries, *more}))
        return self.graph.add(Stage(name, kind, how.version, what, dict(inputs), libraries, self._file_hash, how.makes))

    def measured(self, name: str, view: View, wanted: Iterable[str]) -> dict[Role, Stage]:
        """Measures of the view's edition as inputs by role. Raises RecipeError."""
        missing = [measure for measure in wanted if measure not in view.measures]
        if missing:
            raise RecipeError(
                f"recipe.{name} reads the measures {missing}, which no measure stage before it makes; "
                f"there are {sorted(view.measures)}: add them to a measure stage of the same edition"
            )
        return {roles.measure(measure): view.measures[measure] for measure in wanted}

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
        return View(edition=self.stage(name, "extract", spec, {roles.SOURCE: source}, *spec.libraries()))

    def _union(self, name: str, spec: UnionStage) -> View:
        views = {part: self._union_part(name, part, before) for part, before in sorted(spec.parts.items())}
        inputs: dict[Role, Stage] = {}
        for part, view in views.items():
            inputs |= roles.of_part(part, view.roles())
        edition = self.stage(name, "union", spec, inputs)
        shared = set.intersection(*(set(view.measures) for view in views.values())) if views else set()
        measures = {}
        for key in sorted(shared):
            inputs = {roles.EDITION: edition}
            for part, view in views.items():
                inputs |= roles.of_part(part, {roles.JOINED: view.measures[key]})
            several = [view.measures[key] for view in views.values()]
            if len({_measure_of(stage) for stage in several}) == 1:  # others cannot be one measure of the union
                what = JoinedWhat(getattr(several[0].what, "measure"))  # noqa: B009
                measures[key] = self.stage(f"{name}.{key}", "joined", what, inputs)
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
        edition = self.stage(name, "edit", spec, _edition_of(view), *libraries)
        return replace(view, edition=edition, measures={}, keys={})

    def _dedupe_spans(self, name: str, spec: DedupeSpansStage) -> View:
        view = self.seen(name, spec, split=False)
        inputs = {**view.roles(), **_edition_of(view), **self.keyed(name, view, [spec.key], spans=True)}
        return replace(view, edition=self.stage(name, "dedupe_spans", spec, inputs), measures={}, keys={})

    def _measure(self, name: str, spec: MeasureStage) -> View:
        view = self.seen(name, spec, split=False)
        made = dict(view.measures)
        for key, each in sorted(spec.measures.items()):
            made[key] = self._add_measure(f"{name}.{key}", each, _edition_of(view))
        return replace(view, measures=made)

    def _add_measure(self, name: str, measure: AnyMeasure, inputs: Mapping[Role, Stage]) -> Stage:
        return self.stage(name, "measure", OneMeasure(measure=measure), inputs, *getattr(measure, "libraries", ()))

    def _keys(self, name: str, spec: KeysStage) -> View:
        view = self.seen(name, spec, split=False)
        made = dict(view.keys)
        for key, each in sorted(spec.keys.items()):
            if isinstance(each, Bands):
                _check_bands(f"{name}.keys.{key}", each, view)
            measures = self.measured(name, view, sorted({column.partition(".")[0] for column in each.reads()}))
            made[key] = self._add_key(f"{name}.{key}", each, {**_edition_of(view), **measures})
        return replace(view, keys=made)

    def _add_key(self, name: str, key: AnyKey, inputs: Mapping[Role, Stage]) -> Stage:
        return self.stage(name, "keys", OneKey(key=key), inputs, *getattr(key, "libraries", ()))

    def keyed(self, name: str, view: View, wanted: Iterable[str], *, spans: bool = False) -> dict[Role, Stage]:
        """Keys of the view's edition as inputs by role, of documents or of `spans`, and the one measure that verifies
        similar ones. Raises RecipeError."""
        wanted = list(wanted)
        if twice := sorted({key for key in wanted if wanted.count(key) > 1}):
            raise RecipeError(f"recipe.{name}.keys={wanted} names {twice[0]} more than once: name each key once")
        if missing := [key for key in wanted if key not in view.keys]:
            raise RecipeError(
                f"recipe.{name} reads the keys {missing}, which no keys stage before it makes; there are "
                f"{sorted(view.keys)}: add them to a keys stage of the same edition"
            )
        keys = {key: view.keys[key] for key in wanted}
        ties: dict[str, Key] = {key: getattr(stage.what, "key") for key, stage in keys.items()}  # noqa: B009
        if wrong := sorted(key for key, of in ties.items() if (of.tie == "span") != spans):
            raise RecipeError(
                f"recipe.{name} reads the keys {wrong}, which are of {'documents' if spans else 'spans of text'}: name "
                f"keys of {'spans' if spans else 'documents'}"
            )
        similar = {of.reads()[0] for of in ties.values() if of.tie == "similar"}
        if len(similar) > 1:
            raise RecipeError(
                f"recipe.{name}.keys={sorted(keys)} are verified by {sorted(similar)}: name keys of one signature"
            )
        measures = self.measured(name, view, [column.partition(".")[0] for column in similar])
        return {**{roles.key(key): stage for key, stage in keys.items()}, **measures}

    def _split(self, name: str, spec: SplitStage) -> View:
        view = self.seen(name, spec, split=False)
        if view.split:
            raise RecipeError(f"recipe.{name} splits what recipe.{view.split.name} has split: a recipe has one split")
        inputs = {**view.roles(), **self.measured(name, view, reads(spec.rules)), **self.keyed(name, view, spec.keys)}
        return replace(view, split=self.stage(name, "split", spec, inputs), verdicts=())

    def _filter(self, name: str, spec: FilterStage) -> View:
        view = self.seen(name, spec, split=False)
        inputs = {**view.roles(), **self.measured(name, view, reads(spec.rules))}
        return replace(view, verdicts=(*view.verdicts, self.stage(name, "filter", spec, inputs)))

    def _dedupe(self, name: str, spec: DedupeStage) -> View:
        view = self.seen(name, spec, split=False)
        inputs = {**view.roles(), **self.keyed(name, view, spec.keys)}
        for alias, run in sorted(spec.against.items()):
            inputs |= self._against(name, alias, run, inputs)
        return replace(view, verdicts=(*view.verdicts, self.stage(name, "dedupe", spec, inputs)))

    def _against(self, name: str, alias: str, run: RunName, own: Mapping[Role, Stage]) -> dict[Role, Stage]:
        """A finished run's documents with the measures and keys that `own` ones are compared by, as inputs by role.

        Those that the run has made are found by their digests; others are made of its edition.
        """
        try:
            view = open_view(self._runs, run, f"{name}.{alias}")
        except RunError as error:
            raise RecipeError(f"recipe.{name}.against.{alias}={run!r}: {error}") from None
        there: dict[Role, Stage] = {role: self.graph.add(view.stage(of)) for role, of in sorted(view.roles.items())}
        edition = {role: stage for role, stage in there.items() if role in (roles.EDITION, roles.UNION)}
        keys = [own[role] for role in roles.keys(own).values()]
        read = {role: stage for key in keys for role, stage in key.inputs.items()}
        for role in roles.measures(read).values():
            what = getattr(read[role].what, "measure")  # noqa: B009
            joined = view.joined(encode(what, self._file_hash))
            there[role] = (
                self.graph.add(joined) if joined else self._add_measure(f"{name}.{alias}.{role}", what, edition)
            )
        for role in roles.keys(own).values():
            inputs = {**edition, **{of: there[of] for of in roles.measures(own[role].inputs).values()}}
            there[role] = self._add_key(f"{name}.{alias}.{role}", getattr(own[role].what, "key"), inputs)  # noqa: B009
        return roles.of_run(alias, there)

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
        inputs = {**view.roles(), **self.measured(name, view, wanted), roles.TOKENIZER: tokenizer}
        self.stage(name, "tokenize", spec, inputs)
        return view


PACKAGED = (
    StageKind(ExtractStage, extract.PROGRAM, Builder._extract),
    StageKind(EditStage, edit.PROGRAM, Builder._edit),
    StageKind(DedupeSpansStage, dedupe_spans.PROGRAM, Builder._dedupe_spans),
    StageKind(MeasureStage, measure.PROGRAM, Builder._measure),
    StageKind(KeysStage, keys.PROGRAM, Builder._keys),
    StageKind(UnionStage, union.PROGRAM, Builder._union),
    StageKind(SplitStage, split.PROGRAM, Builder._split),
    StageKind(FilterStage, filters.PROGRAM, Builder._filter),
    StageKind(DedupeStage, dedupe.PROGRAM, Builder._dedupe),
    StageKind(DecontaminateStage, decontaminate.PROGRAM, Builder._decontaminate),
    quarantined.KIND,
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


def _check_names(name: str, spec: Any) -> None:  # noqa: ANN401
    """Refuse a dot in the names of a stage and of what it holds by name: it parts the names of roles."""
    held = [(each.name, getattr(spec, each.name)) for each in dataclasses.fields(spec)]
    keys = [(field, key) for field, value in held if isinstance(value, Mapping) and _by_name(value) for key in value]
    for where, key in [("", name), *keys]:
        if not roles.is_name(key):
            path = f"recipe.{name}.{where}" if where else "recipe"
            raise RecipeError(f"{path} has the name {key!r}: give one without a dot")


def _by_name(value: Mapping[str, Any]) -> bool:
    """Whether a mapping holds stages, runs or configurations by names of one's own."""
    return all(isinstance(each, StageName | RunName) or dataclasses.is_dataclass(each) for each in value.values())


def _measure_of(stage: Stage) -> str:
    """What a measure stage measures, whatever its edition."""
    what: Any = stage.identity["what"]
    return canonical_json(what["measure"])


def _check_bands(name: str, key: Bands, view: View) -> None:
    """Refuse a measure that is no signature, and bands that it is too short for."""
    measure = getattr(getattr(view.measures.get(key.measure), "what", None), "measure", None)
    if measure is not None and not isinstance(measure, Signature):
        raise RecipeError(f"recipe.{name}.measure={key.measure!r} is no signature measure: name one")
    if measure is not None and key.bands * key.rows > measure.permutations:
        raise RecipeError(
            f"recipe.{name}: bands={key.bands} of rows={key.rows} need {key.bands * key.rows} permutations, but "
            f"{key.measure} has {measure.permutations}: lower them, or raise the measure's permutations"
        )


def _edition_of(view: View) -> dict[Role, Stage]:
    """The edition, and the union that knows which of its rows count, as inputs by role."""
    if view.edition is None:
        raise RecipeError("a stage without an edition")
    return {roles.EDITION: view.edition, **({} if view.union is None else {roles.UNION: view.union})}


def sources_of(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's sources by name. Raises RecipeError where there is none."""
    sources = {name: spec for name, spec in recipe.items() if spec.kind not in kinds()}
    if not sources:
        raise RecipeError("the recipe has no source: add one, such as recipe.source={kind: html, path: DIR}")
    return sources
