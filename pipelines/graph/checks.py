"""Mistakes that a plan can see: said before any work, each with the field, the value and the way out."""

import difflib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus.crawling.source import Crawl, CrawlSource
from corpus.filters import LanguageRule
from corpus.order import OrderError, check_mixture
from corpus.sources.capture import SourceError
from corpus.tokenize import Encoder, TokenizerError
from corpus.usage import UsageError
from pipelines.engine import roles
from pipelines.engine.files import try_folder
from pipelines.engine.identity import differences
from pipelines.engine.roles import Role
from pipelines.engine.runner import Workers
from pipelines.engine.stage import Stage
from pipelines.engine.store import Artifact, Store, StoreError
from pipelines.graph.finished import Finished
from pipelines.graph.recipe import RecipeError
from pipelines.graph.records import intents, named, record_of, store_root
from pipelines.stages.extract import ExtractStage
from pipelines.stages.filter import FilterStage
from pipelines.stages.split import SplitStage
from pipelines.stages.tokenize import TokenizeStage
from pipelines.stages.tokenizer import TokenizerStage
from pipelines.stages.train import TrainWhat, checkpoints
from pretrain.config import (
    ImportedModelError,
    LayoutError,
    WatchError,
    check_device,
    check_layout,
    check_model,
    check_watch,
    schedule_notes,
)

if TYPE_CHECKING:
    from conf.schema import Config
    from pipelines.graph.where import Site


class PlanError(UsageError):
    """A plan that would fail once it is under way: names the field, the value and the way out."""


def check(config: "Config", wanted: Sequence[Stage], found: Callable[[Stage], Artifact | None]) -> None:
    """Raise PlanError or RecipeError for stages that cannot be made as they are configured."""
    for stage in wanted:
        if isinstance(stage.what, FilterStage | SplitStage):
            check_columns(stage.name, stage.what, stage.inputs)
        if isinstance(stage, Finished) and found(stage) is None:
            raise PlanError(
                f"the store no longer holds {stage.kind}/{stage.digest}, which {stage.name} stands for: repeat the run "
                f"{stage.run}, or leave out what reads it"
            )
        if stage.kind == "crawl":
            check_contact(stage, config.site)
        if isinstance(stage.what, ExtractStage) and found(stage) is None:
            check_source(stage.what.input, config.recipe[stage.what.input])
    site = config.site
    Workers(site.workers, site.runner, tuple(site.runner_options))  # raises RunnerError
    for stage in wanted:
        if isinstance(stage.what, TokenizerStage) and stage.what.file and found(stage) is None:
            check_tokenizer(stage.name, stage.what)
    trains = [stage for stage in wanted if stage.kind == "train"]
    for stage in trains:
        if isinstance(stage.what, TrainWhat) and stage.what.train.trunk and found(stage) is None:
            check_trunk(stage.what.train.trunk, stage.digest, config)
    try:
        if trains:
            check_device(config.layout)
            check_nodes(config)
            check_watch(config.site.watch)
            if config.train.initial:
                check_model(config.model, config.train.initial.resolve())
            for stage in wanted:
                if isinstance(stage.what, TokenizerStage):
                    check_layout(config.model, config.train, config.layout, stage.what.vocabulary)
        for stage in trains:
            names = components(stage.inputs[roles.TOKENS], found)
            if names is not None:
                check_mixture(config.mixture.weights, config.mixture.rest, names)
    except (LayoutError, OrderError, WatchError, ImportedModelError) as error:
        raise PlanError(str(error)) from None


def check_tokenizer(name: str, what: TokenizerStage) -> None:
    """Refuse a tokenizer's file that cannot be used, or is of another vocabulary."""
    if what.file is None:
        return
    try:
        vocabulary = Encoder(what.file.resolve()).vocabulary
    except TokenizerError as error:
        raise PlanError(f"recipe.{name}.file: {error}") from None
    if vocabulary != what.vocabulary:
        raise PlanError(
            f"recipe.{name}.vocabulary={what.vocabulary}, but {what.file} has {vocabulary} tokens: set it to that"
        )


def check_nodes(config: "Config") -> None:
    """Refuse a training that does not fill the nodes of its job."""
    nodes, world = config.cluster.nodes, config.layout.world
    if config.cluster.kind != "none" and world % nodes:
        raise PlanError(f"cluster.nodes={nodes}: the layout's {world} processes do not spread evenly: change either")


def check_trunk(trunk: str, digest: str, config: "Config") -> None:
    """Refuse a trunk whose checkpoint is gone, unless the trajectory has begun and needs it no more."""
    store = Store(Path(config.site.store))
    start, _, step = trunk.rpartition("@")
    there = checkpoints(store.directory("train", start))
    if int(step) not in there and not checkpoints(store.directory("train", digest)):
        raise PlanError(
            f"train.trunk={config.train.trunk}: the store has no checkpoint of that step: "
            + (f"it has steps {', '.join(map(str, there))}" if there else "name another run")
        )


def check_source(name: str, source: Any) -> None:  # noqa: ANN401
    """Refuse a source without a file that it reads."""
    if isinstance(source, CrawlSource):
        return
    try:
        source.pieces()
    except SourceError as error:
        raise PlanError(f"recipe.{name}.path: {error}") from None


