"""A run's model leaves as a Hugging Face folder that transformers loads and generates text with."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipelines import door
from pretrain.state.checkpoint import Checkpoint
from tests.end_to_end.support import Built, ok, siku

MODEL = ("--what", "model", "--format", "hf")


@pytest.fixture(scope="module")
def folder(small: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("models") / "模型"
    ended = ok("export", *MODEL, "--to", str(to), "--run", "small", f"site.store={small.root}")
    assert "parameters after step 4 as LlamaForCausalLM: " in ended.out
    return to


def test_transformers_generates_text_with_a_runs_model(folder):
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    begin = tokenizer("中文", return_tensors="pt")
    made = model.generate(**begin, max_new_tokens=5, do_sample=False, pad_token_id=tokenizer.eos_token_id)
    assert tokenizer.decode(begin["input_ids"][0]) == "中文"
    assert len(made[0]) > begin["input_ids"].shape[1] and isinstance(tokenizer.decode(made[0]), str)
    assert tokenizer.eos_token_id == model.config.eos_token_id and len(tokenizer) == model.config.vocab_size


def test_the_card_and_its_figures_are_the_runs(folder, small):
    body, record = json.loads((folder / "export.json").read_text()), small.history("small").record
    assert (body["step"], body["run"], body["command"]) == (4, "small", record["command"])
    assert body["stages"] == {stage["name"]: stage["digest"] for stage in record["stages"]}
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert (
        readme.startswith("---\nlibrary_name: transformers\n") and f"{body['tokens']:,} tokens by run `small`" in readme
    )
    assert all(f"- source `{name}`: licence {licence}" in readme for name, licence in body["sources"].items())
    assert "held-out bits per byte, zh: " in readme and body["sources"]
    assert not list(folder.glob(".*"))


def test_what_cannot_be_exported_is_said(small, tmp_path):
    at = ("--to", str(tmp_path / "x"), "--run", "small", f"site.store={small.root}")
    for what, form in (("model", "parquet"), ("tokens", "hf")):
        ended = siku("export", "--what", what, "--format", form, *at)
        assert ended.code == 2 and f"--what {what} has no --format {form}: a model's is hf" in ended.said
    (tmp_path / "x").write_text("")
    ended = siku("export", *MODEL, *at)
    assert ended.code == 2 and "is there already and is not an empty folder" in ended.said


def test_a_run_starts_from_an_exported_model(folder, small, tmp_path):
    """At no learning rate to speak of, the first step leaves the weights as the run had them that was exported."""
    store = small.copy(tmp_path / ".siku", "train", "evaluate", "runs")
    given = [each for each in store.arguments if not each.startswith(("model.", "recipe.tokenizer.", "run."))]
    given += ["run.until=train", "run.steps=1"]
    ok("import", "--from", str(folder), *given, "run.name=imported", "train.optimizer.lr=1e-30")
    imported, before = store.history("imported"), small.history("small")
    assert (
        imported.record["command"].startswith("siku run ") and f"train.initial={folder}" in imported.record["command"]
    )
    for one, other in zip(imported.of_kind("tokenize"), before.of_kind("tokenize"), strict=False):
        artifacts = imported.artifact(one), before.artifact(other)
        assert [each.sha256 for each in artifacts[0].files.values()] == [
            each.sha256 for each in artifacts[1].files.values()
        ]
    ends = [Checkpoint(run.of_kind("train")[0].directory / f"step-{n}") for run, n in ((imported, 1), (before, 4))]
    vocabulary = json.loads((folder / "config.json").read_text())["vocab_size"]
    weights = [shape for shape in ends[0].shapes() if shape.kind == "weight"]
    assert len(weights) > 8
    for shape in weights:
        rows = slice(0, vocabulary if shape.name == "embedding.weight" else None)
        assert np.array_equal(ends[0].tensor(shape)[rows], ends[1].tensor(shape)[rows]), shape.name

    other = tmp_path / "other"
    shutil.copytree(folder, other)
    assert _digest(other, given) == _digest(folder, given)  # wherever it lies
    with (other / "model.safetensors").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\0\0\0\1")
    assert _digest(other, given) != _digest(folder, given)
    (other / "tokenizer.json").unlink()
    ended = siku("import", "--from", str(other), *given)
    assert ended.code == 2 and "tokenizer.json is no tokenizer.json (FileNotFoundError" in ended.said
    wrong = siku("import", "--from", str(folder), *given, "model.layers=2")
    assert wrong.code == 2 and "describes another model (model.layers: 1 there, 2 here)" in wrong.said


def _digest(start: Path, given: list[str]) -> str:
    planned = door.plan(door.start_from(start), *given)
    return next(stage.digest for stage in planned.stages if stage.kind == "train")
