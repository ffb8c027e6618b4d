"""How a run goes: loss, rate, speed against what the device can do, memory, and how long it waits for its data."""

import logging
import math
import resource
from collections.abc import Sequence

import torch

from pretrain.config import padded_vocabulary
from pretrain.config.blueprint import training_flops
from pretrain.engine.callbacks import StepResult
from pretrain.engine.step import Part
from pretrain.job import TrainJob
from pretrain.models.build import DTYPES
from pretrain.parallel.mesh import Mesh, gather_rows
from pretrain.watch.peak import matmul_peak
from pretrain.watch.sinks import Sink

log = logging.getLogger("pretrain")
LOOKS_AGAIN = 4  # lines after which the peak is looked for again


def peak_memory(device: torch.device) -> int:
    """The most bytes that this rank has held: of a GPU what torch took of it, else what the process has of memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB


class Metrics:
    """The figures of the steps since the last line, to every sink, and a line for each batch that was not taken."""

    name = "metrics"

    def __init__(self, job: TrainJob, mesh: Mesh, sinks: Sequence[Sink]) -> None:
        self._job, self._mesh, self._sinks = job, mesh, sinks
        rows = padded_vocabulary(job.model, job.vocabulary)
        self._flops = training_flops(job.model, rows)  # a token
        self._lines, self._memory = 0, 0
        self._forget()

    def _forget(self) -> None:
        self._steps, self._samples, self._seconds, self._reading = 0, 0, 0.0, 0.0
        self._parts: dict[str, Part] = {}

    def after_step(self, result: StepResult) -> None:
        """Figures every `log_every` steps and for the last."""
        row, job = result.row, self._job
        if row.status == "skipped":
            if self._sinks:
                samples = f"samples [{row.first_sample}, {row.last_sample})"
                why = (row.reason, row.loss, row.grad_norm, samples)
                log.info("step %d not taken (%s): loss %.4g, gradient norm %.4g, %s", row.step, *why)
            return
        self._steps, self._seconds = self._steps + 1, self._seconds + row.seconds
        self._samples += row.last_sample - row.first_sample
        self._reading += result.reading_seconds
        for name, part in result.parts.items():
            before = self._parts.get(name, Part(0.0, 0.0))
            self._parts[name] = Part(before.nats + part.nats, before.weight + part.weight)
        if row.step % job.log_every == 0 or row.step == job.steps:
            values = self._values(result)
            for sink in self._sinks:
                sink.write(row.step, values)
            self._forget()

    def _values(self, result: StepResult) -> dict[str, float]:
        """All ranks take part: memory and waiting are those of the rank that has most."""
        row, seconds, device = result.row, max(self._seconds, 1e-9), self._mesh.device
        self._lines += 1
        again = self._lines >= LOOKS_AGAIN and self._lines & (self._lines - 1) == 0  # ever more seldom
        self._memory = max(self._memory, peak_memory(device))
        peak = matmul_peak(device, DTYPES[self._job.precision.dtype], self._job.threads, again=again)
        if device.type == "cuda":  # what was only held to find the peak is not the training's
            torch.cuda.reset_peak_memory_stats(device)
        ranks = gather_rows([self._memory, self._reading, peak], device)
        speed = self._samples * self._job.model.sequence_length / seconds
        return {
            "loss": row.loss,
            "lr": row.lr,
            "grad_norm": row.grad_norm,
            "tokens": row.tokens,
            "tokens_per_second": speed,
            "flops_per_second": speed * self._flops,
            "mfu": speed * self._flops / math.fsum(each[2] for each in ranks),
            "memory_bytes": max(each[0] for each in ranks),
            "reading_share": max(each[1] for each in ranks) / seconds,
            "seconds_left": (self._job.steps - row.step) * seconds / self._steps,
            **{f"loss/{name}": part.nats / part.weight for name, part in self._parts.items() if part.weight},
        }
