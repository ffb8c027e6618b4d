"""The training loop."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from megatron.core.pipeline_parallel import get_forward_backward_func

from pretrain.callbacks import Callback, Done
from pretrain.data import Batches, replica_range
from pretrain.job import TrainJob
from pretrain.journal import Row
from pretrain.model import token_losses
from pretrain.optimizer import Trained, set_rate
from pretrain.schedule import learning_rate


def train(
    job: TrainJob,
    trained: Trained,
    batches: Batches,
    start: int,
    attempt: int,
    callbacks: Sequence[Callback],
    stop_signal: Callable[[], int],
) -> int:
    """Take the steps after `start` until the job's target or a signal; returns the signal, or 0."""
    batch, length = job.train.global_batch, job.model.sequence_length
    for step in range(start + 1, job.steps + 1):
        began, first, last = time.perf_counter(), (step - 1) * batch, step * batch
        rate = learning_rate(job.train, last * length)
        set_rate(trained, rate)
        loss, stop = _agree(trained, _forward_backward(job, trained, batches, step), stop_signal())
        for callback in callbacks:
            callback.before_update(step, first, last, loss)
        _, norm, _ = trained.optimizer.step()
        row = Row(
            step=step,
            attempt=attempt,
            first_sample=first,
            last_sample=last,
            status="taken",
            loss=loss,
            lr=rate,
            grad_norm=float(norm),
            tokens=last * length,
            seconds=round(time.perf_counter() - began, 6),
        )
        for callback in callbacks:
            callback.after_step(Done(row, stop))
        if stop:
            return stop
    return 0


def _forward_backward(job: TrainJob, trained: Trained, batches: Batches, step: int) -> float:
    """Gradients of one step; returns the mean nats per token of this replica, 0 off the last pipeline stage."""
    place, size = trained.place, job.layout.micro_batch
    first, last = replica_range(step, job.train.global_batch, place.dp, job.layout.dp)
    trained.wrapped.zero_grad_buffer()
    trained.optimizer.zero_grad()
    samples = (torch.from_numpy(found).to(place.device) for found in batches.micro_batches(first, last, size))

    def forward(iterator: Iterator[torch.Tensor], model: Any) -> tuple[torch.Tensor, Any]:  # noqa: ANN401
        tokens = next(iterator)
        targets = tokens[:, 1:].contiguous()

        def loss(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            mean = token_losses(logits, targets, job.vocabulary, place.tp).mean()
            return mean, mean.detach().double()  # a copy: upstream divides the first in place

        return model(tokens[:, :-1].contiguous(), None, None), loss

    count = (last - first) // size
    losses = get_forward_backward_func()(
        forward_step_func=forward,
        data_iterator=samples,
        model=trained.wrapped,
        num_microbatches=count,
        seq_length=job.model.sequence_length,
        micro_batch_size=size,
        forward_only=False,
    )
    return float(torch.stack(losses).sum()) / count if losses else 0.0


def _agree(trained: Trained, loss: float, stop: int) -> tuple[float, int]:
    """The global batch's mean loss and the strongest stop signal, the same on every rank."""
    place = trained.place
    shared = torch.zeros(2, dtype=torch.float64, device=place.device)
    if place.last_stage and place.tp == 0:
        shared[0] = loss / place.layout.dp
    shared[1] = stop
    gathered = [torch.empty_like(shared) for _ in range(dist.get_world_size())]
    dist.all_gather(gathered, shared)
    found = torch.stack(gathered)  # summed in rank order, so that every rank has the same bits
    return float(found[:, 0].sum()), int(found[:, 1].max())
