"""Every layout against the plain reference: `python -m tests.pretrain.parity` prints the table.

fp32, dropout 0, 8 steps from the weights as they are drawn; gradients are clipped, so that the norm counts too. One
launch for each number of processes.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import TypeAdapter

from pretrain.data.batches import Batches
from pretrain.engine.schedule import learning_rate
from pretrain.job import TrainJob
from pretrain.state.checkpoint import Checkpoint
from tests.pretrain import reference
from tests.pretrain.tools import journal, run_many, small_job, write_job

STEPS = 8
TOLERANCE = 1e-5
EXPERTS = {"kind": "experts", "experts": 4, "chosen": 2, "width": 24, "shared": 16, "balance": 0.02}
MODELS: dict[str, dict[str, Any]] = {
    "dense": {"model__layers": 4},
    "experts": {
        "model__layers": 4,
        "model__feed_forward": EXPERTS,
        "model__overrides": {"0": {"feed_forward": {"kind": "gated", "width": 48}}},
    },
}
MODELS = MODELS | {
    "muon": MODELS["experts"] | {"train__optimizer": {"kind": "muon", "lr": 0.005, "clip": 0.5, "epsilon": 1e-6}}
}
SP = {"sequence_parallel": True}
# The layouts, alone and as users combine them; the model is dense unless experts are named.
DENSE: Sequence[dict[str, Any]] = (
    {},
    {"micro_batch": 8},
    {"recompute": ["attention"]},
    {"recompute": ["feed_forward"]},
    {"recompute": ["attention", "feed_forward"]},
    {"recompute": ["layer"]},
    {"tp": 2},
    {"tp": 2, **SP},
    {"cp": 2},
    {"pp": 2},
    {"pp": 2, "vpp": 2},
    {"dp": 2},
    {"dp": 2, "zero1": True},
    {"dp": 2, "overlap": True},
    {"dp": 2, "zero1": True, "overlap": True},
    {"tp": 2, "pp": 2},
    {"tp": 2, "pp": 2, "vpp": 2, **SP},
    {"tp": 2, "cp": 2, "zero1": True, **SP},
    {"tp": 2, "dp": 2, "zero1": True},
    {"cp": 2, "pp": 2},
    {"pp": 2, "dp": 2, "zero1": True, "overlap": True},
    {"pp": 2, "vpp": 2, "dp": 2, "zero1": True, "recompute": ["layer"]},
)
MIXED: Sequence[dict[str, Any]] = (
    {},
    {"micro_batch": 8},
    {"recompute": ["feed_forward"]},
    {"dp": 2},
    {"dp": 2, "ep": 2},
    {"cp": 2, "ep": 2},
    {"pp": 2, "vpp": 2},
    {"dp": 2, "ep": 2, "zero1": True},
    {"tp": 2, "ep": 2, **SP},
    {"pp": 2, "dp": 2, "ep": 2},
    {"dp": 4, "ep": 2, "zero1": True},
    {"tp": 2, "dp": 2, "ep": 4, "zero1": True, **SP},
)
# Muon needs whole matrices, of which a rank may have a slice, or some experts, or a run of elements.
WHOLE: Sequence[dict[str, Any]] = (
    {},
    {"dp": 2, "ep": 2, "zero1": True, "overlap": True},
    {"tp": 2, "ep": 2, **SP},
    {"pp": 2, "vpp": 2},
    {"tp": 2, "dp": 2, "ep": 2, "zero1": True, **SP},
)


class Case(NamedTuple):
    """A model in a layout."""

    model: str
    layout: dict[str, Any]

    @property
    def name(self) -> str:
        """As the table has it."""
        words = []
        for key, value in self.layout.items():
            short = {"sequence_parallel": "sp"}.get(key, key)
            words.append(
                short if value is True else f"{short}={'+'.join(value)}" if key == "recompute" else f"{key}{value}"
            )
        return " ".join([self.model, *words])

    @property
    def world(self) -> int:
        """Processes it takes."""
        sizes = (self.layout.get(key, 1) for key in ("tp", "cp", "pp", "dp"))
        return torch.tensor(list(sizes)).prod().item()


CASES = [
    Case(model, layout)
    for model, layouts in (("dense", DENSE), ("experts", MIXED), ("muon", WHOLE))
    for layout in layouts
]


class Difference(NamedTuple):
    """The largest of all steps: of losses, of gradient norms (relative), and of any weight after them."""

    loss: float
    norm: float
    weight: float

    @property
    def allowed(self) -> bool:
        """Whether it is rounding."""
        return max(self) <= TOLERANCE


def job_of(folder: Path, case: Case, **changes: Any) -> dict[str, Any]:
    """The job of a case, in a folder of its own, on the same documents."""
    settings = {
        "directory": str(folder / case.name.replace(" ", "-")),
        "steps": STEPS,
        "checkpoint_every": STEPS,
        "train__optimizer": {"kind": "adamw", "lr": 0.005, "clip": 0.5, "epsilon": 1e-6},
        "mixture__weights": {"en": 1, "zh": 2},
    }
    job = small_job(folder, **{**settings, **MODELS[case.model], **changes})
    job["layout"] |= {"micro_batch": 2, **case.layout}
    return job


def train(folder: Path, cases: Sequence[Case], **changes: Any) -> dict[Case, dict[str, Any]]:
    """Train the cases, one launch for each number of processes; returns their jobs."""
    jobs = {case.name: job_of(folder, case, **changes) for case in cases}
    for world in sorted({case.world for case in cases}):
        names = [case.name for case in cases if case.world == world]
        paths = [write_job(folder, jobs[name], f"{name.replace(' ', '-')}.json") for name in names]
        done = run_many(paths, world)
        if done.returncode:
            raise RuntimeError(f"{world} processes, {names}: {done.stderr}")
    return jobs


def weights(path: Path, kind: str = "weight") -> dict[str, torch.Tensor]:
    """Every global tensor of a kind in a checkpoint."""
    found = Checkpoint(path)
    return {shape.name: torch.from_numpy(found.tensor(shape)) for shape in found.shapes() if shape.kind == kind}


def plain(described: dict[str, Any], initial: dict[str, torch.Tensor]) -> reference.Trained:
    """What the reference makes of a job."""
    job = TypeAdapter(TrainJob).validate_python(described)
    batches = Batches(job.components, job.mixture, job.model.sequence_length, job.train.data_seed, job.vocabulary)
    size = job.train.global_batch
    samples = (torch.from_numpy(batches.samples(step * size, (step + 1) * size)) for step in range(job.steps))
    rate = lambda tokens: learning_rate(job.train, tokens)  # noqa: E731
    return reference.train(initial, job.model, job.train, samples, job.vocabulary, rate)


def difference(job: dict[str, Any], expected: reference.Trained) -> Difference:
    """Between a trained job and the reference."""
    rows, steps = journal(job), job["steps"]
    if len(rows) != steps:
        raise RuntimeError(f"{job['directory']} has {len(rows)} steps, not {steps}")
    found = weights(Path(job["directory"]) / f"step-{steps}")
    if found.keys() != expected.weights.keys():
        raise RuntimeError(f"{job['directory']} has other tensors: {found.keys() ^ expected.weights.keys()}")
    return Difference(
        max(abs(row["loss"] - loss) for row, (loss, _) in zip(rows, expected.steps, strict=True)),
        max(abs(row["grad_norm"] / norm - 1) for row, (_, norm) in zip(rows, expected.steps, strict=True)),
        max((tensor - expected.weights[name].detach()).abs().max().item() for name, tensor in found.items()),
    )


def drawn(folder: Path) -> dict[str, dict[str, Any]]:
    """Jobs of 0 steps: the weights as they are drawn, by model."""
    jobs = {name: job_of(folder, Case(name, {}), steps=0, directory=str(folder / f"{name}-drawn")) for name in MODELS}
    done = run_many([write_job(folder, job, f"{name}-drawn.json") for name, job in jobs.items()])
    if done.returncode:
        raise RuntimeError(done.stderr)
    return jobs


def table(folder: Path, cases: Sequence[Case], steps: int = STEPS) -> dict[str, Difference]:
    """Each case's difference from the reference, by name."""
    starts = {name: weights(Path(job["directory"]) / "step-0") for name, job in drawn(folder).items()}
    jobs = train(folder, cases, steps=steps)
    expected = {name: plain(job_of(folder, Case(name, {}), steps=steps), start) for name, start in starts.items()}
    return {case.name: difference(jobs[case.name], expected[case.model]) for case in cases}


def main() -> int:
    """Print the table; 1 where a layout is beyond the tolerance."""
    with tempfile.TemporaryDirectory() as temporary:
        found = table(Path(temporary), CASES)
    print(f"{'layout':56} {'largest difference of':>33}\n{'':56} {'loss':>10} {'norm':>10} {'weight':>11}")
    for name, each in found.items():
        print(f"{name:56} {each.loss:10.1e} {each.norm:10.1e} {each.weight:11.1e}{'' if each.allowed else '  !'}")
    wrong = [name for name, each in found.items() if not each.allowed]
    print(f"{len(found)} layouts, {len(wrong)} beyond {TOLERANCE}: {', '.join(wrong) or 'none'}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
