"""A trunk's name becomes the identity of its training before anything is hashed."""

import json

import pytest

from conf.load import load
from pipelines.engine.store import Store
from pipelines.graph.recipe import RecipeError
from pipelines.graph.train_what import train_what, trunk_directory

FIRST, SECOND = "ab" * 16, "cd" * 16


def record(root, name, *digests):
    folder = root / "runs" / name
    folder.mkdir(parents=True)
    every = {"makes": "", "directory": "", "reused": False, "seconds": 0.0, "inputs": {}, "view": {}}
    stages = [
        {"name": kind, "kind": kind, "digest": digest, "identity": {"what": {}}, **every}
        for kind, digest in (("tokenize", "0"), *(("train", each) for each in digests))
    ]
    body = {"command": "siku run", "config": {}, "finished": 0.0, "steps": 1, "stages": stages}
    (folder / "run.json").write_text(json.dumps(body))


def what(root, trunk):
    return train_what(load([f"train.trunk={trunk}"]), root)


def test_a_trunk_counts_by_what_it_is(tmp_path):
    record(tmp_path, "主干", FIRST)
    record(tmp_path, "same", FIRST)
    record(tmp_path, "other", SECOND)
    assert what(tmp_path, "主干@100").train.trunk == f"{FIRST}@100"
    assert what(tmp_path, "主干@100") == what(tmp_path, "same@100") != what(tmp_path, "other@100")
    assert what(tmp_path, "same@100") != what(tmp_path, "same@200") and not what(tmp_path, "").train.trunk
    assert trunk_directory(what(tmp_path, "same@100"), Store(tmp_path)) == Store(tmp_path).directory("train", FIRST)
    assert trunk_directory(what(tmp_path, ""), Store(tmp_path)) is None


def test_an_unfinished_run_is_named_by_its_digest(tmp_path):
    folder = Store(tmp_path).directory("train", SECOND)
    folder.mkdir(parents=True)
    (folder / "trajectory.json").write_text("{}")
    assert what(tmp_path, f"{SECOND}@7").train.trunk == f"{SECOND}@7"


def test_a_run_that_is_not_there_or_never_trained_is_said(tmp_path):
    record(tmp_path, "corpus")
    with pytest.raises(RecipeError, match=r"train.trunk=gone@3: gone is no finished run of this store"):
        what(tmp_path, "gone@3")
    with pytest.raises(RecipeError, match=r"train.trunk=corpus@3: corpus was never trained"):
        what(tmp_path, "corpus@3")
