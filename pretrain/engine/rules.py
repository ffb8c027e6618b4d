"""Rules that update every element by itself: AdamW and Lion."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch

from pretrain.config.optimizer import AdamW, Lion, Muon
from pretrain.engine.units import Unit

MOMENTS = ("exp_avg", "exp_avg_sq")
MOMENTUM = "momentum"


class Rule(Protocol):
    """Some units, their state, and how a gradient changes them."""

    units: Sequence[Unit]

    def state(self, unit: Unit) -> Mapping[str, torch.Tensor]:
        """What it keeps of a unit besides the weights, flat fp32 by kind."""
        ...

    def set_step(self, step: int) -> None:
        """How many steps the state has seen."""
        ...

    def apply(self, rate: float) -> None:
        """Take a step with the units' gradients; `rate` is the schedule's, of the optimizer's peak."""
        ...


class AdamRule:
    """torch's AdamW; also for what Muon leaves to it."""

    def __init__(self, units: Sequence[Unit], config: AdamW | Muon) -> None:
        self.units = units
        self._ratio = config.rest_lr / config.lr if isinstance(config, Muon) and config.rest_lr else 1.0
        for unit in units:
            unit.master.grad = unit.gradient
        groups = [
            {"params": [u.master for u in units if u.binding.decay is decay], "weight_decay": amount}
            for decay, amount in ((True, config.weight_decay), (False, 0.0))
        ]
        self._adam = torch.optim.AdamW(
            [group for group in groups if group["params"]] or [torch.zeros(0)],
            lr=config.lr,
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
            fused=True,
        )
        for unit in units:  # a checkpoint may be read before the first step, which would make them
            state = self._adam.state[unit.master]
            state["step"] = torch.tensor(0.0, device=unit.master.device)
            state.update({kind: torch.zeros_like(unit.master) for kind in MOMENTS})

    def state(self, unit: Unit) -> Mapping[str, torch.Tensor]:
        """Both moments."""
        state = self._adam.state[unit.master]
        return {kind: state[kind] for kind in MOMENTS}

    def set_step(self, step: int) -> None:
        """Its moments begin at 0, which the step corrects."""
        for unit in self.units:
            self._adam.state[unit.master]["step"].fill_(step)

    def apply(self, rate: float) -> None:
        """Both groups, those that decay and those that do not."""
        for group in self._adam.param_groups:
            group["lr"] = rate * self._ratio
        self._adam.step()


class LionRule:
    """Sign of momentum (arXiv:2302.06675, algorithm 2)."""

    def __init__(self, units: Sequence[Unit], config: Lion) -> None:
        self.units, self._config = units, config
        self._momentum = {unit: torch.zeros_like(unit.master) for unit in units}

    def state(self, unit: Unit) -> Mapping[str, torch.Tensor]:
        """The momentum."""
        return {MOMENTUM: self._momentum[unit]}

    def set_step(self, step: int) -> None:
        """Steps do not count."""

    @torch.no_grad()
    def apply(self, rate: float) -> None:
        """Every element moves by the rate, one way or the other."""
        config = self._config
        for unit in self.units:
            momentum, gradient = self._momentum[unit], unit.gradient
            if unit.binding.decay:
                unit.master.mul_(1 - rate * config.weight_decay)
            unit.master.add_(torch.lerp(momentum, gradient, 1 - config.beta1).sign_(), alpha=-rate)
            momentum.lerp_(gradient, 1 - config.beta2)
