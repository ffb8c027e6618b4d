"""Bits per byte of held-out documents on the way, in the layout that trains.

Windows and sums are those of `pretrain.evaluate`, over some documents of each component. Nothing is drawn and no
sample of the training order is read, so that a run goes on as if it had not been looked at.
"""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pretrain.data.batches import Tokens
from pretrain.data.shards import TokenShards
from pretrain.engine.callbacks import StepResult
from pretrain.engine.step import Computer
from pretrain.job import TrainJob
from pretrain.objectives.score import Floats, Integers, Window, bits_per_byte, windows
from pretrain.watch.sinks import Sink


class _Component(NamedTuple):
    """Documents of some shards, by id, and the windows over them; the first of these is window `first` of all."""

    shards: TokenShards
    rows: Integers
    windows: list[Window]
    first: int


class HeldOut:
    """Windows over the documents with the smallest ids of each component, as rows of tokens."""

    def __init__(
        self, shards: Mapping[str, Sequence[str]], documents: int, length: int, stride: float, eod: int, vocabulary: int
    ) -> None:
        self._length, self._eod = length, eod
        self._components: dict[str, _Component] = {}
        self.size = 0  # windows in all
        for name, paths in sorted(shards.items()):
            found = TokenShards(name, paths)
            found.counts(vocabulary)  # refuses tokens beyond the vocabulary
            rows = found.by_id()[:documents]
            component = _Component(found, rows, windows(found.lengths[rows], length, stride), self.size)
            self._components[name] = component
            self.size += len(component.windows)

    def samples(self, first: int, last: int) -> Tokens:
        """Windows [first, last) as int64 [last - first, length + 1]: the token before a window's targets (EOD where a
        document begins), the targets, and EOD to the end. Rows beyond the last window are EOD alone."""
        out = np.full((last - first, self._length + 1), self._eod, np.int64)
        for each in self._components.values():
            for index in range(max(first, each.first), min(last, each.first + len(each.windows))):
                window = each.windows[index - each.first]
                begin = max(window.start - 1, 0)
                tokens = each.shards.tokens(int(each.rows[window.document]), begin, window.stop)
                at = int(window.start == 0)
                out[index - first, at : at + len(tokens)] = tokens
        return out

    def add(self, sums: Floats, first: int, nats: np.ndarray) -> None:
        """Add the nats [rows, length] of windows from `first` on to `sums`, which has a place for each window."""
        for each in self._components.values():
            for index in range(max(first, each.first), min(first + len(nats), each.first + len(each.windows))):
                window = each.windows[index - each.first]
                scored = nats[index - first, window.scored - window.start : window.stop - window.start]
                sums[index] = np.add.reduce(scored.astype(np.float64))

    def scores(self, sums: Floats) -> dict[str, float]:
        """Bits per byte by component from the nats of each window; of `source.language` components also by each."""
        totals: dict[str, tuple[float, int]] = {}
        for name, each in self._components.items():
            nats = float(np.add.reduce(sums[each.first : each.first + len(each.windows)]))
            size = int(each.shards.bytes[each.rows].sum())
            source, dot, language = name.partition(".")
            for label in (name, f"source/{source}", f"language/{language}") if dot else (name,):
                before = totals.get(label, (0.0, 0))
                totals[label] = before[0] + nats, before[1] + size
        found = {name: bits_per_byte(np.array([nats]), np.array([size])) for name, (nats, size) in totals.items()}
        return {f"bits_per_byte/{name}": value for name, value in found.items() if value is not None}


class Evaluation:
    """Scores the held-out documents every `watch.evaluate_every` steps, a global batch of windows at a time."""

    name = "held_out"

    def __init__(self, job: TrainJob, computer: Computer, sinks: Sequence[Sink]) -> None:
        self._every, self._batch = job.watch.evaluate_every, job.train.global_batch
        self._computer, self._sinks = computer, sinks
        shards = job.held_out if self._every else {}
        length = job.model.sequence_length
        self._held_out = HeldOut(shards, job.watch.documents, length, job.stride, job.eod, job.vocabulary)
        self.seconds = 0.0  # that the last one took

    def after_step(self, result: StepResult) -> None:
        """Every rank alike; a run that is asked to stop does so first."""
        step = result.row.step
        if not self._held_out.size or step % self._every or result.row.status != "taken" or result.stop:
            return
        began, sums = time.perf_counter(), np.zeros(self._held_out.size)
        for first in range(0, self._held_out.size, self._batch):
            nats = self._computer.nats(self._held_out, first, first + self._batch)
            self._held_out.add(sums, first, nats)
        self.seconds = time.perf_counter() - began
        scores = self._held_out.scores(sums)
        for sink in self._sinks:
            sink.write(step, scores)
