"""Siku from Python: what the command line does, as functions."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import pipelines
from conf.overrides import parse, written
from conf.search import PACKAGED, ConfigError
from corpus.usage import UsageError
from pipelines import FinishedRun, door, open_run, plan, plan_sweep, run, runs
from pipelines.graph.checks import PlanError
from pipelines.graph.recipe import RecipeError
from pipelines.graph.records import NoRunError
from pipelines.past.explain import explain
from pipelines.past.export import ExportError
from pipelines.past.tables import RestrictedError
from tests.end_to_end.support import siku
from tests.pipelines.fixtures import make_run
from tests.pipelines.pages import pages

WORDS = st.text("aé'\"\\,= {}[]()$:?&%#~@!-+.0179enul\n中", max_size=8)
VALUES = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b_c", "键"]), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=30)
@example("1,2")
@example("null")
@example(" 'a\\' ")
@given(VALUES)
def test_a_value_of_python_is_read_back_as_it_is(value):
    """Else the command that a record keeps gives another run."""
    texts = written({"a": {"kind": "x", "b": value}}, PACKAGED)
    (one,) = parse(texts, PACKAGED)
    assert (one.key, one.values) == ("a", ({"kind": "x", "b": value},))
    if not isinstance(value, dict):
        (alone,) = parse(written({"a.b": value}, PACKAGED), PACKAGED)
        assert (alone.key, alone.values) == ("a.b", (value,))


def test_a_mapping_says_what_overrides_say(tmp_path):
    found = written(
        {"recipe": "mixed", "run": {"steps": 20, "name": "甲"}, "~a.b": None, "site.store": tmp_path}, PACKAGED
    )
    assert found == ["recipe=mixed", "run.steps=20", "run.name=甲", "~a.b", f"site.store={tmp_path}"]
    with pytest.raises(ConfigError, match=r"model=huge: no such choice; conf/model has small, tiny"):
        run({"model": "huge"})


def test_what_a_finished_run_holds(small):
    opened = open_run("small", small.root)
    assert [each.name for each in runs(small.root)].count("small") == 1 and opened.report.is_file()
    assert opened.command.startswith("siku run ") and opened.config["run"]["steps"] == 4
    documents, verdicts = opened.documents("all").table(), opened.verdicts("all").table()
    funnel = {row["stage"]: row for row in opened.figures["funnel"]}
    sides = pc.value_counts(documents["side"]).to_pylist()
    assert {row["values"]: row["counts"] for row in sides} == {
        "train": funnel["decontaminate"]["kept"],
        "held_out": funnel["split"]["dropped"]["held_out"],
    }
    dropped = sum(sum(funnel[stage]["dropped"].values()) for stage in ("filter", "detox", "dedupe", "decontaminate"))
    first = verdicts.filter(pc.and_(verdicts["first"], pc.equal(verdicts["side"], "train")))
    assert first.num_rows == dropped > 0
    streamed = opened.documents("all")
    assert pa.Table.from_batches(list(streamed)) == documents and streamed.reader().schema == documents.schema
    assert opened.bits_per_byte.keys() == {"en", "zh"}
    assert "dropped  " in str(opened.explain(doc=first["id"][0].as_py()))
    with pytest.raises(ValueError, match="ask for one of doc, step and rule"):
        opened.explain(doc="a", step=1)


def test_tokens_are_mapped_and_read_as_the_text_they_are_of(small):
    opened = open_run("small", small.root)
    texts = {row["id"]: row["text"] for row in opened.documents().table().to_pylist()}
    tokenizer, shards = opened.tokenizer(), opened.tokens()
    for table in shards.values():
        values = table["tokens"].chunk(0).values.to_numpy(zero_copy_only=True)
        assert values.dtype == np.uint16 and not values.flags.owndata
        for row in table.slice(0, 3).to_pylist():
            assert tokenizer.decode(row["tokens"][:-1]) == texts[row["id"].hex()]
    assert sum(table.num_rows for table in shards.values()) == len(texts)


def test_a_run_in_python_is_the_command_lines(small, capsys):
    """Overrides as text or as a mapping, one configuration, one record, one plan."""
    nested = dict(each.split("=", 1) for each in small.arguments)
    nested |= {"run": {"steps": 4, "name": "small"}, "recipe.split.held_out": 0.3}
    del nested["run.steps"]
    nested = {key: int(value) if str(value).isdigit() else value for key, value in nested.items()}
    before = (small.root / "runs" / "small" / "run.json").read_bytes()
    lines: list[str] = []
    for asked in ((*small.arguments, "run.name=small"), (nested,)):
        done = run(*asked, say=lines.append)
        assert isinstance(done, FinishedRun) and done.name == "small" and "nothing to do" in lines[-1]
        assert not plan(*asked).new
    assert (small.root / "runs" / "small" / "run.json").read_bytes() == before
    assert capsys.readouterr() == ("", "")
    swept, found = plan_sweep(nested, "train.seed=1,90210")  # which no other test trains
    assert swept == [{"train.seed": "1"}, {"train.seed": "90210"}]
    assert [stage.name for stage in found[1].new] == ["train", "untrained", "evaluate"]


def mistakes(root):
    yield run, ("model.hiden=3",), ("run", "model.hiden=3"), ConfigError
    yield plan, ("run.until=tokn", f"site.store={root}"), ("plan", "run.until=tokn", f"site.store={root}"), RecipeError
    wrong = ("recipe.filter.rules.x={rule: range, order: 9, column: length.nose, minimum: {zh: 1}}", "run.until=filter")
    yield plan, wrong, ("plan", *wrong), RecipeError
    weights = ("mixture.weights.fr=1", f"site.store={root}")
    yield plan, weights, ("plan", *weights), PlanError
    yield open_run, ("none", root), ("explain", "--doc", "x", "--run", "none", f"site.store={root}"), NoRunError
    asked = ("export", "--what", "tokens", "--format", "jsonl", "--to", str(root), f"site.store={root}")
    yield lambda: open_run("", root).export("tokens", "jsonl", root), (), asked, ExportError


def test_a_mistake_is_an_exception_with_the_command_lines_sentence(small):
    for function, asked, words, kind in mistakes(small.root):
        with pytest.raises(kind) as caught:
            function(*asked)
        ended = siku(*words)
        assert ended.said == f"siku: {caught.value}\n" and "\n" not in str(caught.value), words
        assert ended.code == 2 and isinstance(caught.value, UsageError)


def test_what_is_no_side_and_no_override_is_said(small, tmp_path):
    run = open_run("small", small.root)
    for field, call in {
        "side='trian'": lambda: run.documents("trian"),
        "side=''": lambda: run.verdicts(""),
        "side='test'": lambda: run.tokens("test"),
        "what='documnts'": lambda: run.export("documnts", "jsonl", tmp_path / "x"),
        "form='csv'": lambda: run.export("documents", "csv", tmp_path / "x"),
    }.items():
        with pytest.raises(ValueError, match=f"^{field} is none of '"):
            call()
    for wrong in (["source=jsonl"], None):
        with pytest.raises(TypeError, match="is no override: give each by itself"):
            plan(wrong)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("run", ("run",)),
        ("sweep", ("run", "-m", "a.b=1,2")),
        ("plan", ("plan",)),
        ("plan_sweep", ("plan", "-m")),
        ("open_run", ("explain", "--step", "1")),
        ("open_run", ("export", "--what", "tokens", "--format", "jsonl", "--to", "x")),
    ],
)
def test_the_verbs_go_through_the_door(monkeypatch, name, words):
    class PassedError(RuntimeError):
        pass

    def passed(*_, **named):
        raise PassedError("through the door")

    PassedError.__module__ = "pipelines.door"
    monkeypatch.setattr(door, name, passed)
    ended = siku(*words)
    assert (ended.code, ended.said) == (1, "siku: through the door\n")
    assert name not in pipelines.__all__ or getattr(pipelines, name) is passed


def without_masks(history):
    """The same run, as if its one edit masked nothing."""
    record = json.loads(json.dumps(history.record))
    for stage in record["stages"]:
        if stage["name"] == "clean":
            stage["identity"]["what"]["edits"] = {}
    return dataclasses.replace(history, record=record, _loaded={})


def test_texts_that_no_edit_masked_are_masked_or_refused(tmp_path):
    history = make_run(tmp_path)
    masked, stopped = FinishedRun(history), FinishedRun(without_masks(history))
    first = next(stage for stage in history.record["stages"] if stage["name"] == "extract")
    record = {**history.record, "stages": history.record["stages"][:2]}
    assert record["stages"][-1] is first
    early = FinishedRun(dataclasses.replace(history, record=record, _loaded={}))
    texts = {page.id.hex(): page.text for page in pages()}
    for row in early.documents().table().to_pylist():  # stopped before the mask
        assert "@example" not in row["text"] and "13812345678" not in row["text"]
        assert ("<EMAIL>" in row["text"]) == ("@example" in texts[row["id"]])
    assert {row["id"]: row["text"] for row in early.documents(raw=True).table().to_pylist()} == texts
    assert masked.tokens().keys() == {"en", "zh"}
    with pytest.raises(RestrictedError, match=r"run demo has tokens of texts that no edit masked: .*--raw"):
        stopped.tokens()
    with pytest.raises(RestrictedError):
        stopped.export("tokens", "jsonl", tmp_path / "out")
    assert stopped.tokens(raw=True) == masked.tokens() and not (tmp_path / "out").exists()
    shown = explain(stopped.history, doc="http://help.sample/zh-CN/文档/a.html")
    assert "…[]…" in str(shown) and "张三" not in str(shown)


def test_reading_a_run_writes_nothing(tmp_path):
    """So that a read-only store will do."""
    make_run(tmp_path / "s")

    def state():
        return {path: path.stat().st_mtime_ns for path in (tmp_path / "s").rglob("*")}

    before = state()
    opened = open_run(store=tmp_path / "s")
    assert opened.documents("all").table().num_rows and opened.verdicts().table().num_rows and opened.tokens()
    assert opened.explain(step=2).found
    opened.export("documents", "parquet", tmp_path / "out")
    assert state() == before
