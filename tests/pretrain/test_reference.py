"""The trainer is the plain model, optimizer and schedule of reference.py: loss, norm, weights and moments."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from pretrain.config.schedule import LinearRamp
from pretrain.data.batches import Batches
from pretrain.engine.schedule import learning_rate
from pretrain.job import TrainJob
from pretrain.state.checkpoint import Checkpoint
from tests.pretrain import reference
from tests.pretrain.tools import journal, run_many, small_job, write_job

STEPS = 8
KINDS = ("exp_avg", "exp_avg_sq", "momentum")
# Adam divides by the second moment's root: at an epsilon of 1e-8, a gradient near 0 turns rounding into whole steps.
PLAIN = {
    "train__optimizer__weight_decay": 0,
    "train__optimizer__clip": 1e9,
    "train__optimizer__epsilon": 1e-6,
    "train__optimizer__lr": 0.005,
    "train__warmup_tokens": 0,
}
RAMPED = {"train__schedule": {"schedule": "linear", "horizon_tokens": 2048}, "layout__micro_batch": 2}
# Each case brings one thing into play, so that the fault that leaves it out fails this case by name.
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "clip": {"train__optimizer__clip": 0.25},
    "schedule": {"train__warmup_tokens": 1024, "train__schedule": {"schedule": "cosine", "horizon_tokens": 2048}},
    "decay": {"train__optimizer__weight_decay": 3.0},
    "betas": {"train__optimizer__beta1": 0.6, "train__optimizer__beta2": 0.999},
    "epsilon": {"train__optimizer__epsilon": 1e-2},
    "rope base": {"model__position": {"kind": "rotary", "base": 3}},
    "norm epsilon": {"model__norm": {"kind": "rms", "epsilon": 0.5}},
    "untied": {"model__embedding": {"tied": False}},
    "one group": {"model__attention__groups": 1, "model__layers": 3},
    "z loss": {"train__z_loss": 0.03},
    "ramp": {"train__ramp": {"kind": "linear", "start": 2, "increment": 2, "tokens": 800}, **RAMPED},
    "lion": {"train__optimizer": {"kind": "lion", "lr": 3e-4, "beta1": 0.8, "beta2": 0.97, "weight_decay": 3.0}},
    "muon": {"train__optimizer": {"kind": "muon", "lr": 5e-3, "weight_decay": 0.3, "epsilon": 1e-6}},
    "muon spectral": {
        "train__optimizer": {
            **{"kind": "muon", "lr": 5e-3, "epsilon": 1e-6, "scale": "spectral", "nesterov": False},
            **{"momentum": 0.8, "iterations": 3, "rest_lr": 1e-2, "beta1": 0.6, "beta2": 0.99},
        }
    },
    "all": {
        "train__optimizer__clip": 0.25,
        "train__optimizer__weight_decay": 0.3,
        "train__warmup_tokens": 1024,
        "train__schedule": {"schedule": "wsd", "decay_start_tokens": 1024, "decay_tokens": 2048},
        "mixture__weights": {"en": 1, "zh": 2},
    },
}


def tensors(path: Path, kind: str) -> dict[str, torch.Tensor]:
    """Every global tensor of a checkpoint."""
    found = Checkpoint(path)
    return {shape.name: torch.from_numpy(found.tensor(shape)) for shape in found.shapes() if shape.kind == kind}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Every case from nothing to step 0, then to the last step: all in one process."""
    folder, jobs, paths = tmp_path_factory.mktemp("reference"), {}, []
    for name, changes in CASES.items():
        for steps in (0, STEPS):
            job = small_job(
                folder, directory=str(folder / name), steps=steps, checkpoint_every=STEPS, **PLAIN | changes
            )
            paths.append(write_job(folder, job, f"{name}-{steps}.json"))
        jobs[name] = job
    done = run_many(paths)
    assert done.returncode == 0, done.stderr
    return jobs


def test_initial_weights_are_as_published(trained):
    """Normal with the model's deviation; GPT-2's projections into the residual stream divided by sqrt(2 x layers)."""
    folder = Path(trained["one group"]["directory"]) / "step-0"
    for name, tensor in tensors(folder, "weight").items():
        if tensor.dim() == 1:
            assert (tensor == 1).all(), name
            continue
        expected = 0.02 / math.sqrt(2 * 3) if name.endswith(("output.weight", "down.weight")) else 0.02
        error = expected / math.sqrt(2 * tensor.numel())  # of a deviation estimated from so many
        assert abs(tensor.std().item() - expected) < 5 * error and abs(tensor.mean().item()) < 5 * error, name
        assert tensor.unique().numel() > 0.99 * tensor.numel(), name


def batch_samples(job: TrainJob) -> Iterator[torch.Tensor]:
    """The batches of a job, counted out by its tokens alone."""
    batches = Batches(job.components, job.mixture, job.model.sequence_length, job.train.data_seed, job.vocabulary)
    first = 0
    for _ in range(STEPS):
        ramp, size = job.train.ramp, job.train.global_batch
        if isinstance(ramp, LinearRamp):  # 2, 4 and 6 samples for a third of 800 tokens each
            size = min(size, 2 + 2 * (first * job.model.sequence_length * 3 // 800))
        yield torch.from_numpy(batches.samples(first, first + size))
        first += size


@pytest.mark.parametrize("case", CASES)
def test_the_trainer_is_the_plain_reference(trained, case):
    job, rows = TypeAdapter(TrainJob).validate_python(trained[case]), journal(trained[case])
    folder = Path(job.directory)
    start = tensors(folder / "step-0", "weight")
    rate = lambda tokens: learning_rate(job.train, tokens)  # noqa: E731
    plain = reference.train(start, job.model, job.train, batch_samples(job), job.vocabulary, rate)
    assert [row["loss"] for row in rows] == pytest.approx([loss for loss, _ in plain.steps], abs=1e-5)
    assert [row["grad_norm"] for row in rows] == pytest.approx([norm for _, norm in plain.steps], rel=1e-4)
    # Rounding turns the sign of a momentum that is nearly 0, and Lion steps by signs: of 1,000 elements one may differ.
    few = 0.001 if job.train.optimizer.kind == "lion" else 0.0
    found = tensors(folder / f"step-{STEPS}", "weight")
    assert found.keys() == plain.weights.keys()
    for name, tensor in found.items():
        off = (tensor - plain.weights[name].detach()).abs() > 1e-5
        assert off.sum().item() <= few * tensor.numel(), name
    for kind in KINDS:
        expected = {name: state[kind] for name, state in plain.state.items() if kind in state}
        found = tensors(folder / f"step-{STEPS}", kind)
        assert found.keys() == expected.keys()
        for name, tensor in found.items():
            allowed = 1e-4 * expected[name].abs().max().item()
            assert (tensor - expected[name]).abs().max().item() <= allowed, (name, kind)
