"""What happens around a step besides the step: few, ordered, stateful, and named at start."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pretrain.engine.optimizer import Optimizer
from pretrain.engine.step import Part
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
    parts: Mapping[str, Part]  # of the batch, by component of the order
    reading_seconds: float  # that this rank waited for its samples


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


class Pace:
    """Rank 0 reckons how long a clean stop may take, for whoever would kill a run that does not stop.

    `watching` tells the seconds that what is done beside a step last took.
    """

    name = "pace"

    def __init__(self, optimizer: Optimizer, saver: Saver, watching: Callable[[], float], speak: bool) -> None:
        bytes_to_write = sum(4 * t.numel() for u in optimizer.units if u.mine for t in optimizer.tensors(u).values())
        self._saver, self._watching, self._speak = saver, watching, speak
        self._estimate, self._step_s, self._told = bytes_to_write / SLOW_DISK, 0.0, 0.0

    def after_step(self, result: StepResult) -> None:
        """Three times the slowest step and the last save; before the first save, what a slow disk would need."""
        self._step_s = max(self._step_s, result.row.seconds)
        grace = MARGIN * (self._step_s + self._watching() + (self._saver.seconds or self._estimate))
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
