"""bf16: weights in fp32 behind it, the same step in every layout, and evaluation as training computes."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pretrain.config import Mixture
from pretrain.data.batches import Batches
from tests import forked
from tests.pretrain.parity import weights
from tests.pretrain.tools import ROOT, VOCABULARY, journal, run_many, small_job, write_job

LAYOUTS: dict[str, dict[str, Any]] = {
    "one": {},
    "tp2": {"tp": 2, "sequence_parallel": True},
    "pp2": {"pp": 2},
    "dp2 zero1": {"dp": 2, "zero1": True},
    "cp2": {"cp": 2},
}
SCORE = """
import json, sys
from pathlib import Path
import numpy as np
from pretrain import evaluate
from pretrain.job import EvaluateJob, read_job
scorer = evaluate.model_scorer(read_job(Path(sys.argv[1]), EvaluateJob))
samples = np.load(sys.argv[2])
print(json.dumps(float(scorer(samples[:, :-1], samples[:, 1:]).astype(float).mean())))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder, paths, jobs = tmp_path_factory.mktemp("precision"), {}, {}

    def add(name: str, layout: dict[str, Any], **changes: Any) -> None:
        settings = {"directory": str(folder / name), "precision": {"dtype": "bf16"}, "steps": 8, "checkpoint_every": 1}
        jobs[name] = small_job(folder, **{**settings, "keep": 20, **changes})
        jobs[name]["layout"] |= {"micro_batch": 2, **layout}
        paths[name] = write_job(folder, jobs[name], f"{name}.json".replace(" ", "-"))

    for name, layout in LAYOUTS.items():
        add(name, layout)
    add("fp32", {}, precision={"dtype": "fp32"})
    add("slow", {}, train__optimizer={"kind": "adamw", "lr": 1e-6, "weight_decay": 0}, train__warmup_tokens=0)
    for world in (1, 2):
        chosen = [p for n, p in paths.items() if (n in ("one", "fp32", "slow")) == (world == 1)]
        done = run_many(chosen, world)
        assert done.returncode == 0, done.stderr
    return {"folder": folder, "jobs": jobs}


def test_steps_too_small_for_bf16_are_not_lost(runs):
    """A step of 1e-6 is less than bf16 can tell at any weight above 2.6e-4: only fp32 behind it moves."""
    first, second = (weights(runs["folder"] / "slow" / f"step-{step}") for step in (1, 2))
    for name, tensor in second.items():
        moved = (tensor - first[name]).abs()
        assert (moved > 0).float().mean() > 0.5 and moved.max() < 1e-5, name
    assert any((t != t.bfloat16().float()).any() for t in second.values())


def test_bf16_is_fp32_but_for_rounding(runs):
    one, other = ([row["loss"] for row in journal(runs["jobs"][name])] for name in ("one", "fp32"))
    assert one == pytest.approx(other, abs=2e-2) and one != pytest.approx(other, abs=1e-5)


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name != "one"])
def test_layouts_agree_within_bf16(runs, name):
    rows = [journal(runs["jobs"][each]) for each in ("one", name)]
    assert [row["loss"] for row in rows[0]] == pytest.approx([row["loss"] for row in rows[1]], abs=3e-3)
    assert [row["grad_norm"] for row in rows[0]] == pytest.approx([row["grad_norm"] for row in rows[1]], rel=2e-2)


@pytest.mark.parametrize("name", ["one", "fp32"])
def test_evaluation_computes_what_training_did(runs, name, tmp_path: Path):
    """The loss of step 8, before its update, is what the checkpoint of step 7 scores on step 8's samples."""
    job = runs["jobs"][name]
    batches = Batches(job["components"], Mixture(), 32, 1, VOCABULARY)
    np.save(tmp_path / "samples.npy", batches.samples(56, 64))
    shared = {key: job[key] for key in ("model", "train", "precision", "layout", "vocabulary", "eod", "components")}
    files = {"checkpoint": f"{job['directory']}/step-7", "held_out": {}, "output": "", "documents": ""}
    path = write_job(tmp_path, shared | files | {"evaluation": {}}, "evaluate.json")
    command = [sys.executable, "-c", SCORE, str(path), str(tmp_path / "samples.npy")]
    done = forked.run(command, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == pytest.approx(journal(job)[7]["loss"], abs=2e-6)


def test_what_is_trained_on_is_bf16(runs):
    """Masters are finer than what the model computes with, which rounds them."""
    found = weights(runs["folder"] / "one" / "step-8")
    gains = found["layers.0.attention_norm.weight"]
    assert (gains != gains.bfloat16().float()).any() and torch.isfinite(gains).all()
