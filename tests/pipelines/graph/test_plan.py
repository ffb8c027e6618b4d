"""What a plan finds, what it calls new, and which field it blames."""

import json
import os
import shutil

import pytest

from conf.load import load
from corpus.verdict import Tally
from pipelines.engine.files import StoreWarning, free_bytes
from pipelines.engine.store import seal
from pipelines.graph.plan import (
    crawl_generations,
    latest_snapshot,
    make_plan,
    snapshot_source,
    with_snapshots,
)
from pipelines.graph.why_new import earlier_runs, sentence, why_new


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "中文"}\n{"text": "English"}\n')
    return path


@pytest.fixture
def planned(tmp_path, texts):
    """Plans of the recipe over two lines of JSON, in one store unless told otherwise."""

    def plan(*overrides, root="store"):
        return make_plan(
            load([f"site.store={tmp_path / root}", "source=jsonl", f"recipe.source.path={texts}", *overrides])
        )

    return plan


def finish(plan, *names):
    """Seal stages without content."""
    for stage in plan.stages():
        if stage.name in names:
            directory = plan.store.directory(*at(stage))
            directory.mkdir(parents=True, exist_ok=True)
            seal(directory, stage.identity, {}, {}, Tally(), {})


def ran(plan, name, at):
    """Leave the record of a finished run."""
    path = plan.store.root / "runs" / name / "run.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    rest = {"kind": "", "makes": "", "digest": "", "directory": "", "reused": False, "seconds": 0}
    rest |= {"inputs": {}, "view": {}}
    stages = [{"name": stage.name, "identity": stage.identity, **rest} for stage in plan.stages()]
    path.write_text(json.dumps({"stages": stages, "command": "", "config": {}, "finished": at, "steps": 0}))
    os.utime(path, (at, at))


def at(stage):
    return stage.kind, stage.digest


def digests(plan):
    return {stage.name: stage.digest for stage in plan.stages()}


def test_two_roots_and_two_places_of_the_input_give_one_digest(planned, tmp_path, texts):
    base = digests(planned())
    assert digests(planned(root="另一个")) == base
    moved = tmp_path / "moved" / texts.name
    moved.parent.mkdir()
    shutil.copy(texts, moved)
    assert digests(planned(f"recipe.source.path={moved}")) == base
    moved.write_text("other")
    assert not set(digests(planned(f"recipe.source.path={moved}")).values()) & set(base.values())


def test_found_is_what_has_a_manifest_of_its_digest(planned):
    plan = planned()
    by_name = {stage.name: stage for stage in plan.stages()}
    assert plan.found(by_name["source"]) is not None  # the user's own file
    assert all(plan.found(stage) is None for name, stage in by_name.items() if name != "source")
    finish(plan, "extract", "clean")
    found = {name for name, stage in by_name.items() if plan.found(stage)}
    assert found == {"source", "extract", "clean"}
    other = planned("recipe.clean.edits.mask.order=5")
    assert {stage.name for stage in other.stages() if other.found(stage)} == {"source", "extract"}
    (plan.store.directory(*at(by_name["clean"])) / "manifest.json").write_text("{}")
    with pytest.warns(StoreWarning, match="is not readable"):
        assert plan.found(by_name["clean"]) is None


def test_until_asks_for_a_stage_and_what_it_needs(planned):
    everything = [stage.name for stage in planned().stages()]
    assert everything[-1] == "evaluate" and "measure.toxicity" in everything
    some = [stage.name for stage in planned("run.until=tokenizer").stages()]
    assert some[-1] == "tokenizer" and not {"filter", "measure.toxicity", "train"} & set(some)
    measures = [stage.name for stage in planned("run.until=measure").stages()]
    assert "measure.toxicity" in measures and "split" not in measures
    with pytest.raises(ValueError, match=r"run.until='tokenise': the recipe has no such stage; did you mean tokens\?"):
        planned("run.until=tokenise").stages()


def test_why_a_stage_is_new(planned):
    plan = planned()
    assert {sentence(stage, why_new(stage, [])) for stage in plan.stages()} == {"first time"}
    ran(plan, "far", 1_000)
    ran(planned("recipe.dedupe.jaccard=0.7", "recipe.split.salt=b"), "near", 2_000)
    earlier = earlier_runs(plan.store.root)
    assert [known.run for known in earlier] == ["near", "far"]
    new = {stage.name: stage for stage in planned("recipe.dedupe.jaccard=0.65").stages()}
    why = why_new(new["dedupe"], earlier)
    assert (why.cause, why.run, [path for path, _, _ in why.differences]) == ("changed", "far", ["what.jaccard"])
    told = {name: sentence(stage, why_new(stage, earlier)) for name, stage in new.items()}
    assert told["dedupe"] == "recipe.dedupe.jaccard: 0.7 -> 0.65"  # against the nearest run, not the newest
    assert told["decontaminate"] == "input dedupe changed"
    assert told["filter"] == "its result is gone from the store (run far had it)"
    rule = "recipe.split.rules.length.minimum.other=300"
    split = {stage.name: stage for stage in planned(rule).stages()}["split"]
    assert "recipe.split.rules.length.minimum.other: 200" in sentence(split, why_new(split, earlier))


def test_a_new_snapshot_of_the_same_content_is_the_same_source(tmp_path):
    plan = make_plan(load([f"site.store={tmp_path}"]))
    for generation, content in (("crawl-0001", "a" * 24), ("crawl-0002", "b" * 24), ("crawl-0003", "b" * 24)):
        directory = plan.store.directory(*at(plan.crawls["source"])) / generation
        directory.mkdir(parents=True)
        assert latest_snapshot(plan.store, plan.crawls["source"]) is None or generation != "crawl-0001"
        seal(directory, plan.crawls["source"].identity, {}, {"snapshot_digest": content}, Tally(), {})
        (directory.parent / "crawl-0009").mkdir(exist_ok=True)  # unfinished
        found = latest_snapshot(plan.store, plan.crawls["source"])
        assert found.directory == directory
    assert len(crawl_generations(plan.store.directory(*at(plan.crawls["source"])))) == 4
    stages = [snapshot_source("s", load_one, plan.checksums).stage for load_one in snapshots(plan)]
    assert stages[0].digest != stages[1].digest == stages[2].digest
    again = make_plan(load([f"site.store={tmp_path}"]))
    assert again.sources["source"].artifact.directory.name == "crawl-0003" and again.graph is not None
    assert digests(again) == digests(with_snapshots(plan, {"source": found}))
    assert make_plan(load([f"site.store={tmp_path}", "run.snapshot=new"])).graph is None


def snapshots(plan):
    from pipelines.engine.store import load as load_artifact

    folder = plan.store.directory(*at(plan.crawls["source"]))
    return [load_artifact("crawl", plan.crawls["source"].digest, folder / f"crawl-000{i}") for i in (1, 2, 3)]


def test_free_space_is_of_the_nearest_folder_there_is(tmp_path):
    assert free_bytes(tmp_path / "a" / "b") > 0
