"""One configuration becomes one graph; what does not fit together is refused by name; only WHAT counts."""

import dataclasses

import pytest

from conf.load import load
from corpus.configuration import FileRef
from corpus.dedup import Bands
from corpus.measures import Signature
from pipelines.engine.stage import Stage
from pipelines.graph.plan import make_plan
from pipelines.graph.recipe import Builder, RecipeError, SnapshotWhat, sources_of
from pipelines.graph.training import with_training
from pipelines.stages.train import TrainWhat
from pipelines.stages.union import UnionStage

SOURCE = Stage("source", "snapshot", 1, SnapshotWhat(digest="1" * 24), {}, (), str)


def hashed(reference: FileRef) -> str:
    return f"hash of {reference}"


def graph(*overrides, recipe=None, source=SOURCE):
    config = load(overrides)
    built = Builder(recipe or config.recipe, hashed, dict.fromkeys(sources_of(recipe or config.recipe), source)).build()
    what = TrainWhat(model=config.model, train=config.train, precision=config.precision, mixture=config.mixture)
    return with_training(built, what, config.evaluation, config.run.steps, hashed)


def digests(*overrides, **more):
    return {name: stage.digest for name, stage in graph(*overrides, **more).stages.items() if name != "source"}


@pytest.fixture(scope="module")
def base():
    return digests()


def changed(base, *overrides):
    now = digests(*overrides)
    assert now.keys() == base.keys()
    return {name for name in base if now[name] != base[name]}


AFTER_FILTER = {"filter", "detox", "dedupe", "decontaminate", "tokens", "train", "evaluate"}
AFTER_SPLIT = AFTER_FILTER | {"split", "tokenizer", "held_out", "untrained"}
TRAINING = {"train", "untrained", "evaluate"}
MEASURES = {
    f"measure.{m}"
    for m in (
        "length",
        "language",
        "quality",
        "repetition",
        "signature",
        "exact",
        "toxicity",
        "published",
        "address",
        "survey",
    )
}
KEYS = {f"keys.{key}" for key in ("exact", "near", "path", "related")}
CHANGES = {
    "recipe.keys.keys.near.rows=7": {"keys.near", *AFTER_FILTER} - {"filter", "detox"},
    "recipe.split.near=0.6": AFTER_SPLIT,
    "recipe.filter.rules.extra={rule: range, order: 99, column: length.bytes, minimum: {other: 5}}": AFTER_FILTER,
    "recipe.dedupe.jaccard=0.71": AFTER_FILTER - {"filter", "detox"},
    "recipe.decontaminate.share=0.3": AFTER_FILTER - {"filter", "detox", "dedupe"},
    "recipe.split.salt=盐": AFTER_SPLIT,
    "recipe.tokenizer.vocabulary=2000": {"tokenizer", "tokens", "held_out", *TRAINING},
    "recipe.measure.measures.signature.permutations=256": {
        "measure.signature",
        "keys.near",
        "keys.related",
        *AFTER_SPLIT,
    },
    "recipe.clean.edits.mask.order=5": {"clean", *MEASURES, *KEYS, *AFTER_SPLIT},
    "train.seed=7": TRAINING,
    "run.steps=4": {"evaluate"},  # a trajectory grows: how far it goes is not what it is
}


@pytest.mark.parametrize("override", CHANGES)
def test_a_change_reaches_what_follows_and_nothing_else(base, override):
    assert changed(base, override) == CHANGES[override]


WHERE = [
    "site.store=/elsewhere",
    "site.workers=7",
    "site.memory=2GB",
    "site.threads=1",
    "site.runner=FlinkRunner",
    "site.checkpoint_every=3",
    "site.keep=9",
    "site.politeness.delay_s=9",
    "site.hosts.sample.delay_s=3",
    "layout.tp=2",
    "layout.dp=2",
    "run.name=another",
    "run.until=tokens",
    "run.repeat=true",
    "run.snapshot=new",
]


def test_where_never_counts(base):
    for override in WHERE:
        assert changed(base, override) == set(), override


