"""`siku config`, `siku ls`."""

import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest

import conf
from conf.load import load
from conf.search import PACKAGED, ConfigError, Search
from pipelines.cli.settings import flat, keys, members, override_layer, setter, text_of
from pipelines.cli.show import config_layers, list_runs, show_config
from pipelines.past.summary import Spent
from pipelines.report.report import write_report
from tests.pipelines.fixtures import make_run


def said(function, *arguments, **named):
    lines = []
    status = function(*arguments, lines.append, **named)
    return status, "\n".join(lines)


@pytest.fixture(scope="module")
def config():
    return load([])


def at(value, path):
    for part in path.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def test_every_key_has_its_value_and_a_doc_line(config):
    found = {key.path: key for key in keys(config)}
    assert len(found) > 100
    for path, key in found.items():
        if key.value:
            assert key.value == text_of(at(config, path)), path
            assert key.doc or path.rpartition(".")[2] in ("kind", "by", "rule", "measure", "edit", "key", "schedule"), (
                path
            )
    assert found["layout.device"].choices == ("auto", "cpu", "cuda")
    assert found["model.embedding.tied"].choices == ("true", "false")
    assert found["train.schedule.schedule"].choices == ("constant", "cosine", "linear", "inverse_sqrt", "wsd", "steps")
    assert set(found["recipe.filter.kind"].choices) >= {"crawl", "filter", "dedupe", "tokenize"}
    assert found["model.hidden"].default == "required" and found["layout.tp"].default == "1"


def test_who_set_a_key():
    overrides = ["model=small", "train.optimizer.lr=0.5", "recipe.filter.rules={}", "site.store=elsewhere"]
    layers = config_layers(overrides, PACKAGED)
    assert setter(layers, "train.optimizer.lr") == "command line, train.optimizer.lr=0.5"
    assert setter(layers, "recipe.filter.rules.words.order") == "command line, recipe.filter.rules={}"
    assert setter(layers, "model.hidden") == "conf/model/small.yaml (command line, model=small)"
    assert setter(layers, "recipe.split.held_out") == "conf/recipe/bilingual.yaml"
    assert setter(layers, "recipe.dedupe.jaccard") == "conf/dedup/minhash.yaml"
    assert setter(layers, "layout.recompute") == "default"
    assert setter(layers, "train.optimizer.lr_") == "default"


def test_own_files_are_named_as_who_set_a_key(tmp_path):
    (tmp_path / "filters").mkdir()
    (tmp_path / "filters" / "mine.yaml").write_text(
        "# @package recipe.filter.rules\nwords: {rule: range, order: 1, column: length.words, minimum: {zh: 7}}\n"
    )
    (tmp_path / "more.yaml").write_text("train: {seed: 3}\nmodel: small\n")
    overrides, search = ["filters=mine", "@more.yaml"], Search(tmp_path)
    layers = config_layers(overrides, search)
    assert setter(layers, "recipe.filter.rules.words.order") == (
        f"{tmp_path}/filters/mine.yaml (command line, filters=mine)"
    )
    assert setter(layers, "train.seed") == "@more.yaml, train.seed=3"
    assert setter(layers, "model.layers") == "conf/model/small.yaml (@more.yaml, model=small)"
    text = said(show_config, "filters", "", overrides, search)[1]
    packaged = ", ".join(sorted(path.stem for path in (Path(conf.__file__).parent / "filters").glob("*.yaml")))
    assert text.startswith(f"filters=  choose one: {packaged}, mine  (conf/filters/, ")


def test_each_value_of_the_default_configuration_is_the_setters(config):
    """What no file and no override sets is at its default."""
    layers = config_layers([], PACKAGED)
    for key in keys(config):
        if key.value and setter(layers, key.path) == "default":
            assert key.value == key.default, key.path


def test_flat_marks_whole_values():
    assert set(flat({"a": {"b": 1, "c": {}}}, "p")) == {"p.a.b", "p.a.b=", "p.a.c", "p.a.c="}
    layer = override_layer("a.b", "command line, a.b={x: 1}")
    assert layer.sets("a.b") and layer.sets("a.b.x") and layer.sets("a") and not layer.sets("a.bc")


