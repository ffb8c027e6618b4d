"""Feed-forward layers written out plainly; of experts, every one on every token, weighed by the router's choice."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot, silu, softmax

from pretrain.config.model import Experts, Gated


def gated(x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    return (silu(x @ gate.T) * (x @ up.T)) @ down.T


def experts(x: Tensor, w: dict[str, Tensor], prefix: str, part: Experts) -> tuple[Tensor, Tensor]:
    """Output, and the mean over sequences of the balance loss (arXiv:2101.03961, equation 4)."""
    scores = x @ w[f"{prefix}router.weight"].T
    values, chosen = scores.topk(part.chosen)
    share = (
        softmax(values, -1) if part.score == "softmax" else values.sigmoid() / values.sigmoid().sum(-1, keepdim=True)
    )
    weights = (one_hot(chosen, part.experts) * share[..., None]).sum(-2)
    names = [f"{prefix}experts.{name}.weight" for name in ("gate", "up", "down")]
    outputs = [gated(x, *(w[name][expert] for name in names)) for expert in range(part.experts)]
    out = (torch.stack(outputs, -1) * weights[..., None, :]).sum(-1)
    if part.shared:
        out = out + gated(x, *(w[f"{prefix}shared.{name}.weight"] for name in ("gate", "up", "down")))
    routed = one_hot(chosen, part.experts).sum((1, 2)).float() / (part.chosen * x.size(1))  # share of choices, [b, E]
    loss = part.balance * part.experts * (routed * softmax(scores, -1).mean(1)).sum(-1).mean()
    return out, loss


def feed_forward(x: Tensor, w: dict[str, Tensor], prefix: str, part: Gated | Experts) -> tuple[Tensor, Tensor | float]:
    """Output, and what is added to the loss."""
    if isinstance(part, Experts):
        return experts(x, w, prefix, part)
    return gated(x, *(w[f"{prefix}{name}.weight"] for name in ("gate", "up", "down"))), 0.0
