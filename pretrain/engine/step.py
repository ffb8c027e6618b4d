"""One step: forward and backward over the micro-batches, the figures all ranks agree on, and the update."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from megatron.core import parallel_state
from megatron.core.pipeline_parallel import get_forward_backward_func

from pretrain.config import Layout, Model, Train, padded_vocabulary
from pretrain.data.batches import Batches, context_positions, replica_range
from pretrain.engine.optimizer import Optimizer
from pretrain.models.build import ModelPart
from pretrain.objectives.cross_entropy import token_nats, vocabulary_slice, weighted_nats
from pretrain.parallel.mesh import Mesh, gather_rows

CLIP_EPSILON = 1e-6  # as torch's clip_grad_norm_ and megatron-core's


@dataclass(frozen=True, slots=True)
class Figures:
    """What a step's backward gave, over the global batch: the same bits on every rank."""

    loss: float  # nats per token
    grad_norm: float  # of the mean loss's gradient, before clipping
    weight: float  # sum of the tokens' weights
    stop: int  # the strongest signal that asks to stop, or 0


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

    @property
    def layout(self) -> Layout:
        """How the work is split."""
        return self._mesh.layout

    def _samples(self, batches: Batches, first: int, last: int) -> Iterator[torch.Tensor | None]:
        """Micro-batches [n, length + 1]; nothing is read where no part of the model sees tokens."""
        size = self.layout.micro_batch
        for start in range(first, last, size):
            yield torch.from_numpy(batches.samples(start, start + size)).to(self._mesh.device) if self._reads else None

    def _parts_of(
        self, samples: torch.Tensor | None
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        """Tokens, positions and targets of this rank's part of the sequences."""
        if samples is None:
            return None, None, None
        tokens, targets = samples[:, :-1][:, self._positions], samples[:, 1:][:, self._positions]
        return tokens, self._positions.expand_as(tokens), targets

    def _forward(self, iterator: Iterator[torch.Tensor | None], wrapped: Any) -> tuple[torch.Tensor, Any]:  # noqa: ANN401 - megatron's signature
        tokens, positions, targets = self._parts_of(next(iterator))

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
            figures = torch.stack([(weights * nats).double().sum(), weights.double().sum()])
            return total, weights.sum().int(), figures

        return wrapped(tokens, positions, None), loss

    def backward(self, batches: Batches, first: int, last: int) -> tuple[float, float]:
        """Gradient sums of samples [first, last); returns this rank's (sum of weight x nats, sum of weight)."""
        first, last = replica_range(first, last, self._mesh.dp, self.layout.dp)
        chunks = len(self._wrapped)
        iterators = [self._samples(batches, first, last) for _ in range(chunks)]
        found = get_forward_backward_func()(
            forward_step_func=self._forward,
            data_iterator=iterators if chunks > 1 else iterators[0],
            model=self._wrapped if chunks > 1 else self._wrapped[0],
            num_microbatches=(last - first) // self.layout.micro_batch,
            seq_length=self._model.sequence_length,
            micro_batch_size=self.layout.micro_batch,
            forward_only=False,
        )
        if not found or self._mesh.tp:  # tensor-parallel ranks have the same figures: one of them counts
            return 0.0, 0.0
        nats, weight = torch.stack(found).sum(0).tolist()
        return float(nats), float(weight)

    def nats(self, batches: Batches, first: int, last: int) -> npt.NDArray[np.float32]:
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


def reduce_figures(optimizer: Optimizer, nats: float, weight: float, stop: int, device: torch.device) -> Figures:
    """Every rank's part of the figures, summed in rank order."""
    rows = gather_rows([nats, weight, optimizer.gradient_square(), stop], device)
    total, weights, square = (math.fsum(row[column] for row in rows) for column in range(3))
    loss, norm = (total / weights, math.sqrt(square) / weights) if weights else (math.nan, math.nan)
    return Figures(loss, norm, weights, int(max(row[3] for row in rows)))


def clip_scale(figures: Figures, clip: float) -> float:
    """What gradient sums are multiplied by: to the mean, and down to the largest norm allowed."""
    return min(1.0, clip / (figures.grad_norm + CLIP_EPSILON)) / figures.weight
