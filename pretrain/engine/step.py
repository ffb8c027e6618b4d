"""One step: forward and backward over the micro-batches, the figures all ranks agree on, and the update."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from megatron.core import parallel_state
from megatron.core.pipeline_parallel import get_forward_backward_func

from pretrain.config import Layout, Model, Train, padded_vocabulary
from pretrain.data.batches import Batches, Tokens, context_positions, replica_range
from pretrain.engine.optimizer import Optimizer
from pretrain.models.build import ModelPart
from pretrain.objectives.cross_entropy import token_nats, vocabulary_slice, weighted_nats
from pretrain.parallel.mesh import Mesh, gather_rows

CLIP_EPSILON = 1e-6  # as torch's clip_grad_norm_ and megatron-core's


class Part(NamedTuple):
    """Some of a batch's tokens: sum of weight x nats, and sum of weight."""

    nats: float
    weight: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What a step's backward gave, over the global batch: the same bits on every rank."""

    loss: float  # nats per token
    grad_norm: float  # of the mean loss's gradient, before clipping
    weight: float  # sum of the tokens' weights
    stop: int  # the strongest signal that asks to stop, or 0
    parts: tuple[Part, ...]  # of each of the order's components


class Samples(Protocol):
    """Rows of tokens by index."""

    def samples(self, first: int, last: int) -> Tokens:
        """Rows [first, last), of a sequence and one token."""
        ...


