"""What megatron-core assumes of a machine, and what is adapted where a machine is otherwise.

The only module that changes megatron-core or torch, and only trainer processes load it. Every adaptation has one
cause and is applied for that cause alone: with CUDA, NCCL and Transformer Engine none is. Each names the upstream
symbol it stands in for and the text it relies on there, and refuses to start when upstream has changed.
"""

import contextlib
import functools
import importlib
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

Cause = Literal["no CUDA device", "gloo", "no Transformer Engine"]
NVIDIA_DEVICES = (Path("/dev/nvidia0"), Path("/dev/nvidiactl"), Path("/proc/driver/nvidia/version"))


class PlatformError(RuntimeError):
    """The machine is not what the layout asks for, or megatron-core is not what an adaptation was made for."""


@dataclass(frozen=True, slots=True)
class Platform:
    """The machine as the trainer sees it."""

    device: Literal["cpu", "cuda"]
    backend: Literal["gloo", "nccl"]
    transformer_engine: bool

    def torch_device(self, local_rank: int) -> torch.device:
        """The device of a rank."""
        return torch.device("cpu") if self.device == "cpu" else torch.device("cuda", local_rank)


def detect(device: Literal["auto", "cpu", "cuda"]) -> Platform:
    """The platform for `layout.device`; an NVIDIA device that cannot be used is an error, never a CPU run."""
    usable = torch.cuda.is_available()
    present = [str(path) for path in NVIDIA_DEVICES if path.exists()]
    if device == "cuda" and not usable:
        raise PlatformError("layout.device=cuda, but torch sees no usable CUDA device: install a CUDA build of torch")
    if device == "auto" and present and not usable:
        raise PlatformError(
            f"layout.device=auto: an NVIDIA device is present ({present[0]}), but torch {torch.__version__} cannot use "
            "it: install a CUDA build of torch that fits the driver, or set layout.device=cpu"
        )
    if device == "cpu" or not usable:
        return Platform(device="cpu", backend="gloo", transformer_engine=False)
    engine = importlib.util.find_spec("transformer_engine") is not None
    return Platform(device="cuda", backend="nccl", transformer_engine=engine)


@dataclass(frozen=True, slots=True)
class Adaptation:
    """One departure from upstream; `relies_on` must occur in the source of `symbol`, else it is refused."""

    name: str
    symbol: str
    relies_on: str
    cause: Cause
    tested: tuple[str, ...]
    apply: Callable[[], None]
    early: bool = False  # before megatron.core is imported


def _resolve(symbol: str) -> Any:  # noqa: ANN401 - a module, class or function
    module, _, attribute = symbol.partition(":")
    found: Any = importlib.import_module(module)
    return functools.reduce(getattr, attribute.split("."), found) if attribute else found


class _Stream:
    """A stream or event of a device that computes in program order: nothing to wait for."""

    def __init__(self, *_: object, device: object = None) -> None: ...
    def wait_stream(self, stream: object) -> None: ...
    def wait_event(self, event: object) -> None: ...
    def record_event(self, event: object = None) -> "_Stream":
        return self

    def synchronize(self) -> None: ...


def _device_queries() -> None:
    cpu, stream = torch.device("cpu"), _Stream()
    cuda: Any = torch.cuda
    cuda.current_device = lambda: cpu
    cuda.synchronize = lambda device=None: None
    cuda.empty_cache = lambda: None
    cuda.Stream = _Stream
    cuda.stream = lambda _: contextlib.nullcontext()
    cuda.current_stream = cuda.default_stream = lambda device=None: stream


def _device_literals() -> None:
    original = torch.zeros

    @functools.wraps(original)
    def zeros(*args: Any, **kwargs: Any) -> torch.Tensor:  # noqa: ANN401 - torch's own signature
        if kwargs.get("device") == "cuda":
            kwargs["device"] = "cpu"
        return original(*args, **kwargs)

    torch.zeros = zeros
    torch.Tensor.cuda = lambda self, *_, **__: self  # type: ignore[method-assign]


