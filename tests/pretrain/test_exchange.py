"""Checkpoints as Hugging Face folders and back: transformers' own classes compute the trainer's losses and logits."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from pretrain.config import Model, padded_vocabulary
from pretrain.config.blueprint import blueprint
from pretrain.config.hugging_face import ImportedModelError, model_of, read_config
from pretrain.data.batches import Batches
from pretrain.exchange.architecture import ExchangeError, architecture
from pretrain.exchange.folder import Folder
from pretrain.exchange.hugging_face import INDEX, write
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


def foreign(folder: Path, name: str) -> Path:
    """A model of transformers' own making, biases and gains not as drawn."""
    import transformers

    shape = {"vocab_size": 310 if name == "mixtral" else VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2}
    common = {**shape, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48}
    common |= {"max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 0}
    more: dict[str, Any] = {
        "llama": {"rope_theta": 500.0, "rms_norm_eps": 1e-6},
        "llama tied, biased": {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
        "qwen3": {"head_dim": 16},
        "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None},
        "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "vocab_size": VOCABULARY},
    }
    family = MODELS[name][0].removesuffix("ForCausalLM").removesuffix("LMHeadModel")
    asked = more[name] if name == "gpt2" else {**common, **more.get(name, {})}
    torch.manual_seed(7)
    model = getattr(transformers, MODELS[name][0])(getattr(transformers, f"{family}Config")(**asked))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.to(torch.bfloat16 if name == "qwen2" else torch.float32).save_pretrained(folder / name)
    return folder / name


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TrainJob]:
    """Each model trained for 3 steps, so that gains and biases are not as drawn; a fourth step tells its loss.

    And each started from one that transformers has made, `NAME imported`: as it is, and a step further.
    """
    folder = tmp_path_factory.mktemp("exchange")
    jobs, paths = {}, []
    for name in MODELS:
        start = foreign(folder / "foreign", name)
        for steps in (0, 1):
            where = {"directory": str(folder / f"{name} imported"), "steps": steps, "initial": str(start)}
            job = small_job(folder, **where)
            job["model"] = TypeAdapter(Model).dump_python(model_of(read_config(start)), mode="json")
            job["model"]["sequence_length"] = 32
            paths.append(write_job(folder, job, f"{name}-imported-{steps}.json"))
        jobs[f"{name} imported"] = TypeAdapter(TrainJob).validate_python(job)
    for name, (_, changes) in MODELS.items():
        for steps in (3, 4):
            where = {"directory": str(folder / name), "steps": steps, "checkpoint_every": 3}
            job = small_job(folder, **where, train__warmup_tokens=0)
            job["model"] = described(changes)
            paths.append(write_job(folder, job, f"{name}-{steps}.json"))
        jobs[name] = TypeAdapter(TrainJob).validate_python(job)
    done = run_many(paths, module="logits")
    assert done.returncode == 0, done.stderr
    return jobs


def exported(job: TrainJob, to: Path, step: int = 3, **limits: int) -> list[str]:
    to.mkdir()
    checkpoint = str(Path(job.directory) / f"step-{step}")
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
    found, back = Checkpoint(Path(job.directory) / "step-3"), Folder(tmp_path / "model", job.model, VOCABULARY)
    for weight in blueprint(job.model, padded_vocabulary(job.model, VOCABULARY)):
        expected = found.read(weight.name, "weight", (0,) * len(weight.shape), weight.shape)
        if weight.name in ("embedding.weight", "output.weight"):
            expected = np.concatenate([expected[:VOCABULARY], np.zeros_like(expected[VOCABULARY:])])
        assert np.array_equal(back.read(weight.name, (0,) * len(weight.shape), weight.shape), expected), weight.name
        # Any box is that part of it, and no element more is read: so a rank of any layout reads its slices alone.
        offsets = tuple(size // 3 for size in weight.shape)
        extent = tuple((size + 1) // 2 for size in weight.shape)
        before, part = back.elements_read, tuple(slice(o, o + e) for o, e in zip(offsets, extent, strict=True))
        assert np.array_equal(back.read(weight.name, offsets, extent), expected[part]), weight.name
        rows = min(offsets[0] + extent[0], VOCABULARY if weight.name in LONG else weight.shape[0]) - offsets[0]
        assert back.elements_read - before == rows * np.prod(extent[1:])


LONG = ("embedding.weight", "output.weight")


@pytest.mark.parametrize("name", MODELS)
def test_a_run_starts_from_what_transformers_has_made(jobs, name, tmp_path):
    """The logits, the first step's loss, and back again bit for bit."""
    import safetensors.numpy
    import transformers

    job = jobs[f"{name} imported"]
    model = transformers.AutoModelForCausalLM.from_pretrained(job.initial, dtype=torch.float32)
    tokens = torch.from_numpy(Batches(job.components, job.mixture, 32, 1, VOCABULARY).samples(0, 8))
    with torch.no_grad():
        logits = model(tokens[:, :-1]).logits[..., :VOCABULARY]
    ours = torch.from_numpy(np.load(Path(job.directory) / "logits.npy"))
    assert (ours - logits).abs().max() < 1e-4 < logits.std()
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    assert journal({"directory": job.directory})[0]["loss"] == pytest.approx(loss.item(), abs=1e-5)
    exported(job, tmp_path / "back", step=0)
    there, back = (
        safetensors.numpy.load_file(f / "model.safetensors") for f in (_fp32(job, tmp_path), tmp_path / "back")
    )
    assert there.keys() - {"lm_head.weight"} == back.keys() - {"lm_head.weight"}
    for tensor in back:
        rows = len(back[tensor])  # the tokenizer's, and the positions that the model has
        assert np.array_equal(there[tensor][:rows], back[tensor]), tensor
    configs = [model_of(read_config(Path(each))) for each in (job.initial, tmp_path / "back")]
    assert configs[0].attention == configs[1].attention and configs[0].feed_forward == configs[1].feed_forward


def _fp32(job: TrainJob, folder: Path) -> Path:
    """The folder that a job started from, as fp32 with the tensors' own names."""
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(job.initial, dtype=torch.float32)
    model.save_pretrained(folder / "fp32")
    return folder / "fp32"


def test_another_model_is_refused(jobs, tmp_path):
    exported(jobs["llama"], tmp_path / "model")
    for changes, message in (
        ({"hidden": 64}, "model.hidden: 32 there, 64 here"),
        ({"norm": {"kind": "rms", "epsilon": 1e-6}}, "model.norm.epsilon: 1e-05 there, 1e-06 here"),
        ({"embedding": {"tied": True}}, "model.embedding.tied: False there, True here"),
    ):
        other = TypeAdapter(Model).validate_python(described({**MODELS["llama"][1], **changes}))
        with pytest.raises(ImportedModelError, match=message):
            Folder(tmp_path / "model", other, VOCABULARY)
    with pytest.raises(ExchangeError, match=r"embed_tokens.weight is \(300, 32\), the model's .* \(301, 32\)"):
        Folder(tmp_path / "model", jobs["llama"].model, VOCABULARY + 1)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    for name, value, error, message in (
        ("num_hidden_layers", 3, ExchangeError, r"lacks \['model.layers.2.input_layernorm.weight'"),
        ("intermediate_size", 64, ExchangeError, r"gate_proj.weight is \(48, 32\), the model's .* \(64, 32\)"),
        ("hidden_act", "relu6", ImportedModelError, "hidden_act='relu6': only gelu"),
        ("rope_parameters", {"rope_type": "yarn"}, ImportedModelError, "rope_type='yarn' has no form here"),
        ("mlp_bias", True, ImportedModelError, "mlp_bias=True has no form here: only False is known"),
        ("model_type", "mamba", ImportedModelError, "'mamba' is none of the families .*: gpt2, llama, mixtral, qwen2"),
        ("num_attention_heads", 5, ImportedModelError, "describes no model that there can be"),
    ):
        changed = {**config, name: value}
        (tmp_path / "model" / "config.json").write_text(json.dumps(changed))
        with pytest.raises(error, match=message):
            Folder(tmp_path / "model", model_of(changed), VOCABULARY)
    (tmp_path / "model" / "config.json").unlink()
    with pytest.raises(ImportedModelError, match=r"config.json cannot be read"):
        Folder(tmp_path / "model", jobs["llama"].model, VOCABULARY)


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
