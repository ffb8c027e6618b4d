"""AdamW over megatron's gradient buffers, and its state by global name."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from megatron.core import parallel_state
from megatron.core.distributed import (
    DistributedDataParallel,
    DistributedDataParallelConfig,
    finalize_model_grads,
)
from megatron.core.optimizer import OptimizerConfig, get_megatron_optimizer
from megatron.core.transformer.module import Float16Module

from pretrain.config import Layout, Model, Precision, Train
from pretrain.distributed import Place
from pretrain.model import DTYPES, Built
from pretrain.names import Binding, Piece, join, shard, split

KINDS = ("weight", "exp_avg", "exp_avg_sq")
Source = Callable[[Piece, str], torch.Tensor]  # (global tensor, kind) -> its fp32 values on the CPU


@dataclass(frozen=True, slots=True)
class Trained:
    """The wrapped model and its optimizer."""

    wrapped: Any  # DistributedDataParallel
    optimizer: Any  # MegatronOptimizer
    built: Built
    model: Model
    place: Place


@dataclass(frozen=True, slots=True)
class _Live:
    """A parameter's live fp32 tensors, flat, and the part [start, stop) of the parameter that they cover."""

    tensors: Mapping[str, torch.Tensor]
    start: int
    stop: int


def wrap(built: Built, model: Model, train: Train, precision: Precision, layout: Layout, place: Place) -> Trained:
    """Gradient buffers and optimizer around a model whose weights are set."""
    bf16 = precision.dtype == "bf16"
    module = Float16Module(built.config, built.module) if bf16 else built.module
    wrapped = DistributedDataParallel(
        built.config,
        DistributedDataParallelConfig(grad_reduce_in_fp32=True, use_distributed_optimizer=layout.zero1),
        module,
    )
    adam = train.optimizer
    optimizer = get_megatron_optimizer(
        OptimizerConfig(
            optimizer="adam",
            lr=adam.lr,
            weight_decay=adam.weight_decay,
            adam_beta1=adam.beta1,
            adam_beta2=adam.beta2,
            adam_eps=adam.epsilon,
            clip_grad=adam.clip,
            bf16=bf16,
            params_dtype=DTYPES[precision.dtype],
            use_distributed_optimizer=layout.zero1,
        ),
        [wrapped],
        use_gloo_process_groups=False,
    )
    for group in optimizer.param_groups:  # upstream leaves the multiplier to its own scheduler
        group["weight_decay"] = adam.weight_decay * group["wd_mult"]
    built.config.finalize_model_grads_func = finalize_model_grads
    built.config.grad_scale_func = optimizer.scale_loss
    built.config.no_sync_func = wrapped.no_sync
    trained = Trained(wrapped, optimizer, built, model, place)
    _prime(trained)
    return trained


def _inner(trained: Trained) -> Any:  # noqa: ANN401 - the one dense MegatronOptimizer of the chain
    (found,) = trained.optimizer.chained_optimizers
    return found


def set_rate(trained: Trained, rate: float) -> None:
    """The learning rate of the next step."""
    for group in trained.optimizer.param_groups:
        group["lr"] = rate * group["lr_mult"]


def _prime(trained: Trained) -> None:
    # Adam makes its state in the first step; a checkpoint may be read before that.
    adam = _inner(trained).optimizer
    for group in adam.param_groups:
        for parameter in group["params"]:
            state = adam.state[parameter]
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
            if isinstance(adam, torch.optim.AdamW):
                state["step"] = torch.tensor(0.0)


def set_step(trained: Trained, step: int) -> None:
    """Adam's own count of steps: torch keeps it beside the moments, fused Adam in its groups."""
    adam = _inner(trained).optimizer
    for group in adam.param_groups:
        if not isinstance(adam, torch.optim.AdamW):
            group["step"] = step
            continue
        for parameter in group["params"]:
            adam.state[parameter]["step"] = torch.tensor(float(step))


