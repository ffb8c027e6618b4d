"""A run that begins at a step of another one: the decays of a warm-up-stable-decay schedule share their trunk.

What is identified is (digest of the trunk's training, step), which `train.trunk` holds by the time a job is written;
where that checkpoint lies is not part of it.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from pretrain.config.differences import differences
from pretrain.job import TrainJob
from pretrain.state.checkpoint import Checkpoint, CheckpointError
from pretrain.state.cursor import Cursor
from pretrain.state.trajectory import TrajectoryError, recorded, steps

_SAME = ("model", "vocabulary", "eod", "train.optimizer.kind")  # what the trunk's weights and moments are made for
_ORDER = ("tokens_digest", "mixture", "train.data_seed", "model.sequence_length")  # what decides which sample is which


def step_of(job: TrainJob) -> int:
    """The trunk's step that a run begins after; 0 for a run from drawn weights."""
    return int(job.train.trunk.rpartition("@")[2] or 0)


def _of(described: Any, names: tuple[str, ...]) -> dict[str, Any]:  # noqa: ANN401 - parsed JSON
    out = {}
    for name in names:
        value = described
        for key in name.split("."):
            value = value[key]
        out[name] = value
    return out


def checkpoint_of(job: TrainJob) -> Checkpoint:
    """The trunk's checkpoint. Raises CheckpointError where it is not there or another run's, and TrajectoryError where
    the branch has another model or optimizer."""
    digest, _, _ = job.train.trunk.rpartition("@")
    directory, step = Path(job.trunk), step_of(job)
    if job.steps < step:
        raise TrajectoryError(f"run.steps={job.steps} lies before train.trunk={job.train.trunk}: ask for more steps")
    if step not in steps(directory):
        kept = ", ".join(map(str, steps(directory))) or "none"
        raise CheckpointError(
            f"train.trunk={job.train.trunk}: {directory} keeps no checkpoint of step {step} (it has {kept}): take one "
            f"of those, or run the trunk with run.steps={step}, which keeps it"
        )
    found = Checkpoint(steps(directory)[step])
    if found.content["digest"] != digest:
        raise CheckpointError(f"{found.path} belongs to run {found.content['digest']}, not to train.trunk={digest}")
    here = TypeAdapter(TrainJob).dump_python(job, mode="json")
    if other := differences(_of(recorded(directory), _SAME), _of(here, _SAME)):
        raise TrajectoryError(
            f"train.trunk={job.train.trunk} is of another kind ({'; '.join(other)}): make these alike"
        )
    return found


def first_cursor(job: TrainJob, at: Cursor) -> tuple[Cursor, list[str]]:
    """Where a branch begins to read: after the trunk's last sample, or at the first of its own order, and what makes
    that order another one."""
    here = TypeAdapter(TrainJob).dump_python(job, mode="json")
    other = differences(_of(recorded(Path(job.trunk)), _ORDER), _of(here, _ORDER))
    return (replace(at, next_sample=0) if other else at), other
