"""The trainer is the plain model, optimizer and schedule of reference.py: loss, norm, weights and moments."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from pretrain.data.batches import Batches
from pretrain.engine.schedule import learning_rate
from pretrain.job import TrainJob
from pretrain.state.checkpoint import Checkpoint
from tests.pretrain import reference
from tests.pretrain.tools import journal, run_many, small_job, write_job

STEPS = 8
KINDS = {"weight": "weights", "exp_avg": "first", "exp_avg_sq": "second"}
# Adam divides by the second moment's root: at an epsilon of 1e-8, a gradient near 0 turns rounding into whole steps.
PLAIN = {
    "train__optimizer__weight_decay": 0,
    "train__optimizer__clip": 1e9,
    "train__optimizer__epsilon": 1e-6,
    "train__optimizer__lr": 0.005,
    "train__warmup_tokens": 0,
}
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


@pytest.mark.parametrize("case", CASES)
def test_the_trainer_is_the_plain_reference(trained, case):
    job = TypeAdapter(TrainJob).validate_python(trained[case])
    batches = Batches(job.components, job.mixture, job.model.sequence_length, job.train.data_seed, job.vocabulary)
    size = job.train.global_batch
    samples = (torch.from_numpy(batches.samples(step * size, (step + 1) * size)) for step in range(STEPS))
    folder = Path(job.directory)
    plain = reference.train(
        tensors(folder / "step-0", "weight"),
        job.model,
        job.train,
        samples,
        job.vocabulary,
        lambda tokens: learning_rate(job.train, tokens),
    )
    rows = journal(trained[case])
    assert [row["loss"] for row in rows] == pytest.approx([loss for loss, _ in plain.steps], abs=1e-5)
    assert [row["grad_norm"] for row in rows] == pytest.approx([norm for _, norm in plain.steps], rel=1e-4)
    for kind, attribute in KINDS.items():
        found, expected = tensors(folder / f"step-{STEPS}", kind), getattr(plain, attribute)
        assert found.keys() == expected.keys()
        for name, tensor in found.items():
            allowed = 1e-5 if kind == "weight" else 1e-4 * expected[name].abs().max().item()
            assert (tensor - expected[name].detach()).abs().max().item() <= allowed, (name, kind)
