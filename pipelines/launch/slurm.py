"""Slurm's own commands: submit, look, cancel."""

import os
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.launch.script import outside
from pipelines.launch.share import LaunchError


@dataclass(frozen=True, slots=True)
class Queued:
    """A job, or a task of an array, that has not ended."""

    job: str
    task: str
    state: str
    reason: str

    @property
    def barred(self) -> bool:
        """Whether it waits for what can no longer come."""
        return self.reason == "DependencyNeverSatisfied"


def submit(script: Path, *, array: str = "", after: Sequence[str] = (), how: str = "afterok", first: int = 0) -> str:
    """Hand a script to Slurm; its job's id. `first` is the share of an array's task 0. Raises LaunchError."""
    options = [f"--array={array}"] if array else []
    options += [f"--dependency={how}:{':'.join(after)}"] if after else []
    return _ask("sbatch", "--parsable", *options, str(script), str(first)).strip().partition(";")[0]


def queue(jobs: Collection[str]) -> list[Queued]:
    """Those of these jobs that have not ended, array tasks by themselves. Raises LaunchError."""
    if not jobs:
        return []
    listed = _ask("squeue", "-h", "-r", "-u", str(os.getuid()), "-o", "%F %K %T %r")
    found = [Queued(*line.split(maxsplit=3)) for line in listed.splitlines() if line.strip()]
    return [each for each in found if each.job in jobs]


def cancel(jobs: Sequence[str]) -> None:
    """End jobs, whatever they are at. Raises LaunchError."""
    if jobs:
        _ask("scancel", *jobs)


def _ask(program: str, *arguments: str) -> str:
    try:
        done = subprocess.run([program, *arguments], env=outside(), capture_output=True, encoding="utf-8", check=False)
    except FileNotFoundError:
        raise LaunchError(
            f"cluster.kind=slurm: {program} is not on PATH: run this where Slurm's commands are, or set cluster=none"
        ) from None
    if done.returncode:
        raise LaunchError(f"{program} {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