def _live(trained: Trained, parameter: torch.nn.Parameter) -> _Live | None:
    """The live state of a parameter; None where another replica holds all of it (ZeRO-1)."""
    inner = _inner(trained)
    start, stop = 0, parameter.numel()
    if trained.place.layout.zero1:
        if parameter not in inner.model_param_gbuf_map:
            return None
        group, index = inner.model_param_group_index_map[parameter]
        owned = inner._get_model_param_range_map(parameter)["param"]
        main, start, stop = inner.optimizer.param_groups[group]["params"][index], owned.start, owned.end
    else:
        main = getattr(parameter, "main_param", parameter)
    state = inner.optimizer.state[main]
    tensors = {"weight": main.data, "exp_avg": state["exp_avg"], "exp_avg_sq": state["exp_avg_sq"]}
    return _Live({kind: tensor.view(-1) for kind, tensor in tensors.items()}, start, stop)


def _slices(binding: Binding, kind: str, source: Source, trained: Trained) -> torch.Tensor:
    place = trained.place
    parts = [shard(source(piece, kind), piece, place.tp, place.layout.tp) for piece in binding.pieces]
    return join(parts, binding, trained.model)


def set_weights(built: Built, model: Model, place: Place, source: Callable[[Piece], torch.Tensor]) -> None:
    """Set this rank's slices of the weights from global tensors, each taken whole, then cut."""
    with torch.no_grad():
        for name, parameter in built.module.named_parameters():
            binding = built.bindings[name]
            parts = [shard(source(piece), piece, place.tp, place.layout.tp) for piece in binding.pieces]
            parameter.copy_(join(parts, binding, model))


def _parameters(trained: Trained) -> Iterator[tuple[torch.nn.Parameter, Binding]]:
    for name, parameter in trained.built.module.named_parameters():
        yield parameter, trained.built.bindings[name]


@torch.no_grad()
def load(trained: Trained, source: Source) -> None:
    """Set weights and moments from global tensors, whatever layout wrote them."""
    for parameter, binding in _parameters(trained):
        live = _live(trained, parameter)
        for kind in KINDS:
            local = _slices(binding, kind, source, trained)
            if kind == "weight":
                parameter.copy_(local)
            if live is not None:
                live.tensors[kind].copy_(local.reshape(-1)[live.start : live.stop])


def _whole(trained: Trained, parameter: torch.nn.Parameter, kind: str) -> torch.Tensor:
    """A parameter's local fp32 state, put together from the replicas where ZeRO-1 splits it."""
    live = _live(trained, parameter)
    if live is not None and live.stop - live.start == parameter.numel() and not trained.place.layout.zero1:
        return live.tensors[kind].view(parameter.shape)
    # Each element has one owner: a sum of bit patterns with zeros elsewhere is exact, also for -0.0.
    bits = torch.zeros(parameter.numel(), dtype=torch.int32, device=parameter.device)
    if live is not None:
        bits[live.start : live.stop] = live.tensors[kind].view(torch.int32)
    dist.all_reduce(bits, group=parallel_state.get_data_parallel_group())
    return bits.view(torch.float32).view(parameter.shape)


@torch.no_grad()
def gather(trained: Trained) -> Iterator[tuple[Piece, str, torch.Tensor]]:
    """Every global tensor this pipeline stage owns, one at a time: (piece, kind, whole fp32 tensor on the CPU).

    Collective: all ranks of the stage must walk it; one tensor is whole in memory at a time.
    """
    place, group = trained.place, parallel_state.get_tensor_model_parallel_group()
    for parameter, binding in _parameters(trained):
        for kind in KINDS:
            local = _whole(trained, parameter, kind)
            if not binding.owned:
                continue
            for piece, part in zip(binding.pieces, split(local, binding, trained.model), strict=True):
                if piece.axis is None or place.layout.tp == 1:
                    yield piece, kind, part.contiguous().cpu()
                    continue
                parts = [torch.empty_like(part.contiguous()) for _ in range(place.layout.tp)]
                dist.all_gather(parts, part.contiguous(), group=group)
                yield piece, kind, torch.cat(parts, dim=piece.axis).cpu()