def _pinned_memory() -> None:
    original = torch.tensor

    @functools.wraps(original)
    def tensor(*args: Any, **kwargs: Any) -> torch.Tensor:  # noqa: ANN401 - torch's own signature
        kwargs.pop("pin_memory", None)
        return original(*args, **kwargs)

    torch.tensor = tensor


def _random_state() -> None:
    cuda: Any = torch.cuda
    random: Any = importlib.import_module("megatron.core.tensor_parallel.random")

    def get(device: object = "cuda", clone: bool = False, graph_safe: bool = False) -> torch.Tensor:
        return torch.get_rng_state()

    def put(state: torch.Tensor, device: object = -1, graph_safe: bool = False) -> None:
        torch.set_rng_state(state)

    def seed(value: int) -> None:
        torch.default_generator.manual_seed(value)

    cuda.get_rng_state = cuda.random.get_rng_state = random._get_cuda_rng_state = get
    cuda.set_rng_state = cuda.random.set_rng_state = random._set_cuda_rng_state = put
    cuda.manual_seed = seed
    # The tracker warns when the CPU's state moves while it forks: here it is the state that is forked.
    logging.getLogger(random.__name__).addFilter(lambda record: "CPU RNG state changed" not in record.getMessage())


def _no_compile() -> None:
    """Without this, fused element-wise functions would start a C++ compiler in every process."""
    torch.compile = lambda model=None, **_: model if model is not None else (lambda inner: inner)  # type: ignore[assignment]


def _pipeline_sends() -> None:
    """gloo matches messages by tag and order, and sends after isend returned: a tag per direction, cloned sends."""
    p2p: Any = importlib.import_module("megatron.core.pipeline_parallel.p2p_communication")
    dist = torch.distributed

    def operations(
        *,
        tensor_send_prev: torch.Tensor | None,
        tensor_recv_prev: torch.Tensor | None,
        tensor_send_next: torch.Tensor | None,
        tensor_recv_next: torch.Tensor | None,
        group: dist.ProcessGroup,
        prev_pipeline_rank: int,
        next_pipeline_rank: int,
    ) -> dict[str, dist.Work]:
        found: dict[str, dist.Work | None] = {}
        if tensor_recv_prev is not None:
            found["recv_prev"] = dist.irecv(tensor_recv_prev, prev_pipeline_rank, group, tag=1)
        if tensor_recv_next is not None:
            found["recv_next"] = dist.irecv(tensor_recv_next, next_pipeline_rank, group, tag=2)
        if tensor_send_next is not None:
            found["send_next"] = dist.isend(tensor_send_next.detach().clone(), next_pipeline_rank, group, tag=1)
        if tensor_send_prev is not None:
            found["send_prev"] = dist.isend(tensor_send_prev.detach().clone(), prev_pipeline_rank, group, tag=2)
        return {name: work for name, work in found.items() if work is not None}

    p2p._p2p_ops = operations
    p2p._batched_p2p_ops = lambda **arguments: list(operations(**arguments).values())


def _expert_splits() -> None:
    """The sizes of what goes to each expert are made plain numbers for a tensor on a GPU alone."""
    dispatcher: Any = importlib.import_module("megatron.core.transformer.moe.token_dispatcher")
    original = dispatcher.maybe_move_tensor_to_cpu

    def moved(tensor: Any, as_numpy: bool = False, record_stream: bool = False) -> Any:  # noqa: ANN401 - tensor or numpy
        if as_numpy and isinstance(tensor, torch.Tensor):
            return tensor.numpy()
        return original(tensor, as_numpy, record_stream)

    dispatcher.maybe_move_tensor_to_cpu = moved


def _router_product() -> None:
    """Without Transformer Engine the name is never bound, though None is asked for."""
    utils: Any = importlib.import_module("megatron.core.transformer.moe.moe_utils")
    utils.te_general_gemm = None


