"""Weights in fp32 and their moments: norm, update and checkpoints all walk the units."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from pretrain.config import Train
from pretrain.config.optimizer import AdamW, Lion
from pretrain.engine.muon import MuonRule, matrices_of
from pretrain.engine.rules import AdamRule, LionRule, Rule
from pretrain.engine.units import Unit, units_of
from pretrain.models.build import ModelPart
from pretrain.parallel.mesh import Mesh

WEIGHT = "weight"


def _rules(train: Train, units: Sequence[Unit], parts: Sequence[ModelPart], mesh: Mesh) -> list[Rule]:
    config = train.optimizer
    if isinstance(config, AdamW):
        return [AdamRule(units, config)]
    if isinstance(config, Lion):
        return [LionRule(units, config)]
    inner = [unit for unit in units if unit.binding.hidden_matrix]
    rest = [unit for unit in units if not unit.binding.hidden_matrix]
    return [MuonRule(inner, matrices_of(parts, inner), config, mesh), AdamRule(rest, config)]


class Optimizer:
    """The rules of a run over the units of this rank."""

    def __init__(self, parts: Sequence[ModelPart], wrapped: Sequence[Any], train: Train, mesh: Mesh) -> None:
        self._wrapped, self._zero1, self._overlap = wrapped, mesh.layout.zero1, mesh.layout.overlap
        self.units = [unit for part, each in zip(parts, wrapped, strict=True) for unit in units_of(part, each, mesh)]
        self._rules = _rules(train, self.units, parts, mesh)
        self._rule = {unit: rule for rule in self._rules for unit in rule.units}

    def tensors(self, unit: Unit) -> Mapping[str, torch.Tensor]:
        """What is stored of a unit, flat fp32 by kind."""
        return {WEIGHT: unit.master, **self._rule[unit].state(unit)}

    def set_step(self, step: int) -> None:
        """How many steps the moments have seen."""
        for rule in self._rules:
            rule.set_step(step)

    def zero_gradients(self) -> None:
        """Before a step's first backward."""
        for each in self._wrapped:
            each.zero_grad_buffer()

    def gradient_square(self) -> float:
        """Sum of squares of the gradient sums that this rank counts; each element of the model counts on one rank."""
        squares = [unit.gradient.square().sum(dtype=torch.float64) for unit in self.units if unit.mine]
        return float(torch.stack(squares).sum()) if squares else 0.0

    @torch.no_grad()
    def apply(self, rate: float, scale: float) -> None:
        """Update with the gradient sums times `scale` at the given rate."""
        torch._foreach_mul_([unit.gradient for unit in self.units], scale)
        for rule in self._rules:
            rule.apply(rate)
        self.publish()

    @torch.no_grad()
    def publish(self) -> None:
        """Masters into the model, on every replica."""
        for unit in self.units:
            if unit.master is not unit.model:
                unit.model.copy_(unit.master)
        if self._zero1 and not self._overlap:  # with overlap the next forward gathers, layer by layer
            for each in self._wrapped:
                each.start_param_sync()
