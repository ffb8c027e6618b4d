"""What happens around a step besides the step: few, ordered, stateful, and named at start."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pretrain.engine.optimizer import Optimizer
from pretrain.job import TrainJob
from pretrain.journal import Journal, Row
from pretrain.parallel.launch import report_grace
from pretrain.state import trajectory
from pretrain.state.cursor import Cursor
from pretrain.state.saver import Saver

if TYPE_CHECKING:
    from pretrain.trainer import TrainState

log = logging.getLogger("pretrain")
SLOW_DISK = 50e6  # bytes a second
MARGIN = 3


class DivergedError(RuntimeError):
    """Losses or gradients stay out of the ordinary: names the step and its samples."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """A batch that was read, taken or not; `stop` is the signal that asks to end the run, or 0."""

    row: Row
    cursor: Cursor  # after it
    stop: int


class Callback(Protocol):
    """Called in the order given, on every rank, after the weights changed or were left as they were."""

    name: str

    def after_step(self, result: StepResult) -> None:
        """All ranks decide alike, from the same figures."""
        ...


class JournalWriter:
    """Rank 0 writes every step down."""

    name = "journal"

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal

    def after_step(self, result: StepResult) -> None:
        """Append the step's row."""
        if self._journal is not None:
            self._journal.append([result.row])


class Log:
    """Rank 0 says how it goes: loss, rate, and when it will be done."""

    name = "log"

    def __init__(self, every: int, target: int, speak: bool) -> None:
        self._every, self._target, self._speak = every, target, speak
        self._seconds, self._tokens, self._steps, self._seen = 0.0, 0, 0, 0

    def after_step(self, result: StepResult) -> None:
        """One line every `every` steps, for the last, and for each batch that was not taken."""
        row = result.row
        if row.status == "skipped":
            if self._speak:
                samples = f"samples [{row.first_sample}, {row.last_sample})"
                why = (row.reason, row.loss, row.grad_norm, samples)
                log.info("step %d not taken (%s): loss %.4g, gradient norm %.4g, %s", row.step, *why)
            return
        self._steps, self._seconds = self._steps + 1, self._seconds + row.seconds
        self._tokens += row.tokens - self._seen if self._seen else row.tokens // row.step
        self._seen = row.tokens
        if not self._speak or (row.step % self._every and row.step != self._target):
            return
        passed = max(self._seconds, 1e-9)
        left = (self._target - row.step) * passed / self._steps
        log.info(
            "step %d/%d  loss %.3f  lr %.3g  grad %.3f  %d tokens/s  %d s left",
            *(row.step, self._target, row.loss, row.lr, row.grad_norm, self._tokens / passed, left),
        )
        self._seconds, self._tokens, self._steps = 0.0, 0, 0


class Pace:
    """Rank 0 reckons how long a clean stop may take, for whoever would kill a run that does not stop."""

    name = "pace"

    def __init__(self, optimizer: Optimizer, saver: Saver, speak: bool) -> None:
        bytes_to_write = sum(4 * t.numel() for u in optimizer.units if u.mine for t in optimizer.tensors(u).values())
        self._saver, self._speak = saver, speak
        self._estimate, self._step_s, self._told = bytes_to_write / SLOW_DISK, 0.0, 0.0

    def after_step(self, result: StepResult) -> None:
        """Three times the slowest step and the last save; before the first save, what a slow disk would need."""
        self._step_s = max(self._step_s, result.row.seconds)
        grace = MARGIN * (self._step_s + (self._saver.seconds or self._estimate))
        if self._speak and not 0.8 < grace / max(self._told, 1e-9) < 1.25:
            report_grace(grace)
            self._told = grace


class Checkpoints:
    """Commits a checkpoint on the cadence, at the target, and when the run is asked to stop; prunes old ones."""

    name = "checkpoint"

    def __init__(
        self, job: TrainJob, state: "TrainState", saver: Saver, journal: Journal | None, kept: set[int]
    ) -> None:
        self._job, self._state, self._saver, self._mesh = job, state, saver, state.mesh
        self._journal, self._kept, self._reached = journal, kept, 0

    def after_step(self, result: StepResult) -> None:
        """The weights after a batch that was not taken are those before it: nothing to store, unless the run ends."""
        self._saver.check()
        step, job = result.row.step, self._job
        due = step == job.steps or step % job.checkpoint_every == 0 or step % job.train.healing.every == 0
        if result.stop or (due and result.row.status == "taken"):
            self.save()

    def save(self) -> None:
        """Start a checkpoint; the one before is committed when this returns, and old ones are gone."""
        if self._journal is not None:
            self._journal.sync()
        self._saver.start(self._state.optimizer, self._state.cursor)
        self._prune()
        self._reached = self._state.cursor.step

    def finish(self) -> None:
        """Wait for the last checkpoint."""
        self._saver.wait()
        self._prune()

    def _prune(self) -> None:
        if self._mesh.rank == 0:
            every = self._job.train.healing.every
            newest = self._reached // every * every
            kept = self._kept | {newest, newest - every}  # what the run may go back to
            trajectory.prune(Path(self._job.directory), self._reached, self._job.keep, kept)