def test_the_word_for_a_stage_and_the_order_of_the_mapping_do_not_count(base):
    recipe = load([]).recipe
    assert digests(recipe=dict(reversed(recipe.items()))) == base

    def renamed(name, spec):
        inputs = {f: f"阶段 {getattr(spec, f)}" for f in ("input", "tokenizer") if hasattr(spec, f)}
        return f"阶段 {name}", dataclasses.replace(spec, **inputs) if inputs else spec

    other = digests(recipe=dict(renamed(name, spec) for name, spec in recipe.items()))
    assert sorted(other.values()) == sorted(base.values())


def test_the_source_counts_by_content(base):
    other = dataclasses.replace(SOURCE, what=SnapshotWhat(digest="2" * 24))
    assert not set(digests(source=other).values()) & set(base.values())
    renamed = digests(source=dataclasses.replace(SOURCE, name="网"))
    assert {name: digest for name, digest in renamed.items() if name != "网"} == base


def test_each_stage_follows_its_inputs_and_sees_what_came_before():
    stages = graph().stages
    seen = set()
    for name, stage in stages.items():
        assert {source.name for source in stage.inputs.values()} <= seen
        seen.add(name)
    verdicts = [stages["tokens"].inputs[f"verdict.{i:02d}"].name for i in range(4)]
    assert verdicts == ["filter", "detox", "dedupe", "decontaminate"]
    # The held-out side and the tokenizer see no verdict of the recipe under test.
    for name in ("held_out", "tokenizer"):
        assert not [role for role in stages[name].inputs if role.startswith("verdict.")]
    assert stages["split"].inputs["edition"] is stages["clean"]
    assert all(stages[m].inputs == {"edition": stages["clean"]} for m in MEASURES)


def test_an_edit_after_the_split_drops_measures_and_keeps_verdicts():
    recipe = dict(load([]).recipe)
    recipe["again"] = dataclasses.replace(recipe["clean"], input="dedupe")
    recipe["decontaminate"] = dataclasses.replace(recipe["decontaminate"], input="again")
    with pytest.raises(RecipeError, match=r"recipe\.tokens reads the measures \['language'\], which no measure stage"):
        Builder(recipe, hashed, {"source": SOURCE}).build()
    recipe["remeasure"] = dataclasses.replace(recipe["measure"], input="again")
    recipe["decontaminate"] = dataclasses.replace(recipe["decontaminate"], input="remeasure")
    built = Builder(recipe, hashed, {"source": SOURCE}).build().stages
    assert built["tokens"].inputs["edition"] is built["again"]
    assert built["tokens"].inputs["measure.language"] is built["remeasure.language"]
    assert built["tokens"].inputs["verdict.02"] is built["dedupe"]


def broken(**changes):
    recipe = dict(load([]).recipe)
    for name, change in changes.items():
        if change is None:
            del recipe[name]
        else:
            recipe[name] = dataclasses.replace(recipe[name], **change)
    return recipe


BROKEN = {
    r"recipe\.filter is its own input, by way of filter -> decontaminate -> dedupe -> detox -> filter": {
        "filter": {"input": "decontaminate"}
    },
    r"recipe\.filter\.input='spilt': the recipe has no such stage; it has \['clean',": {"filter": {"input": "spilt"}},
    r"recipe\.decontaminate\.input='measure' leads to no split: put a split stage before it": {
        "decontaminate": {"input": "measure"}
    },
    r"recipe\.clean\.input='source' leads to no edition: put an extract stage before it": {
        "clean": {"input": "source"}
    },
    r"recipe\.split reads the measures \['language', 'length'\], which no measure stage before it makes": {
        "split": {"input": "clean"}
    },
    r"recipe\.split reads the keys \['path', .*\], which no keys stage before it makes; there are \[\]": {
        "split": {"input": "measure"}
    },
    r"recipe\.dedupe reads the keys \['nearer'\], .*; there are \['exact', 'near', 'path', 'related'\]": {
        "dedupe": {"keys": ["nearer"]}
    },
    r"recipe\.keys reads the measures \['signatur'\], which no measure stage": {
        "keys": {"keys": {"near": Bands(measure="signatur")}}
    },
    r"recipe\.keys\.keys\.near\.measure='exact' is no signature measure": {
        "keys": {"keys": {"near": Bands(measure="exact")}}
    },
    r"recipe\.keys\.keys\.near: bands=99 of rows=8 need 792 permutations, but signature has 128": {
        "keys": {"keys": {"near": Bands(bands=99)}}
    },
    r"recipe\.dedupe\.keys=\['near', 'other'\] are verified by \['another.signature', 'signature.signature'\]": {
        "measure": {"measures": {**load([]).recipe["measure"].measures, "another": Signature()}},
        "keys": {"keys": {**load([]).recipe["keys"].keys, "other": Bands(measure="another")}},
        "dedupe": {"keys": ["near", "other"]},
    },
    r"recipe\.(tokens|held_out)\.tokenizer='dedupe' is no tokenizer stage": {
        "tokens": {"tokenizer": "dedupe"},
        "held_out": {"tokenizer": "dedupe"},
    },
}


