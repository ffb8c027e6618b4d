"""Update rules written out plainly, for whole tensors: what `pretrain/engine` must equal in every layout."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from pretrain.config.optimizer import AdamW, Lion, Muon

State = dict[str, Tensor]


def adamw(name: str, w: Tensor, g: Tensor, state: State, step: int, lr: float, config: AdamW | Muon) -> None:
    """arXiv:1711.05101, algorithm 2."""
    a, b = (state.setdefault(kind, torch.zeros_like(w)) for kind in ("exp_avg", "exp_avg_sq"))
    a.mul_(config.beta1).add_(g * (1 - config.beta1))
    b.mul_(config.beta2).add_(g * g * (1 - config.beta2))
    unbiased, root = a / (1 - config.beta1**step), (b / (1 - config.beta2**step)).sqrt()
    w -= lr * (unbiased / (root + config.epsilon) + (config.weight_decay if w.dim() > 1 else 0.0) * w)


def lion(name: str, w: Tensor, g: Tensor, state: State, step: int, lr: float, config: Lion) -> None:
    """arXiv:2302.06675, algorithm 2."""
    m = state.setdefault("momentum", torch.zeros_like(w))
    w -= lr * ((config.beta1 * m + (1 - config.beta1) * g).sign() + (config.weight_decay if w.dim() > 1 else 0.0) * w)
    m.mul_(config.beta2).add_(g * (1 - config.beta2))


def newton_schulz(g: Tensor, iterations: int) -> Tensor:
    """https://kellerjordan.github.io/posts/muon/, in the number format of `g`."""
    x = g / g.norm()
    for _ in range(iterations):
        x = 3.4445 * x + (-4.7750 * (x @ x.T) + 2.0315 * (x @ x.T) @ (x @ x.T)) @ x
    return x


def muon(name: str, w: Tensor, g: Tensor, state: State, step: int, lr: float, config: Muon) -> None:
    """Jordan et al., scaled as asked; an expert's matrix is a matrix."""
    if w.dim() == 1 or not name.startswith("layers."):
        return adamw(name, w, g, state, step, lr * (config.rest_lr / config.lr if config.rest_lr else 1), config)
    m = state.setdefault("momentum", torch.zeros_like(w))
    m.mul_(config.momentum).add_(g * (1 - config.momentum))
    direction = (1 - config.momentum) * g + config.momentum * m if config.nesterov else m
    rows, columns = w.shape[-2:]
    scale = 0.2 * math.sqrt(max(rows, columns)) if config.scale == "rms" else math.sqrt(max(1, rows / columns))
    for each, matrix in zip(
        w.view(-1, rows, columns), direction.reshape(-1, rows, columns), strict=True
    ):  # the sum converges for wide matrices and for tall ones alike
        each -= lr * (scale * newton_schulz(matrix, config.iterations) + config.weight_decay * each)
    return None


RULES: Mapping[str, Callable[..., None]] = {"adamw": adamw, "lion": lion, "muon": muon}
