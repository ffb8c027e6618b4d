"""Weights in fp32 over megatron-core's gradient buffers.

A unit is a run of one parameter's elements that this rank updates: all of it, or under ZeRO-1 the part that lies in
the rank's share of the buffer. Norm, update and checkpoints all walk the units.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from megatron.core.distributed import DistributedDataParallel, DistributedDataParallelConfig, finalize_model_grads

from pretrain.models.binding import Binding, Piece, cut
from pretrain.models.build import ModelPart
from pretrain.parallel.mesh import Mesh


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """Elements [start, stop) of a parameter: what is stored of them, flat, and the gradient, a sum over tokens."""

    binding: Binding
    start: int
    stop: int
    master: torch.Tensor  # fp32; the model's own memory where it is fp32 too
    model: torch.Tensor
    gradient: torch.Tensor
    mine: bool  # of all ranks that have these elements, this one counts and stores them

    def pieces(self) -> Iterator[tuple[Piece, slice]]:
        """The boxes of global weights that it is made of, and where each lies in the flat tensors."""
        for piece in cut(self.binding.bands, self.start, self.stop):
            at = piece.at - self.start
            yield piece, slice(at, at + piece.box.size)


def wrap(parts: Sequence[ModelPart], mesh: Mesh) -> list[Any]:
    """Gradient buffers around the parts; a gradient stays the sum over tokens that the parts computed."""
    layout = mesh.layout
    settings = DistributedDataParallelConfig(
        grad_reduce_in_fp32=True,
        use_distributed_optimizer=layout.zero1,
        overlap_grad_reduce=layout.overlap,
        overlap_param_gather=layout.overlap and layout.zero1,
    )
    wrapped = [
        DistributedDataParallel(part.config, settings, part.module, disable_bucketing=number > 0)
        for number, part in enumerate(parts)
    ]
    for part in parts:
        config = part.config
        config.finalize_model_grads_func = lambda models, _tokens=None, **named: finalize_model_grads(models, **named)
        config.no_sync_func = [each.no_sync for each in wrapped] if len(wrapped) > 1 else wrapped[0].no_sync
    return wrapped


def units_of(part: ModelPart, wrapped: Any, mesh: Mesh) -> Iterator[Unit]:  # noqa: ANN401 - a DistributedDataParallel
    """The units of a part."""
    zero1 = mesh.layout.zero1
    places = {  # the buffer pads between parameters, which a bucket's own index leaves out
        parameter: (buffer.buckets[number], begin - buffer.buckets[number].offset)
        for buffer in (*wrapped.buffers, *wrapped.expert_parallel_buffers)
        for parameter, (begin, _, number) in buffer.param_index_map.items()
    }
    for number, (name, parameter) in enumerate(part.module.named_parameters()):
        binding, (bucket, begin) = part.bindings[name], places[parameter]
        end = begin + parameter.numel()
        group = mesh.replicas(expert=binding.expert)
        rank, ranks = dist.get_rank(group), dist.get_world_size(group)
        share = bucket.grad_data.numel() // ranks
        low, high = (max(begin, rank * share), min(end, (rank + 1) * share)) if zero1 else (begin, end)
        if low >= high:
            continue
        start, stop = low - begin, high - begin
        model = parameter.data.view(-1)[start:stop].detach()
        one_of_many = binding.copy or (binding.whole and mesh.tp > 0)
        yield Unit(
            binding=binding,
            start=start,
            stop=stop,
            master=model if model.dtype == torch.float32 else model.float(),
            model=model,
            gradient=bucket.grad_data[low:high],
            mine=not one_of_many and (zero1 or number % ranks == rank),  # replicas take turns, so that all have work
        )
