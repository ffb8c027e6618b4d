"""What is done once a step was not taken: name the documents, and go back where the weights are at fault."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pretrain.data.batches import Batches
from pretrain.engine.callbacks import DivergedError, StepResult
from pretrain.engine.suspects import QUARANTINE, quarantine, suspects
from pretrain.job import TrainJob
from pretrain.journal import Journal, Row
from pretrain.state import trajectory
from pretrain.state.checkpoint import Checkpoint
from pretrain.state.cursor import Cursor
from pretrain.state.saver import Saver, begin, beginning, restore
from pretrain.state.trunk import checkpoint_of, first_cursor, step_of

if TYPE_CHECKING:
    from pretrain.trainer import TrainState

log = logging.getLogger("pretrain")
NAMED = 5  # documents in a log line; the quarantine list has all


class Healer:
    """Counts batches that were not taken; the state it goes back to is a function of the journal alone."""

    name = "healing"

    def __init__(
        self,
        job: TrainJob,
        state: "TrainState",
        batches: Batches,
        saver: Saver,
        journal: Journal | None,
        taken: Sequence[Row],
    ) -> None:
        self._job, self._state, self._batches, self._saver, self._journal = job, state, batches, saver, journal
        self._skipped: list[Row] = []
        every = job.train.healing.every
        self._since = [row for row in taken if row.step > state.cursor.step // every * every]  # could be taken back
        self._failed_at, self._last_target = -1, -1

    def after_step(self, result: StepResult) -> None:
        """Every rank alike. Raises DivergedError where going back leads nowhere."""
        row, healing = result.row, self._job.train.healing
        if row.status == "taken":
            self._skipped.clear()
            self._since = [] if row.step % healing.every == 0 else [*self._since, row]
            return
        self._skipped.append(row)
        if len(self._skipped) < healing.patience:
            self._name(row)
            return
        target = self._target(row)
        taken_back = [each for each in self._since if each.step > target]
        self._go_back(target)
        for each in taken_back[-healing.window :]:
            self._name(replace(each, reason=row.reason))
        self._name(row)
        self._skipped, self._since = [], []

    def _target(self, row: Row) -> int:
        """The newest state that can be trusted: one further back where the last one led no further."""
        every, at, first = self._job.train.healing.every, self._state.cursor.step, step_of(self._job)
        newest = max(at // every * every, first)
        if at <= self._failed_at:
            newest = min(newest, max(first, self._last_target - every) if self._last_target > first else -1)
        self._failed_at, self._last_target = max(at, self._failed_at), newest
        if newest < 0:
            raise DivergedError(
                f"loss {row.loss} and gradient norm {row.grad_norm} in step {row.step} ({row.reason}), samples "
                f"[{row.first_sample}, {row.last_sample}), and in the {len(self._skipped) - 1} batches before, also "
                "after going back: lower train.optimizer.lr, or look at the documents of quarantine.jsonl"
            )
        return newest

    def _go_back(self, target: int) -> None:
        """The state after step `target`, with the samples since passed over."""
        state, job = self._state, self._job
        self._saver.wait()
        if state.mesh.rank == 0:
            trajectory.remove_after(Path(job.directory), target)
        state.mesh.barrier()
        before, first = state.cursor, step_of(job)
        path = trajectory.steps(Path(job.directory)).get(target)
        if path is not None:
            cursor = restore(state.optimizer, Checkpoint(path))
        elif job.train.trunk and target == first:
            cursor, _ = first_cursor(job, restore(state.optimizer, checkpoint_of(job)))
        elif target == 0:
            begin(state.optimizer, beginning(job.initial, job.model, job.vocabulary, job.train.seed))
            cursor = Cursor()
        else:
            raise DivergedError(f"step-{target}, to go back to, is gone from {job.directory}: run again")
        lost = before.step - target
        state.cursor = replace(cursor, next_sample=before.next_sample, skipped=before.skipped + lost)
        state.window.forget(target)
        if self._journal is not None:
            self._journal.take_back(target)
            log.info("back to step %d: %d steps taken since are taken again with other samples", target, lost)

    def _name(self, row: Row) -> None:
        """Write down which documents of a batch stand out, as the weights are now."""
        healing, state = self._job.train.healing, self._state
        nats = state.computer.nats(self._batches, row.first_sample, row.last_sample)
        if self._journal is None:
            return
        spans = self._batches.order.spans(row.first_sample, row.last_sample)
        least = int(row.status == "skipped")  # a batch that was taken may hold nothing to blame
        found = suspects(spans, nats, state.window.loss, healing.threshold, least)
        if not found:
            return
        quarantine(Path(self._job.directory) / QUARANTINE, row, found)
        told = ", ".join(f"{each.source} {each.document} ({each.nats:.1f} nats a token)" for each in found[:NAMED])
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        log.info("step %d, samples [%d, %d): look at %s%s", row.step, row.first_sample, row.last_sample, told, more)
