"""The folder of a training run: who may write it, what it holds, how far it got. No torch here."""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from corpus.fault import fault_point
from pretrain.config.differences import differences
from pretrain.job import TrainJob

TRAJECTORY = "trajectory.json"  # what is trained here
_STEP = re.compile(r"step-(\d+)")
WHAT_FIELDS = ("model", "train", "precision", "mixture", "vocabulary", "eod", "tokens_digest")


class TrajectoryError(RuntimeError):
    """A folder that belongs to another run: names the fields that differ."""


def steps(directory: Path) -> dict[int, Path]:
    """The complete checkpoints by step, ascending."""
    found = {int(m[1]): path for path in directory.glob("step-*") if (m := _STEP.fullmatch(path.name))}
    return dict(sorted(found.items()))


def remove_unfinished(directory: Path) -> list[Path]:
    """Remove what killed writers left; returns it."""
    left = sorted(directory.glob("step-*.tmp*"))
    for path in left:
        shutil.rmtree(path)
    return left


def prune(directory: Path, upto: int, keep: int, protected: set[int]) -> None:
    """Of the checkpoints up to a step, remove all but the newest `keep` and the protected ones.

    Later ones are another target's: a run to an earlier step must keep its own.
    """
    for step, path in [each for each in steps(directory).items() if each[0] <= upto][:-keep]:
        if step not in protected:
            _remove(path)


def remove_after(directory: Path, step: int) -> None:
    """Remove the checkpoints of steps that were taken back, lest a later start goes on from them."""
    for number, path in steps(directory).items():
        if number > step:
            _remove(path)


def _remove(path: Path) -> None:
    doomed = path.with_name(f"{path.name}.tmp-removed")
    path.rename(doomed)  # a kill in between leaves an unfinished folder, never a torn checkpoint
    fault_point("train.checkpoint:pruned")
    shutil.rmtree(doomed)


@contextmanager
def ownership(directory: Path, say: Callable[[str], object]) -> Iterator[None]:
    """Hold the folder; waits for a trainer that is still there, and the kernel frees it when its owner dies."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for the trainer that holds {directory}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def recorded(directory: Path) -> dict[str, Any]:
    """What is trained in a folder, as it was written down."""
    path = directory / TRAJECTORY
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise TrajectoryError(f"{path} is damaged ({error}): remove {directory} to train again") from error


def record_what(job: TrainJob) -> None:
    """Write down what is trained here, once; raise TrajectoryError when the folder holds something else."""
    path = Path(job.directory) / TRAJECTORY
    whole = TypeAdapter(TrainJob).dump_python(job, mode="json")
    new = {"digest": job.digest, **{name: whole[name] for name in WHAT_FIELDS}}
    if not path.exists():
        temporary = path.with_suffix(f".tmp-{os.getpid()}")
        temporary.write_text(json.dumps(new, indent=1, sort_keys=True), encoding="utf-8")
        temporary.rename(path)
        return
    old = recorded(Path(job.directory))
    if differing := differences(old, new):
        raise TrajectoryError(
            f"{job.directory} holds another run ({'; '.join(differing)}): give this one a folder of its own"
        )
