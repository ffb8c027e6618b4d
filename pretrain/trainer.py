"""The training loop: read a batch, backward, agree on its figures, decide, apply."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pretrain.data.batches import Batches
from pretrain.engine.callbacks import Callback, StepResult
from pretrain.engine.optimizer import Optimizer
from pretrain.engine.schedule import learning_rate
from pretrain.engine.spikes import Seen, Window
from pretrain.engine.step import Computer, Figures, clip_scale, reduce_figures
from pretrain.job import TrainJob
from pretrain.journal import Row
from pretrain.parallel.mesh import Mesh, seed_dropout
from pretrain.state.cursor import Cursor


@dataclass(slots=True)
class TrainState:
    """All that a step reads and changes."""

    computer: Computer
    optimizer: Optimizer
    mesh: Mesh
    cursor: Cursor
    window: Window


def train(
    job: TrainJob,
    state: TrainState,
    batches: Batches,
    attempt: int,
    callbacks: Sequence[Callback],
    stop_signal: Callable[[], int],
) -> int:
    """Take steps until the job's target or a signal; returns the signal, or 0."""
    while state.cursor.step < job.steps:
        result = _step(job, state, batches, attempt, stop_signal)
        for callback in callbacks:
            callback.after_step(result)
        if result.stop:
            return result.stop
    return 0


def _step(
    job: TrainJob, state: TrainState, batches: Batches, attempt: int, stop_signal: Callable[[], int]
) -> StepResult:
    began, before, optimizer = time.perf_counter(), state.cursor, state.optimizer
    samples = job.train.batch_size(before.tokens)
    tokens = samples * job.model.sequence_length
    first, last = before.next_sample, before.next_sample + samples
    if job.model.drops:
        seed_dropout(job.train.seed, first, state.mesh)
    place = f"step {before.step + 1}"
    state.mesh.reached(f"the backward of {place}")
    optimizer.zero_gradients()
    read = state.computer.reading_seconds
    parts = state.computer.backward(batches, first, last)
    state.mesh.reached(f"the figures of {place}")
    figures = reduce_figures(optimizer, parts, stop_signal(), state.mesh.device)
    rate = learning_rate(job.train, before.tokens + tokens)
    reason, _ = state.window.judge(figures.loss, figures.grad_norm)
    if not reason:  # a bad gradient never reaches the weights
        state.mesh.reached(f"the update of {place}")
        optimizer.apply(rate, clip_scale(figures, job.train.optimizer.clip))
        state.cursor = before.taken(samples, tokens)
        state.window.add(Seen(state.cursor.step, figures.loss, figures.grad_norm))
    else:
        state.cursor = before.passed_over(samples)
    row = _row(before, state.cursor, figures, rate, attempt, time.perf_counter() - began, reason)
    losses = dict(zip(batches.order.names, figures.parts, strict=True))
    return StepResult(row, state.cursor, figures.stop, losses, state.computer.reading_seconds - read)


def _row(
    before: Cursor, after: Cursor, figures: Figures, rate: float, attempt: int, seconds: float, reason: str
) -> Row:
    return Row(
        step=before.step + 1,
        attempt=attempt,
        first_sample=before.next_sample,
        last_sample=after.next_sample,
        status="skipped" if reason else "taken",
        loss=figures.loss,
        lr=rate,
        grad_norm=figures.grad_norm,
        tokens=after.tokens,
        seconds=round(seconds, 6),
        reason=reason,
    )