_TESTED = ("megatron-core 0.16.1",)
ADAPTATIONS: tuple[Adaptation, ...] = (
    Adaptation(
        name="no compilation at import",
        symbol="torch:compile",
        relies_on="def compile(",
        cause="no CUDA device",
        tested=_TESTED,
        apply=_no_compile,
        early=True,
    ),
    Adaptation(
        name="device queries and streams",
        symbol="megatron.core.distributed.distributed_data_parallel",
        relies_on="torch.cuda.Stream(device=torch.cuda.current_device())",
        cause="no CUDA device",
        tested=_TESTED,
        apply=_device_queries,
    ),
    Adaptation(
        name="literal cuda devices",
        symbol="megatron.core.pipeline_parallel.schedules:forward_backward_no_pipelining",
        relies_on='torch.zeros([], dtype=torch.int, device="cuda")',
        cause="no CUDA device",
        tested=_TESTED,
        apply=_device_literals,
    ),
    Adaptation(
        name="pinned memory",
        symbol="megatron.core.models.common.embeddings.rope_utils:get_pos_emb_on_this_cp_rank",
        relies_on="pin_memory=True",
        cause="no CUDA device",
        tested=_TESTED,
        apply=_pinned_memory,
    ),
    Adaptation(
        name="random states",
        symbol="megatron.core.tensor_parallel.random:_get_cuda_rng_state",
        relies_on="torch.cuda.random.get_rng_state(device=device)",
        cause="no CUDA device",
        tested=_TESTED,
        apply=_random_state,
    ),
    Adaptation(
        name="sizes of expert splits",
        symbol="megatron.core.transformer.moe.token_dispatcher:maybe_move_tensor_to_cpu",
        relies_on="tensor.is_cuda",
        cause="no CUDA device",
        tested=_TESTED,
        apply=_expert_splits,
    ),
    Adaptation(
        name="router product",
        symbol="megatron.core.transformer.moe.moe_utils:RouterGatingLinearFunction.forward",
        relies_on="te_general_gemm is not None",
        cause="no Transformer Engine",
        tested=_TESTED,
        apply=_router_product,
    ),
    Adaptation(
        name="pipeline send tags",
        symbol="megatron.core.pipeline_parallel.p2p_communication:_p2p_ops",
        relies_on="even_send_odd_recv_group",
        cause="gloo",
        tested=_TESTED,
        apply=_pipeline_sends,
    ),
)


def causes(platform: Platform) -> set[Cause]:
    """Why this platform needs adapting; empty on CUDA with NCCL and Transformer Engine."""
    found: set[Cause] = set()
    if platform.device != "cuda":
        found.add("no CUDA device")
    if platform.backend == "gloo":
        found.add("gloo")
    if not platform.transformer_engine:
        found.add("no Transformer Engine")
    return found


def needed(platform: Platform) -> tuple[Adaptation, ...]:
    """The adaptations of this platform, in order."""
    reasons = causes(platform)
    return tuple(adaptation for adaptation in ADAPTATIONS if adaptation.cause in reasons)


def check(adaptation: Adaptation) -> None:
    """Raise PlatformError when upstream no longer reads as the adaptation expects."""
    try:
        source = inspect.getsource(_resolve(adaptation.symbol))
    except (ImportError, AttributeError) as error:
        raise PlatformError(
            f"adaptation {adaptation.name!r}: {adaptation.symbol} is gone ({error}): tested with {adaptation.tested}"
        ) from error
    if adaptation.relies_on not in source:
        raise PlatformError(
            f"adaptation {adaptation.name!r}: {adaptation.symbol} no longer has {adaptation.relies_on!r}: "
            f"install {', '.join(adaptation.tested)}, or review the adaptation"
        )


def install(platform: Platform) -> tuple[Adaptation, ...]:
    """Adapt this process to the platform, once, before a model is built; returns what was applied."""
    applied = needed(platform)
    for adaptation in sorted(applied, key=lambda item: not item.early):
        check(adaptation)
        adaptation.apply()
    return applied