@pytest.mark.parametrize("message", BROKEN)
def test_stages_that_do_not_fit_are_refused_by_name(message):
    with pytest.raises(RecipeError, match=message):
        graph(recipe=broken(**BROKEN[message]))


def test_sources_and_sides_are_counted():
    recipe = load([]).recipe
    assert list(sources_of(recipe)) == ["source"]
    with pytest.raises(RecipeError, match=r"recipe\.more is a source that no extract stage reads"):
        sources = {"source": SOURCE, "more": dataclasses.replace(SOURCE, name="more")}
        Builder({**recipe, "more": recipe["source"]}, hashed, sources).build()
    with pytest.raises(RecipeError, match="the recipe has no source"):
        sources_of(broken(source=None))
    with pytest.raises(RecipeError, match="2 tokenize stages with side=train"):
        graph(recipe=broken(held_out={"side": "train"}))


def test_a_recipe_may_end_as_a_corpus():
    """Without tokens of both sides nothing is trained; without a split every document that no rule drops is in."""
    assert "train" not in graph(recipe=broken(held_out=None)).stages
    bare = broken(
        split=None, filter={"input": "keys"}, decontaminate=None, held_out=None, tokenizer={"input": "measure"}
    )
    bare["tokens"] = dataclasses.replace(bare["tokens"], input="dedupe")
    stages = graph(recipe=bare).stages
    assert (
        set(stages["tokens"].inputs) >= {"edition", "verdict.00", "verdict.02"}
        and "sides" not in stages["tokens"].inputs
    )


def test_parts_of_a_union_are_refused_by_name():
    recipe = load([]).recipe
    union = UnionStage(parts={"a": "split"})
    with pytest.raises(RecipeError, match=r"recipe\.all\.parts\.a='split' comes after recipe\.split, a split"):
        graph(recipe={**recipe, "all": union})
    with pytest.raises(RecipeError, match=r"recipe\.all\.parts\.a='source' leads to no edition"):
        graph(recipe={**recipe, "all": UnionStage(parts={"a": "source"})})
    twice = {**recipe, "again": recipe["extract"]}
    with pytest.raises(RecipeError, match=r"recipe\.again\.source='web' is the source of recipe\.extract too"):
        graph(recipe=twice)


def test_a_plan_of_a_crawl_waits_for_its_snapshot(tmp_path):
    plan = make_plan(load([f"site.store={tmp_path}/s"]))
    assert plan.graph is None and [stage.kind for stage in plan.stages()] == ["crawl"]
    assert not (tmp_path / "s" / "crawl").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("recipe.dedupe.keys=[near,near]", r"recipe\.dedupe\.keys=\['near', 'near'\] names near more than once"),
        ("recipe.dedupe.against={a.b: last}", r"recipe\.dedupe\.against has the name 'a\.b'"),
        ("recipe.measure.measures={x.y: {measure: length}}", r"recipe\.measure\.measures has the name 'x\.y'"),
        ("recipe.u={kind: union, parts: {a.b: clean}}", r"recipe\.u\.parts has the name 'a\.b'"),
        ("recipe={s: {kind: html, path: x}, x.y: {kind: extract, input: s}}", r"recipe has the name 'x\.y'"),
    ],
)
def test_names_with_a_dot_and_keys_named_twice_are_refused(override, message):
    """A dot parts the names of roles: a finished run named `a.b` would be looked for as `a`."""
    with pytest.raises(RecipeError, match=message):
        graph(override)
