"""The model and the training loop written out plainly: what the trainer must equal. torch alone.

LLaMA (arXiv:2302.13971) with grouped queries (arXiv:2305.13245), AdamW (arXiv:1711.05101) that decays matrices only,
clipping by the global norm (arXiv:1211.5063). Weights go by Siku's global names; linear weights are [output, input].
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softmax

from pretrain.config import Model, Train
from tests.pretrain.reference_experts import feed_forward
from tests.pretrain.reference_rules import RULES, State


def normed(x: Tensor, gain: Tensor, epsilon: float) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + epsilon).sqrt() * gain


def rotated(x: Tensor, base: float) -> Tensor:
    """RoPE (arXiv:2104.09864) on [batch, sequence, heads, width], first half paired with the second."""
    half = x.size(-1) // 2
    angle = torch.arange(x.size(1))[:, None, None] * base ** (-torch.arange(half) / half)
    one, other = x[..., :half], x[..., half:]
    return torch.cat([one * angle.cos() - other * angle.sin(), other * angle.cos() + one * angle.sin()], -1)


def logits(w: dict[str, Tensor], m: Model, tokens: Tensor) -> tuple[Tensor, Tensor | float]:
    x, extra, width = w["embedding.weight"][tokens], 0.0, m.hidden // m.attention.heads
    future = torch.ones(tokens.size(1), tokens.size(1)).triu(1).bool()
    for index, layer in ((index, f"layers.{index}.") for index in range(m.layers)):
        n = normed(x, w[layer + "attention_norm.weight"], m.norm.epsilon)
        qkv = (n @ w[f"{layer}attention.{name}.weight"].T for name in ("query", "key", "value"))
        q, k, v = (part.unflatten(-1, (-1, width)) for part in qkv)
        q, k = rotated(q, m.position.base), rotated(k, m.position.base)
        k, v = (part.repeat_interleave(m.attention.heads // m.attention.groups, 2) for part in (k, v))
        scores = torch.einsum("bqhw,bkhw->bhqk", q, k) / math.sqrt(width)
        read = torch.einsum("bhqk,bkhw->bqhw", softmax(scores.masked_fill(future, -math.inf), -1), v)
        x = x + read.flatten(2) @ w[layer + "attention.output.weight"].T
        n = normed(x, w[layer + "ffn_norm.weight"], m.norm.epsilon)
        out, balance = feed_forward(n, w, layer + "ffn.", m.feed_forward_of(index))
        x, extra = x + out, extra + balance
    n = normed(x, w["final_norm.weight"], m.norm.epsilon)
    return n @ w.get("output.weight", w["embedding.weight"]).T, extra


class Trained(NamedTuple):
    """Weights and the optimizer's state by name after some steps, and each step's (loss, gradient norm)."""

    weights: dict[str, Tensor]
    state: dict[str, State]
    steps: list[tuple[float, float]]


def train(
    initial: dict[str, Tensor], m: Model, t: Train, batches: Iterator[Tensor], real: int, rate: Callable[[int], float]
) -> Trained:
    """A step for each batch [samples, length + 1]; `rate` maps tokens seen to the learning rate, `real` is V."""
    done, seen = Trained({n: w.clone().requires_grad_() for n, w in initial.items()}, {n: {} for n in initial}, []), 0
    for step, batch in enumerate(batches, start=1):
        found, balance = logits(done.weights, m, batch[:, :-1])
        loss = cross_entropy(found[..., :real].flatten(0, 1), batch[:, 1:].flatten())
        z = t.z_loss * found[..., :real].logsumexp(-1).square().mean()
        whole = loss + balance + z
        gradients = dict(zip(done.weights, torch.autograd.grad(whole, list(done.weights.values())), strict=True))
        norm = math.sqrt(sum(g.double().square().sum().item() for g in gradients.values()))
        done.steps.append((loss.item(), norm))
        seen += batch[:, 1:].numel()
        for name, w in done.weights.items():
            gradient = gradients[name] * min(1.0, t.optimizer.clip / (norm + 1e-6))
            RULES[t.optimizer.kind](name, w.data, gradient, done.state[name], step, rate(seen), t.optimizer)
    return done