def check_contact(stage: Stage, site: "Site") -> None:
    """Refuse a crawl of strangers' hosts that does not say whom they may write to."""
    if not isinstance(stage.what, CrawlSource) or site.politeness.contact:
        return
    strangers = Crawl(stage.what, addresses={host.name: host.address for host in site.hosts.values()}).strangers()
    if strangers:
        raise PlanError(
            f"recipe.{stage.name} asks {', '.join(strangers[:3])}: set site.politeness.contact to a URL or an e-mail "
            "address that the User-Agent names"
        )


def check_columns(name: str, what: FilterStage | SplitStage, inputs: Mapping[Role, Stage]) -> None:
    """Refuse a rule on a column that its measure does not make."""
    for key, rule in sorted(what.rules.items()):
        for wanted in rule.reads():
            measure, _, column = wanted.partition(".")
            made = inputs[roles.measure(measure)].what.measure.schema.names  # type: ignore[attr-defined]
            if column not in made:
                raise RecipeError(
                    f"recipe.{name}.rules.{key} reads {wanted!r}, but the measure {measure} makes no such column"
                    + nearest(column, made)
                )


def nearest(name: str, names: Collection[str]) -> str:
    """How a message goes on after a name that is none of `names`."""
    close = difflib.get_close_matches(name, names, 1, 0.6)
    return f"; did you mean {close[0]}?" if close else f": choose among {', '.join(sorted(names))}"


def components(tokens: Stage, found: Callable[[Stage], Artifact | None]) -> Collection[str] | None:
    """Names of the training tokens' components: of the tokens that are there, or else as far as the recipe says them.

    None where only the data will tell.
    """
    made = found(tokens)
    if made is not None:
        names: Collection[str] = made.figures["components"]
        return names
    if not isinstance(tokens.what, TokenizeStage):
        return None
    sources, languages = _sources(tokens), _languages(tokens)
    if tokens.what.components == "source":
        return sources
    if languages is None or tokens.what.components == "language":
        return languages
    return [f"{source}.{language}" for source in sources for language in sorted(languages)]


def _sources(stage: Stage) -> list[str]:
    """Names that the documents which reach a stage carry as their source."""
    before, names, stack = {stage.name}, set(), [stage]
    while stack:
        here = stack.pop()
        if isinstance(here.what, ExtractStage):
            names.add(here.what.source)
        stack += [each for each in here.inputs.values() if each.name not in before]
        before |= {each.name for each in here.inputs.values()}
    return sorted(names)


def _languages(tokens: Stage) -> frozenset[str] | None:
    """Languages that the filters keep; None where no rule says which."""
    judges = [tokens.inputs[role].what for role in roles.verdicts(tokens.inputs)]
    rules = [rule for what in judges if isinstance(what, FilterStage) for rule in what.rules.values()]
    kept = [frozenset(rule.languages) for rule in rules if isinstance(rule, LanguageRule)]
    return frozenset.intersection(*kept) if kept else None


def notes(config: "Config") -> list[str]:
    """What may be meant and mostly is not, a sentence each."""
    trains = config.run.until in ("", "train", "evaluate") and config.run.steps > 0
    return schedule_notes(config.train, config.model.sequence_length, config.run.steps) if trains else []


def check_store(root: Path) -> None:
    """Raise PlanError or NoRunError where the store's folder is a file, or is not there and cannot be made."""
    try:
        try_folder(store_root(root))
    except OSError as error:
        raise PlanError(
            f"site.store={str(root)!r} cannot be made ({error.strerror}): set site.store to a folder that "
            "can be written"
        ) from None


def check_name(root: Path, name: str, what: Mapping[str, Any]) -> None:
    """Raise PlanError where a name is that of a run of another WHAT, whose results it would orphan."""
    taken: dict[str, Any] = {}
    with suppress(StoreError):  # a damaged record holds nothing that could be overwritten
        if name in named(root):
            taken = {key: value for key, value in record_of(root, name).body["config"].items() if key in what}
    if not taken and name in (begun := {each.name: each for each in intents(root)}):
        taken = dict(begun[name].what)
    changed = differences(taken, dict(what)) if taken else []
    if changed:
        path, old, new = changed[0]
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise PlanError(
            f"run.name={name!r} is the name of a run with another configuration ({path}: {json.dumps(old)} there, "
            f"{json.dumps(new)} here{more}): choose another, or give that run up with `siku gc --forget {name} --yes`"
        )


def check_end(root: Path, name: str, stages: Collection[str]) -> None:
    """Raise PlanError where a name is that of a run that went further, whose results it would orphan."""
    made: list[str] = []
    with suppress(StoreError):
        if name in named(root):
            made = [stage["name"] for stage in record_of(root, name).body["stages"]]
    if beyond := [stage for stage in made if stage not in stages]:
        raise PlanError(
            f"run.name={name!r} is the name of a run that went on to {beyond[-1]}, further than this one: choose "
            f"another, or give that run up with `siku gc --forget {name} --yes`"
        )
