"""A run's model leaves as a Hugging Face folder that transformers loads and generates text with."""

import json
from pathlib import Path

import pytest

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
        assert ended.code == 1 and f"--what {what} has no --format {form}: a model's is hf" in ended.said
    (tmp_path / "x").write_text("")
    ended = siku("export", *MODEL, *at)
    assert ended.code == 1 and "is there already and is not an empty folder" in ended.said
