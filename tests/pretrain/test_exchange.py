"""Checkpoints as Hugging Face folders: transformers' own classes compute the trainer's losses from them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from pretrain.config import Model, padded_vocabulary
from pretrain.config.blueprint import blueprint
from pretrain.data.batches import Batches
from pretrain.exchange.architecture import ExchangeError, architecture
from pretrain.exchange.hugging_face import INDEX, read, write
from pretrain.job import ExportJob, TrainJob
from pretrain.state.checkpoint import Checkpoint
from tests.pretrain.tools import EOD, VOCABULARY, journal, run_many, small_job, write_job

ATTENTION = {"kind": "grouped", "heads": 4, "groups": 2}
EXPERTS = {"kind": "experts", "experts": 4, "chosen": 2, "width": 24, "balance": 0.01}
BIASED = {"attention": {**ATTENTION, "bias": "all"}, "feed_forward": {"kind": "gated", "width": 48, "bias": True}}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaForCausalLM", {"embedding": {"tied": False}, "position": {"kind": "rotary", "base": 500.0}}),
    "llama tied, biased": ("LlamaForCausalLM", BIASED),
    "qwen2": ("Qwen2ForCausalLM", {"attention": {**ATTENTION, "bias": "qkv"}}),
    "qwen3": ("Qwen3ForCausalLM", {"attention": {**ATTENTION, "width": 16, "query_key_norm": True}}),
    "mixtral": ("MixtralForCausalLM", {"feed_forward": EXPERTS, "embedding": {"tied": False}}),
    "gpt2": (
        "GPT2LMHeadModel",
        {
            "attention": {"kind": "grouped", "heads": 4, "groups": 4, "bias": "all"},
            "feed_forward": {"kind": "plain", "width": 64, "activation": "gelu_tanh"},
            "norm": {"kind": "layer"},
            "position": {"kind": "learned"},
        },
    ),
}


def described(changes: dict[str, Any]) -> dict[str, Any]:
    feed_forward = {"kind": "gated", "width": 48}
    whole = {"layers": 2, "hidden": 32, "sequence_length": 32, "attention": ATTENTION, "feed_forward": feed_forward}
    return whole | changes


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TrainJob]:
    """Each model trained for 3 steps, so that gains and biases are not as drawn; a fourth step tells its loss."""
    folder = tmp_path_factory.mktemp("exchange")
    jobs, paths = {}, []
    for name, (_, changes) in MODELS.items():
        for steps in (3, 4):
            where = {"directory": str(folder / name), "steps": steps, "checkpoint_every": 3}
            job = small_job(folder, **where, train__warmup_tokens=0)
            job["model"] = described(changes)
            paths.append(write_job(folder, job, f"{name}-{steps}.json"))
        jobs[name] = TypeAdapter(TrainJob).validate_python(job)
    done = run_many(paths)
    assert done.returncode == 0, done.stderr
    return jobs


def exported(job: TrainJob, to: Path, **limits: int) -> list[str]:
    to.mkdir()
    checkpoint = str(Path(job.directory) / "step-3")
    return write(
        ExportJob(model=job.model, vocabulary=VOCABULARY, eod=EOD, checkpoint=checkpoint, to=str(to)), **limits
    )


@pytest.mark.parametrize("name", MODELS)
def test_transformers_computes_the_same_loss_and_generates(jobs, name, tmp_path):
    import transformers

    job = jobs[name]
    exported(job, tmp_path / "model")
    model, report = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert type(model).__name__ == MODELS[name][0]
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    batches = Batches(job.components, job.mixture, 32, job.train.data_seed, VOCABULARY)
    tokens = torch.from_numpy(batches.samples(24, 32))  # the fourth step's
    with torch.no_grad():
        logits = model(tokens[:, :-1]).logits
    assert logits.shape == (8, 32, VOCABULARY)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    assert loss.item() == pytest.approx(journal({"directory": job.directory})[3]["loss"], abs=1e-5)
    made = model.generate(tokens[:1, :4], max_new_tokens=4, do_sample=False)
    assert made.shape[0] == 1 and 4 < made.shape[1] <= 8 and int(made.max()) < VOCABULARY


@pytest.mark.parametrize("name", MODELS)
def test_there_and_back_is_the_checkpoint(jobs, name, tmp_path):
    job = jobs[name]
    files = exported(job, tmp_path / "model", limit=20_000)
    index = json.loads((tmp_path / "model" / INDEX).read_text())
    assert len(files) > 4 and set(index["weight_map"].values()) == {each for each in files if "-of-" in each}
    assert all((tmp_path / "model" / each).stat().st_size < 60_000 for each in files if "-of-" in each)
    found, back = Checkpoint(Path(job.directory) / "step-3"), read(tmp_path / "model", job.model, VOCABULARY)
    weights = blueprint(job.model, padded_vocabulary(job.model, VOCABULARY))
    assert back.keys() == {weight.name for weight in weights}
    for weight in weights:
        expected = found.read(weight.name, "weight", (0,) * len(weight.shape), weight.shape)
        if weight.name in ("embedding.weight", "output.weight"):
            expected = np.concatenate([expected[:VOCABULARY], np.zeros_like(expected[VOCABULARY:])])
        assert np.array_equal(back[weight.name], expected), weight.name


def test_another_model_is_refused(jobs, tmp_path):
    exported(jobs["llama"], tmp_path / "model")
    with pytest.raises(ExchangeError, match=r"lacks \['model.layers.0.self_attn.k_norm.weight'"):
        read(tmp_path / "model", jobs["qwen3"].model, VOCABULARY)
    wide = TypeAdapter(Model).validate_python(described({"embedding": {"tied": False}, "hidden": 64}))
    with pytest.raises(ExchangeError, match=r"embed_tokens.weight is \(300, 32\), the model's .* \(300, 64\)"):
        read(tmp_path / "model", wide, VOCABULARY)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position": {"kind": "none"}}, "model.position=none and model.norm=rms"),
        ({"position": {"kind": "rotary", "fraction": 0.5}}, "only rotary positions over whole heads"),
        ({"norm": {"kind": "layer"}}, "model.position=rotary and model.norm=layer"),
        ({"feed_forward": {**EXPERTS, "shared": 8}}, "Mixtral's form alone"),
        ({"feed_forward": {**EXPERTS, "score": "sigmoid"}}, "score=sigmoid: Mixtral's is softmax"),
        ({"attention": {**ATTENTION, "bias": "qkv", "query_key_norm": True}}, "Qwen3 has no biases"),
        ({"attention": {**ATTENTION, "bias": "qkv", "width": 16}}, "Qwen2ForCausalLM has heads of hidden / heads"),
        ({"overrides": {"0": {"feed_forward": EXPERTS}}}, "model.overrides"),
        ({"position": {"kind": "learned"}}, "model.norm.kind=rms and model.feed_forward.kind=gated and"),
    ],
)
def test_what_hugging_face_has_no_form_for_is_refused(changes, message):
    with pytest.raises(ExchangeError, match=message):
        architecture(TypeAdapter(Model).validate_python(described(changes)), VOCABULARY, EOD)