class Computer:
    """The parts of the model on this rank, and how a range of samples goes through them."""

    def __init__(
        self,
        model: Model,
        train: Train,
        vocabulary: int,
        parts: tuple[ModelPart, ...],
        wrapped: list[Any],
        mesh: Mesh,
    ) -> None:
        self._model, self._z_loss = model, train.z_loss
        self._mesh, self._wrapped, self.parts = mesh, wrapped, parts
        group = parallel_state.get_tensor_model_parallel_group()
        rows = padded_vocabulary(model, vocabulary)
        self._vocabulary = vocabulary_slice(vocabulary, rows, mesh.tp, mesh.layout.tp, group)
        self._reads = any(part.has_output for part in parts) or mesh.pp == 0
        positions = context_positions(mesh.cp, mesh.layout.cp, model.sequence_length)
        self._positions = torch.from_numpy(positions).to(mesh.device)
        self.reading_seconds = 0.0  # spent on reading samples so far

    @property
    def layout(self) -> Layout:
        """How the work is split."""
        return self._mesh.layout

    def _samples(self, batches: Samples, first: int, last: int) -> Iterator[torch.Tensor | None]:
        """Micro-batches [n, length + 1]; nothing is read where no part of the model sees tokens."""
        size = self.layout.micro_batch
        for start in range(first, last, size):
            if not self._reads:
                yield None
                continue
            began = time.perf_counter()
            samples = torch.from_numpy(batches.samples(start, start + size)).to(self._mesh.device)
            self.reading_seconds += time.perf_counter() - began
            yield samples

    def _parts_of(
        self, samples: torch.Tensor | None
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        """Tokens, positions and targets of this rank's part of the sequences."""
        if samples is None:
            return None, None, None
        tokens, targets = samples[:, :-1][:, self._positions], samples[:, 1:][:, self._positions]
        return tokens, self._positions.expand_as(tokens), targets

    def _forward(
        self,
        components: int,
        iterator: Iterator[tuple[torch.Tensor | None, torch.Tensor]],
        wrapped: Any,  # noqa: ANN401 - megatron's signature
    ) -> tuple[torch.Tensor, Any]:
        samples, kinds = next(iterator)
        tokens, positions, targets = self._parts_of(samples)

        def loss(hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            if targets is None:
                raise RuntimeError("a stage with the output layer has no targets")
            weights = torch.ones(targets.shape, dtype=torch.float32, device=targets.device)
            total, nats = weighted_nats(
                hidden,
                wrapped.module.output_weight,
                targets,
                weights,
                self._vocabulary,
                self.layout.sequence_parallel,
                self._z_loss,
            )
            each = torch.stack([(weights * nats).double().sum(1), weights.double().sum(1)], 1)
            figures = each.new_zeros(components, 2).index_add_(0, kinds, each)
            return total, weights.sum().int(), figures

        return wrapped(tokens, positions, None), loss

    def backward(self, batches: Batches, first: int, last: int) -> list[Part]:
        """Gradient sums of samples [first, last); returns this rank's part of each of the order's components."""
        first, last = replica_range(first, last, self._mesh.dp, self.layout.dp)
        chunks, order = len(self._wrapped), batches.order
        of = torch.tensor(order.components(first, last), device=self._mesh.device)
        kinds = torch.split(of, self.layout.micro_batch)
        iterators = [zip(self._samples(batches, first, last), kinds, strict=True) for _ in range(chunks)]
        found = get_forward_backward_func()(
            forward_step_func=partial(self._forward, len(order.names)),
            data_iterator=iterators if chunks > 1 else iterators[0],
            model=self._wrapped if chunks > 1 else self._wrapped[0],
            num_microbatches=(last - first) // self.layout.micro_batch,
            seq_length=self._model.sequence_length,
            micro_batch_size=self.layout.micro_batch,
            forward_only=False,
        )
        if not found or self._mesh.tp:  # tensor-parallel ranks have the same figures: one of them counts
            return [Part(0.0, 0.0)] * len(order.names)
        return [Part(*row) for row in torch.stack(found).sum(0).tolist()]

    def nats(self, batches: Samples, first: int, last: int) -> npt.NDArray[np.float32]:
        """Nats [samples, length] of every token of samples [first, last) without dropout: whole on every rank."""
        begin, end = replica_range(first, last, self._mesh.dp, self.layout.dp)
        size = self.layout.micro_batch

        def forward(iterator: Iterator[torch.Tensor | None], wrapped: Any) -> tuple[torch.Tensor, Any]:  # noqa: ANN401 - megatron's signature
            tokens, positions, targets = self._parts_of(next(iterator))

            def score(hidden: torch.Tensor, non_loss_data: bool = True) -> torch.Tensor:
                if targets is None:
                    raise RuntimeError("a stage with the output layer has no targets")
                weight = wrapped.module.output_weight
                return token_nats(hidden, weight, targets, self._vocabulary, self.layout.sequence_parallel)

            return wrapped(tokens, positions, None), score

        chunks = len(self._wrapped)
        iterators = [self._samples(batches, begin, end) for _ in range(chunks)]
        for each in self._wrapped:
            each.eval()
        with torch.no_grad():
            found = get_forward_backward_func()(
                forward_step_func=forward,
                data_iterator=iterators if chunks > 1 else iterators[0],
                model=self._wrapped if chunks > 1 else self._wrapped[0],
                num_microbatches=(end - begin) // size,
                seq_length=self._model.sequence_length,
                micro_batch_size=size,
                forward_only=True,
                collect_non_loss_data=True,
            )
        for each in self._wrapped:
            each.train()
        whole = torch.zeros(last - first, self._model.sequence_length, device=self._mesh.device)
        if found and not self._mesh.tp:
            whole[begin - first : end - first, self._positions] = torch.cat(found)
        dist.all_reduce(whole)
        out: npt.NDArray[np.float32] = whole.cpu().numpy()
        return out


def reduce_figures(optimizer: Optimizer, own: Sequence[Part], stop: int, device: torch.device) -> Figures:
    """Every rank's part of the figures, summed in rank order."""
    rows = gather_rows([optimizer.gradient_square(), stop, *(value for part in own for value in part)], device)
    sums = [math.fsum(column) for column in zip(*rows, strict=True)]
    parts = tuple(Part(*pair) for pair in zip(sums[2::2], sums[3::2], strict=True))
    total, weight = math.fsum(part.nats for part in parts), math.fsum(part.weight for part in parts)
    loss, norm = (total / weight, math.sqrt(sums[0]) / weight) if weight else (math.nan, math.nan)
    return Figures(loss, norm, weight, int(max(row[1] for row in rows)), parts)


def clip_scale(figures: Figures, clip: float) -> float:
    """What gradient sums are multiplied by: to the mean, and down to the largest norm allowed."""
    return min(1.0, clip / (figures.grad_norm + CLIP_EPSILON)) / figures.weight
