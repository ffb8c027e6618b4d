"""Initial weights: a function of (seed, name, expert) alone, so that every layout starts from the same bits."""

import functools
import hashlib

import torch

from pretrain.config.blueprint import Constant
from pretrain.models.binding import Box


@functools.lru_cache(maxsize=4)  # a parameter's bands come from up to three weights in turn
def _drawn(name: str, shape: tuple[int, ...], std: float, seed: int, expert: int | None) -> torch.Tensor:
    key = f"siku.weight:{seed}:{name}" if expert is None else f"siku.weight:{seed}:{name}:{expert}"
    digest = hashlib.sha256(key.encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    return torch.randn(shape, generator=generator) * std


def initial(box: Box, seed: int) -> torch.Tensor:
    """The elements of a box before training, fp32 on the CPU."""
    weight, offsets, extent = box.weight, box.offsets, box.extent
    if isinstance(weight.init, Constant):
        return torch.full(extent, weight.init.value)
    if weight.expert is None:
        whole = _drawn(weight.name, weight.shape, weight.init.std, seed, None)
    else:
        offsets, extent = offsets[1:], extent[1:]
        whole = _drawn(weight.name, weight.shape[1:], weight.init.std, seed, box.offsets[0])
    part = whole[tuple(slice(at, at + size) for at, size in zip(offsets, extent, strict=True))]
    return part.reshape(box.extent)
