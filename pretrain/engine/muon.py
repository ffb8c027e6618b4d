"""Muon: a matrix's momentum made orthogonal (Jordan et al., https://kellerjordan.github.io/posts/muon/).

The whole of a matrix is needed, while a rank holds a slice of it under tensor parallelism and a run of its elements
under ZeRO-1. Every rank that holds part of a matrix puts the whole together and makes it orthogonal for itself: one
all-reduce a matrix, and the same bits in every layout.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from megatron.core import parallel_state

from pretrain.config.blueprint import Weight
from pretrain.config.optimizer import Muon
from pretrain.engine.rules import MOMENTUM
from pretrain.engine.units import Unit
from pretrain.models.build import ModelPart
from pretrain.parallel.mesh import Mesh

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # steepest at 0 of those that keep singular values in [0.7, 1.2]
_DTYPES = {"cpu": torch.float32, "cuda": torch.bfloat16}  # bf16 as published; a CPU multiplies fp32 as fast
_SMALLEST_NORM = 1e-7


@dataclass(frozen=True, slots=True)
class Place:
    """Elements of a unit, and where they stand in a matrix."""

    unit: Unit
    part: slice
    index: tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Matrix:
    """A weight, or one expert's, and the parts of it that this rank updates."""

    weight: Weight
    places: tuple[Place, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """[output, input]."""
        rows, columns = self.weight.shape[-2:]
        return rows, columns


def matrices_of(parts: Sequence[ModelPart], units: Sequence[Unit]) -> list[Matrix]:
    """The matrices that this rank holds any of; all ranks of a group list the same in the same order."""
    held: dict[tuple[str, int], tuple[Weight, list[Place]]] = {}
    for each in parts:
        for name, _ in each.module.named_parameters():
            for band in each.bindings[name].bands if each.bindings[name].hidden_matrix else ():
                held.setdefault((band.weight.name, band.expert), (band.weight, []))
    for unit in units:
        for piece, part in unit.pieces():
            box = piece.box
            spans = zip(box.offsets[-2:], box.extent[-2:], strict=True)
            rows, columns = (slice(at, at + size) for at, size in spans)
            held[box.weight.name, box.expert][1].append(Place(unit, part, (rows, columns)))
    return [Matrix(weight, tuple(places)) for weight, places in held.values()]


def orthogonal(matrix: torch.Tensor, iterations: int) -> torch.Tensor:
    """Nearly U V^T of a matrix U S V^T, by a quintic Newton-Schulz iteration; fp32."""
    a, b, c = NEWTON_SCHULZ
    x = matrix.to(_DTYPES[matrix.device.type])
    tall = x.size(0) > x.size(1)
    x = x.T if tall else x
    x = x / x.norm().clamp(min=_SMALLEST_NORM)
    for _ in range(iterations):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if tall else x).float()


def update_scale(scale: str, rows: int, columns: int) -> float:
    """What an orthogonal update is multiplied by, besides the rate."""
    return 0.2 * math.sqrt(max(rows, columns)) if scale == "rms" else math.sqrt(max(1.0, rows / columns))


class MuonRule:
    """Muon over the units that hold layers' matrices."""

    def __init__(self, units: Sequence[Unit], matrices: Sequence[Matrix], config: Muon, mesh: Mesh) -> None:
        self.units, self._matrices, self._config, self._mesh = units, matrices, config, mesh
        self._momentum = {unit: torch.zeros_like(unit.master) for unit in units}

    def state(self, unit: Unit) -> Mapping[str, torch.Tensor]:
        """The momentum."""
        return {MOMENTUM: self._momentum[unit]}

    def set_step(self, step: int) -> None:
        """Steps do not count."""

    @torch.no_grad()
    def apply(self, rate: float) -> None:
        """Momentum by element, then matrix by matrix."""
        config, directions = self._config, {}
        for unit in self.units:
            momentum = self._momentum[unit].lerp_(unit.gradient, 1 - config.momentum)
            directions[unit] = unit.gradient.lerp(momentum, config.momentum) if config.nesterov else momentum
            unit.master.mul_(1 - rate * config.weight_decay)
        for matrix in self._matrices:
            update = orthogonal(self._whole(matrix, directions), config.iterations)
            amount = rate * update_scale(config.scale, *matrix.shape)
            for place in matrix.places:
                place.unit.master[place.part].add_(update[place.index].flatten(), alpha=-amount)

    def _whole(self, matrix: Matrix, directions: Mapping[Unit, torch.Tensor]) -> torch.Tensor:
        whole = torch.zeros(matrix.shape, device=self._mesh.device)
        for place in matrix.places:
            part = whole[place.index]
            part.copy_(directions[place.unit][place.part].view(part.shape))
        weight = matrix.weight
        if weight.split is not None and self._mesh.layout.tp > 1:
            dist.all_reduce(whole, group=parallel_state.get_tensor_model_parallel_group())
        if self._mesh.layout.zero1:
            dist.all_reduce(whole, group=self._mesh.replicas(expert=weight.expert is not None))
        return whole
