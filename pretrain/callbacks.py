"""What happens around a step besides the step: few, ordered, stateful, and named at start."""

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pretrain import checkpoint, trajectory
from pretrain.job import TrainJob
from pretrain.journal import Journal, Row
from pretrain.optimizer import Trained

log = logging.getLogger("pretrain")


class DivergedError(RuntimeError):
    """Loss or gradient is no longer a number: names the step and its samples."""


@dataclass(frozen=True, slots=True)
class Done:
    """A finished step; `stop` is the signal that asks to end the run, or 0."""

    row: Row
    stop: int


class Callback(Protocol):
    """Called in the order given, on every rank."""

    name: str

    def before_update(self, step: int, first: int, last: int, loss: float) -> None:
        """After backward, before the weights change."""
        ...

    def after_step(self, done: Done) -> None:
        """After the weights changed."""
        ...


class NanGuard:
    """Stops before a loss that is no number reaches the weights, or a checkpoint."""

    name = "nan_guard"

    def before_update(self, step: int, first: int, last: int, loss: float) -> None:
        """Raise DivergedError for a loss that is not finite."""
        if not math.isfinite(loss):
            raise DivergedError(
                f"loss is {loss} in step {step}, samples [{first}, {last}): lower train.optimizer.lr, "
                "or look at the step's documents with `siku explain --step`"
            )

    def after_step(self, done: Done) -> None:
        """Raise DivergedError for a gradient that is not finite; no checkpoint has the step yet."""
        if not math.isfinite(done.row.grad_norm):
            raise DivergedError(
                f"gradient norm is {done.row.grad_norm} in step {done.row.step}, samples "
                f"[{done.row.first_sample}, {done.row.last_sample}): lower train.optimizer.lr"
            )


class JournalWriter:
    """Rank 0 writes every step down."""

    name = "journal"

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal

    def before_update(self, step: int, first: int, last: int, loss: float) -> None:
        """Nothing: a step is written down when it is taken."""

    def after_step(self, done: Done) -> None:
        """Append the step's row."""
        if self._journal is not None:
            self._journal.append([done.row])


class Log:
    """Rank 0 says how it goes: loss, rate, and when it will be done."""

    name = "log"

    def __init__(self, every: int, target: int, speak: bool) -> None:
        self._every, self._target, self._speak = every, target, speak
        self._since, self._tokens, self._steps = time.monotonic(), -1, 0

    def before_update(self, step: int, first: int, last: int, loss: float) -> None:
        """Count from the first step's begin."""
        if self._tokens < 0:
            self._since, self._tokens = time.monotonic(), 0

    def after_step(self, done: Done) -> None:
        """One line every `every` steps, and for the last."""
        row = done.row
        self._steps += 1
        self._tokens += (row.last_sample - row.first_sample) * row.tokens // row.last_sample
        if not self._speak or (row.step % self._every and row.step != self._target):
            return
        passed = max(time.monotonic() - self._since, 1e-9)
        left = (self._target - row.step) * passed / self._steps
        log.info(
            "step %d/%d  loss %.4f  lr %.3g  grad %.3f  %d tokens/s  %d s left",
            *(row.step, self._target, row.loss, row.lr, row.grad_norm, self._tokens / passed, left),
        )
        self._since, self._tokens, self._steps = time.monotonic(), 0, 0


class Checkpoints:
    """Commits a checkpoint on the cadence, at the target, and when the run is asked to stop; prunes old ones."""

    name = "checkpoint"

    def __init__(self, job: TrainJob, trained: Trained, journal: Journal | None, protected: set[int]) -> None:
        self._job, self._trained, self._journal, self._protected = job, trained, journal, protected

    def before_update(self, step: int, first: int, last: int, loss: float) -> None:
        """Nothing: a checkpoint holds finished steps."""

    def after_step(self, done: Done) -> None:
        """Collective: all ranks decide alike, from the step and the agreed stop signal."""
        row, directory = done.row, Path(self._job.directory)
        if row.step % self._job.checkpoint_every and row.step != self._job.steps and not done.stop:
            return
        if self._journal is not None:
            self._journal.sync()
        checkpoint.save(directory, self._trained, self._job.digest, row.step, row.last_sample)
        if self._trained.place.rank == 0:
            trajectory.prune(directory, self._job.keep, self._protected)
