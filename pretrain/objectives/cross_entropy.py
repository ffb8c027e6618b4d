"""Cross entropy straight from hidden states: the logits of a few tokens at a time, of the tokenizer's rows alone.

The output layer, the softmax and both their gradients are one function, so that logits are never held for a whole
micro-batch and never copied. Under tensor parallelism each rank has a slice of the vocabulary.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from megatron.core import tensor_parallel
from torch.autograd.function import once_differentiable

_LOGITS_AT_ONCE = {"cpu": 2**21, "cuda": 2**27}  # elements in fp32: what fits a CPU's cache, what keeps a GPU busy


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """This rank's slice [first, first + real) of the tokenizer's rows; the rows of padding take no part."""

    first: int
    real: int
    group: dist.ProcessGroup | None  # the tensor-parallel ranks, None where there is but one


def vocabulary_slice(size: int, rows: int, rank: int, ranks: int, group: dist.ProcessGroup | None) -> Vocabulary:
    """The slice of tensor-parallel `rank`, for a tokenizer of `size` and an embedding of `rows`."""
    each = rows // ranks
    return Vocabulary(rank * each, min(max(size - rank * each, 0), each), group if ranks > 1 else None)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Some tokens: nats [n], the logarithm of the partition function [n], exp of the logits less `log_z` [n, real]."""

    nats: torch.Tensor
    log_z: torch.Tensor
    probabilities: torch.Tensor
    columns: torch.Tensor  # of the targets in this slice, [n, 1]
    here: torch.Tensor  # whether the target is in this slice, [n]


def _chunk(logits: torch.Tensor, targets: torch.Tensor, vocabulary: Vocabulary) -> _Chunk:
    """`logits` [n, real], fp32, are written to."""
    local = targets - vocabulary.first
    here = (local >= 0) & (local < vocabulary.real)
    columns = local.clamp(0, max(vocabulary.real - 1, 0))[:, None]
    if vocabulary.real:
        highest, target = logits.amax(-1), logits.gather(1, columns)[:, 0].masked_fill(~here, 0.0)
    else:  # a rank that has nothing but padding
        highest, target = torch.full_like(targets, float("-inf"), dtype=logits.dtype), torch.zeros_like(logits.sum(-1))
    if vocabulary.group is not None:
        dist.all_reduce(highest, dist.ReduceOp.MAX, vocabulary.group)
    sums = torch.stack([logits.sub_(highest[:, None]).exp_().sum(-1), target])
    if vocabulary.group is not None:
        dist.all_reduce(sums, group=vocabulary.group)
    log_z = sums[0].log() + highest
    return _Chunk(log_z - sums[1], log_z, logits.div_(sums[0][:, None]), columns, here)


def _chunks(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, vocabulary: Vocabulary
) -> Iterator[tuple[slice, _Chunk]]:
    rows = max(1, _LOGITS_AT_ONCE[hidden.device.type] // max(vocabulary.real, 1))
    for first in range(0, hidden.size(0), rows):
        part = slice(first, first + rows)
        logits = (hidden[part] @ weight[: vocabulary.real].T).float()
        yield part, _chunk(logits, targets[part], vocabulary)


class _WeightedNats(torch.autograd.Function):
    """Sum of weight x (nats + z x log_z^2) over tokens, and each token's nats, which have no gradient."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - autograd's own
        hidden: torch.Tensor,
        weight: torch.Tensor,
        targets: torch.Tensor,
        token_weights: torch.Tensor,
        vocabulary: Vocabulary,
        z: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        real = vocabulary.real
        nats = torch.empty_like(token_weights)
        total = torch.zeros((), dtype=torch.float64, device=hidden.device)
        hidden_gradient = torch.empty_like(hidden)
        weight_gradient = torch.zeros_like(weight, dtype=torch.float32)
        for part, found in _chunks(hidden, weight, targets, vocabulary):
            nats[part], each = found.nats, token_weights[part]
            total += (each * (found.nats + z * found.log_z**2)).double().sum()
            gradient = found.probabilities.mul_((each * (1 + 2 * z * found.log_z))[:, None])
            if real:
                gradient.scatter_add_(1, found.columns, -(each * found.here)[:, None])
            cast = gradient.to(weight.dtype)
            torch.mm(cast, weight[:real], out=hidden_gradient[part])
            weight_gradient[:real] += cast.T @ hidden[part]
        ctx.save_for_backward(hidden_gradient, weight_gradient.to(weight.dtype))
        ctx.mark_non_differentiable(nats)
        return total.float(), nats

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # noqa: ANN401 - autograd's own
        hidden_gradient, weight_gradient = ctx.saved_tensors
        return hidden_gradient.mul_(gradients[0]), weight_gradient.mul_(gradients[0]), None, None, None, None


def _gathered(hidden: torch.Tensor, vocabulary: Vocabulary, sequence_parallel: bool) -> torch.Tensor:
    """[s, b, h] as every tensor-parallel rank needs it, flat: [s x b, h]; its gradient is summed over the ranks."""
    if vocabulary.group is not None:
        copy = tensor_parallel.copy_to_tensor_model_parallel_region
        gather = tensor_parallel.gather_from_sequence_parallel_region
        hidden = gather(hidden) if sequence_parallel else copy(hidden)
    return hidden.flatten(0, 1)


def weighted_nats(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    token_weights: torch.Tensor,
    vocabulary: Vocabulary,
    sequence_parallel: bool,
    z: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum over tokens of weight x nats, and the nats [b, s], from hidden states [s, b, h] and targets [b, s]."""
    flat = _gathered(hidden, vocabulary, sequence_parallel)
    total, nats = _WeightedNats.apply(  # type: ignore[no-untyped-call]
        flat, weight, targets.T.flatten(), token_weights.T.flatten(), vocabulary, z
    )
    return total, nats.view(targets.T.shape).T


@torch.no_grad()
def token_nats(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, vocabulary: Vocabulary, sequence_parallel: bool
) -> torch.Tensor:
    """Nats of each token [b, s], fp32, without gradients."""
    flat, order = _gathered(hidden, vocabulary, sequence_parallel), targets.T.flatten()
    nats = torch.empty(len(order), dtype=torch.float32, device=hidden.device)
    for part, found in _chunks(flat, weight, order, vocabulary):
        nats[part] = found.nats
    return nats.view(targets.T.shape).T
