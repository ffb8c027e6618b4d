"""Process groups, and what a rank knows of its place."""

import hashlib
import os
import platform as python_platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import Any

import torch
import torch.distributed as dist

from pretrain.config import Layout
from pretrain.launch import LISTEN_FD, RENDEZVOUS, world_of_environment
from pretrain.platform import Platform

LIBRARIES = ("torch", "megatron-core", "numpy", "pyarrow")


class RanksDifferError(RuntimeError):
    """Ranks that must agree do not: names the field, the ranks and both values."""


@dataclass(frozen=True, slots=True)
class Place:
    """A rank's coordinates; sizes are the layout's."""

    rank: int
    tp: int
    pp: int
    dp: int
    layout: Layout
    device: torch.device

    @property
    def first_stage(self) -> bool:
        """Holds the embedding."""
        return self.pp == 0

    @property
    def last_stage(self) -> bool:
        """Computes the loss."""
        return self.pp == self.layout.pp - 1


def _store(timeout: timedelta) -> Any:  # noqa: ANN401 - a torch Store
    """The rendezvous: in-process for one rank, the launcher's socket, or None for torchrun's environment."""
    if world_of_environment() is None:
        return torch._C._distributed_c10d.HashStore()
    if RENDEZVOUS not in os.environ:
        return None
    host, _, port = os.environ[RENDEZVOUS].rpartition(":")
    listen = os.environ.get(LISTEN_FD)
    return torch._C._distributed_c10d.TCPStore(
        host,
        int(port),
        int(os.environ["WORLD_SIZE"]),
        is_master=listen is not None,
        timeout=timeout,
        master_listen_fd=None if listen is None else int(listen),
    )


def connect(layout: Layout, platform: Platform) -> Place:
    """Join the world and make megatron's groups; every group has the layout's timeout."""
    from megatron.core import parallel_state

    world = world_of_environment() or 1
    if world != layout.world:
        raise RanksDifferError(
            f"WORLD_SIZE={world}, but layout tp={layout.tp} x pp={layout.pp} x dp={layout.dp} needs {layout.world} "
            "processes: change either"
        )
    if world == 1:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    device = platform.torch_device(int(os.environ.get("LOCAL_RANK", "0")))
    if device.type == "cuda":
        torch.cuda.set_device(device)
        os.environ.setdefault("NVTE_ALLOW_NONDETERMINISTIC_ALGO", "0")  # asked for by megatron's deterministic_mode
    timeout = timedelta(seconds=layout.timeout_s)
    store = _store(timeout)
    # With a store torch wants rank and size; without, it reads them from torchrun's environment.
    rank, size = (int(os.environ.get("RANK", "0")), world) if store is not None else (-1, -1)
    dist.init_process_group(platform.backend, store=store, rank=rank, world_size=size, timeout=timeout)
    parallel_state.initialize_model_parallel(
        layout.tp, layout.pp, distributed_timeout_minutes=layout.timeout_s / 60, create_gloo_process_groups=False
    )
    return Place(
        rank=dist.get_rank(),
        tp=parallel_state.get_tensor_model_parallel_rank(),
        pp=parallel_state.get_pipeline_model_parallel_rank(),
        dp=parallel_state.get_data_parallel_rank(),
        layout=layout,
        device=device,
    )


def versions() -> dict[str, str]:
    """What decides a trainer's numbers, besides layout and device."""
    return {"python": python_platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def numeric_backend(place: Place) -> dict[str, str]:
    """What computes: the same software gives other bits on another of these."""
    if place.device.type == "cuda":
        return {"device": torch.cuda.get_device_name(place.device), "cuda": str(torch.version.cuda)}
    mkl: Any = torch.backends.mkl
    blas = "mkl" if mkl.is_available() else "other"
    return {"device": "cpu", "capability": torch.backends.cpu.get_cpu_capability(), "blas": blas}


def compare_ranks(facts: Mapping[str, str]) -> None:
    """Raise RanksDifferError where a rank runs other software or another job than rank 0."""
    gathered: list[Mapping[str, str] | None] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, dict(facts))
    first = gathered[0] or {}
    for rank, found in enumerate(gathered):
        for name, value in first.items():
            if (found or {}).get(name) != value:
                raise RanksDifferError(
                    f"{name} is {value!r} on rank 0 and {(found or {}).get(name)!r} on rank {rank}: "
                    "start all ranks with the same software and job"
                )


def seed_everything(seed: int, step: int, place: Place) -> None:
    """Seed dropout: equal within a tensor-parallel group where megatron needs it, else independent by rank."""
    from megatron.core import tensor_parallel

    digest = hashlib.sha256(f"siku.dropout:{seed}:{step}:{place.pp}:{place.dp}".encode()).digest()
    own = int.from_bytes(digest[:4], "big") % 2**30
    torch.manual_seed(own)
    tensor_parallel.model_parallel_cuda_manual_seed(own)