def test_config_below_a_path():
    status, text = said(show_config, "train.optimizer", "", ["train.optimizer.lr=0.25"], PACKAGED)
    assert status == 0 and text.startswith("train.optimizer\n")
    block = "train.optimizer.lr = 0.25\n    float; WHAT; default 0.001; set by command line, train.optimizer.lr=0.25\n"
    assert block in text and "    peak learning rate" in text
    assert all(line.startswith((" ", "train.optimizer")) for line in text.splitlines())
    assert "WHERE" in said(show_config, "site.store", "", [], PACKAGED)[1]


def test_config_shows_what_other_choices_bring():
    text = said(show_config, "train.schedule", "", [], PACKAGED)[1]
    assert "train.schedule.horizon_tokens = " in text
    assert "train.schedule.decay_start_tokens  (with schedule=wsd)" in text


def test_config_search_and_groups():
    status, text = said(show_config, "", "LEARNING rate", [], PACKAGED)
    assert status == 0 and "train.optimizer.lr = " in text and "site.store" not in text
    assert "model=  choose one: small, tiny" in said(show_config, "model", "", [], PACKAGED)[1]
    everything = said(show_config, "", "", [], PACKAGED)[1]
    for group in PACKAGED.groups():
        assert re.search(rf"^{group}=  choose one: ", everything, re.M)


def test_config_of_no_key_names_the_nearest():
    with pytest.raises(ConfigError, match=r"^no key matches 'train.optimizer.lrr'; near it: train\.optimizer\.lr"):
        said(show_config, "train.optimizer.lrr", "", [], PACKAGED)
    with pytest.raises(ConfigError, match=r"^no key matches 'zzzzzz'; `siku config` lists all$"):
        said(show_config, "", "zzzzzz", [], PACKAGED)


def test_members_of_unions():
    assert members(int | None) == () and members(dict[str, int]) == ()


def test_ls_tells_each_run(tmp_path):
    assert "holds no finished run" in said(list_runs, tmp_path)[1]
    history = make_run(tmp_path)
    assert "no summary" in said(list_runs, tmp_path)[1]
    write_report(history, history.folder, Spent(1.0, None))
    second = tmp_path / "runs" / "第二"
    shutil.copytree(history.folder, second)
    os.utime(second / "run.json", (time.time() + 9,) * 2)
    status, text = said(list_runs, tmp_path)
    assert status == 0
    assert [line.split()[0] for line in text.splitlines()[:-1]] == ["第二", "demo"]
    first = text.splitlines()[0]
    tokens = sum(history.summary["tokens"].values())
    assert first.endswith(f" MB  {tokens:,} tokens, 6 steps, bits/byte en 1.500, zh 1.700")
    each, together = re.search(r"([\d.]+) MB  ", first)[1], re.search(r"([\d.]+) MB, shared", text)[1]
    assert each == together  # the same stages, counted once
    body = {**history.summary, "tokens": {}, "training": {"steps": 0}, "validation": {"bits_per_byte": {}}}
    (second / "summary.json").write_text(json.dumps(body))
    corpus = said(list_runs, tmp_path)[1].splitlines()[0]
    assert corpus.endswith(
        f" MB  {body['documents']['training']} documents, not evaluated"
    )  # no steps of a run without
    (second / "summary.json").write_text("{")
    with pytest.raises(RuntimeError, match=r"summary\.json is damaged"):
        list_runs(tmp_path, print)


def test_latest_run_is_by_time(tmp_path):
    from pipelines.past.history import open_run

    history = make_run(tmp_path)
    shutil.copytree(history.folder, tmp_path / "runs" / "older")
    past = time.time() - 100
    os.utime(tmp_path / "runs" / "older" / "run.json", (past, past))
    assert open_run(tmp_path, "").name == "demo" and open_run(tmp_path, "older").name == "older"
