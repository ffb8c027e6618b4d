"""Packaged and plug-in stages go through one door; what cannot stand in a store or a graph is refused."""

from dataclasses import replace
from typing import Literal

import pytest

from conf.load import load
from corpus.configuration import configuration
from corpus.plugins import Plugin, PluginError
from pipelines.engine.identity import StageName
from pipelines.engine.stage import Program, Stage, Totals
from pipelines.graph import recipe
from pipelines.graph.kinds import RESERVED, StageKind, plugin_kind
from pipelines.graph.recipe import OTHERS, PACKAGED, Builder, RecipeError, View, inputs_of, program


@configuration
class Twice:
    """A stage that reads two others."""

    kind: Literal["twice"] = "twice"
    input: StageName
    more: tuple[StageName, ...] = ()


def sealed(context):
    return Totals(context.tally)


TWICE = Program("twice", 3, ("numpy",), (), sealed, makes="verdicts")


def build(builder, name, spec):
    view = builder.seen(name, spec, split=True)
    stage = builder.stage(name, "twice", spec, {**view.roles(), **builder.measured(name, view, ["length"])}, "pyarrow")
    return replace(view, verdicts=(*view.verdicts, stage))


KIND = StageKind(Twice, TWICE, build)


@pytest.fixture
def twice(monkeypatch):
    """The kind as a plug-in's."""
    monkeypatch.setattr(recipe, "plugins", lambda group: (Plugin(KIND, "other 1"),))
    recipe.kinds.cache_clear()
    yield
    recipe.kinds.cache_clear()


def built(**more):
    every = {**load([]).recipe, **more}
    sources = {"source": Stage("source", "snapshot", 1, None, {}, (), str)}
    return Builder(every, str, sources).build()


def test_a_plugins_stage_stands_in_the_graph_as_its_builder_says(twice):
    detox = replace(load([]).recipe["detox"], input="again")
    stages = built(again=Twice(input="filter", more=("split",)), detox=detox).stages
    again = stages["again"]
    assert (again.kind, again.version, again.makes) == ("twice", 3, "verdicts")
    assert again.libraries == ("numpy", "pyarrow") and again.inputs["measure.length"] is stages["measure.length"]
    assert [again.inputs[role].name for role in ("edition", "sides", "verdict.00")] == ["clean", "split", "filter"]
    assert stages["tokens"].inputs["verdict.01"] is again
    assert list(stages).index("again") > list(stages).index("filter")
    with pytest.raises(RecipeError, match=r"recipe\.again\.input='splt': the recipe has no such stage"):
        built(again=Twice(input="filter", more=("splt",)))
    with pytest.raises(RecipeError, match=r"leads to no split: put a split stage before it"):
        built(again=Twice(input="measure"))


def test_a_stage_must_make_what_it_stands_for(twice, monkeypatch):
    monkeypatch.setattr(recipe, "program", lambda kind: replace(TWICE, makes="") if kind == "twice" else program(kind))
    told = r"recipe\.again stands for verdicts, but the program of kind=twice makes nothing: declare it with makes='ver"
    with pytest.raises(RecipeError, match=told):
        built(again=Twice(input="filter"))
    with pytest.raises(RecipeError, match="stands for edition, but the program of kind=twice makes verdicts"):
        View(edition=Stage("x", "twice", 1, None, {}, (), str, "verdicts"))


REFUSED = {
    r"plug-in other 1 is no StageKind \(pipelines/graph/kinds\.py\)": Twice,
    r"its program is of kind 'once', its configuration says kind: Literal\['twice'\]: give both one name": StageKind(
        Twice, replace(TWICE, kind="once"), build
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_no_kind_of_stage_is_refused(message):
    with pytest.raises(PluginError, match=message):
        plugin_kind(Plugin(REFUSED[message], "other 1"))


@pytest.mark.parametrize("name", [*sorted(RESERVED), "../x", "a b", ""])
def test_no_plugin_writes_where_others_do(name):
    spec = type("Spec", (), {"__pydantic_fields__": {"kind": type("F", (), {"annotation": Literal[name]})}})
    with pytest.raises(PluginError, match=f"kind {name!r} is reserved or no identifier: rename it"):
        plugin_kind(Plugin(StageKind(spec, replace(TWICE, kind=name), build), "other 1"))


def test_reserved_are_the_folders_of_a_store_that_no_recipe_names():
    assert OTHERS.keys() <= RESERVED and not RESERVED & {kind.program.kind for kind in PACKAGED}


def test_inputs_are_the_stages_that_a_configuration_names_in_the_order_of_its_fields():
    every = load(
        ["recipe=mixed", "source=none", "recipe.site.seeds=[http://a/]", "recipe.pages.path=x", "recipe.texts.path=y"]
    )
    assert inputs_of(every.recipe["union"]) == ["pages_measure", "site_measure", "texts_measure"]
    assert inputs_of(every.recipe["tokens"]) == ["decontaminate", "tokenizer"]
    assert inputs_of(every.recipe["pages"]) == []
    assert inputs_of(Twice(input="a", more=("b", "c"))) == ["a", "b", "c"]
