"""A decay starts from a step of a trunk: it is the run that had the whole schedule from the beginning."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from pretrain.job import TrainJob
from pretrain.state.checkpoint import CheckpointError
from pretrain.state.trajectory import TrajectoryError
from pretrain.state.trunk import checkpoint_of
from tests.pretrain.tools import content, journal, run_many, small_job, write_job

BATCH = 8 * 32  # tokens of a step
WSD = {"schedule": "wsd", "decay_start_tokens": 6 * BATCH, "decay_tokens": 6 * BATCH}
TRUNK, OTHER = "a" * 16, "b" * 16


def job_of(folder: Path, name: str, steps: int, **changes: Any) -> dict[str, Any]:
    directory = {"directory": str(folder / name), "steps": steps, "checkpoint_every": 100}
    dropout = {"model__block__dropout": 0.1}
    return small_job(folder, **{**directory, **dropout, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trunk of 6 steps (and of 4 more), and what starts from it, all in one process."""
    folder = tmp_path_factory.mktemp("trunk")
    branch = {"digest": OTHER, "trunk": str(folder / "trunk"), "train__schedule": WSD}
    jobs = {
        "trunk-6": job_of(folder, "trunk", 6, digest=TRUNK),
        "trunk-10": job_of(folder, "trunk", 10, digest=TRUNK),
        "whole-12": job_of(folder, "whole", 12, train__schedule=WSD),
        "branch-9": job_of(folder, "branch", 9, **branch, train__trunk=f"{TRUNK}@6"),
        "branch-12": job_of(folder, "branch", 12, **branch, train__trunk=f"{TRUNK}@6"),
        "none-6": job_of(folder, "none", 6, **branch, train__trunk=f"{TRUNK}@6"),
        "annealed-8": job_of(
            folder, "annealed", 8, **branch, train__trunk=f"{TRUNK}@6", mixture__weights={"en": 3, "zh": 1}
        ),
    }
    done = run_many([write_job(folder, job, f"{name}.json") for name, job in jobs.items()])
    assert done.returncode == 0, done.stderr
    return folder


def at(folder: Path, name: str) -> dict[str, Any]:
    return {"directory": str(folder / name)}


def test_a_branch_is_the_run_that_had_the_schedule_from_the_beginning(folder):
    assert content(at(folder, "branch"), 12) == content(at(folder, "whole"), 12)
    assert content(at(folder, "branch"), 12) != content(at(folder, "branch"), 9)
    rows, whole = journal(at(folder, "branch")), journal(at(folder, "whole"))
    names = ("step", "loss", "lr", "first_sample", "tokens")
    assert [[row[name] for name in names] for row in rows] == [[row[name] for name in names] for row in whole[6:]]


def test_a_branch_of_no_steps_is_the_trunk(folder):
    assert content(at(folder, "none"), 6) == content(at(folder, "trunk"), 6)


def test_a_branch_with_another_mixture_reads_its_own_order_from_the_beginning(folder):
    rows = journal(at(folder, "annealed"))
    assert [(row["step"], row["first_sample"], row["tokens"]) for row in rows] == [(7, 0, 7 * BATCH), (8, 8, 8 * BATCH)]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"train__trunk": f"{TRUNK}@5"},
            CheckpointError,
            r"no checkpoint of step 5 \(it has 6, 10\).*run.steps=5, which",
        ),
        ({"train__trunk": f"{OTHER}@6"}, CheckpointError, f"step-6 belongs to run {TRUNK}, not to train.trunk={OTHER}"),
        ({"steps": 5}, TrajectoryError, "run.steps=5 lies before train.trunk"),
        ({"model__hidden": 64}, TrajectoryError, "model.hidden: 32 there, 64 here"),
        ({"train__optimizer": {"kind": "lion"}}, TrajectoryError, "train.optimizer.kind: 'adamw' there, 'lion' here"),
    ],
)
def test_what_is_no_trunk_is_refused(folder, changes, error, message):
    described = {"digest": OTHER, "trunk": str(folder / "trunk"), "train__trunk": f"{TRUNK}@6", **changes}
    job = job_of(folder, "refused", **{"steps": 12, **described})
    with pytest.raises(error, match=message):
        checkpoint_of(TypeAdapter(TrainJob).validate_python(job))
