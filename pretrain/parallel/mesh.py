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
from torch.distributed.rendezvous import rendezvous as torch_rendezvous

from pretrain.config import Layout
from pretrain.parallel.launch import LISTEN_FD, RENDEZVOUS, world_of_environment
from pretrain.parallel.platform import Platform

START_S = 300  # ranks import for seconds, on slow file systems for minutes
LIBRARIES = ("torch", "megatron-core", "numpy", "pyarrow")


class RanksDifferError(RuntimeError):
    """Ranks that must agree do not: names the field, the ranks and both values."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """A rank's coordinates; sizes are the layout's, and dp x cp ranks have the same weights."""

    rank: int
    tp: int
    cp: int
    pp: int
    dp: int
    ep: int
    layout: Layout
    device: torch.device
    store: Any  # torch's Store: what all ranks can write to and read from

    def reached(self, place: str) -> None:
        """Say where this rank is, for whoever waits for it in vain."""
        if self.layout.world > 1:
            self.store.set(f"siku.at.{self.rank}", place)

    def barrier(self) -> None:
        """Until all ranks are here."""
        dist.barrier()

    def replicas(self, *, expert: bool) -> Any:  # noqa: ANN401 - a process group
        """The ranks that have the same slice of a weight."""
        from megatron.core import parallel_state

        if expert:
            return parallel_state.get_expert_data_parallel_group()
        return parallel_state.get_data_parallel_group(with_context_parallel=True)


def rendezvous(timeout: timedelta) -> Any:  # noqa: ANN401 - a torch Store
    """What all ranks can write to and read from: in-process for one, the launcher's socket, or torchrun's."""
    if world_of_environment() is None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        return torch._C._distributed_c10d.HashStore()
    if RENDEZVOUS not in os.environ:
        store, _, _ = next(iter(torch_rendezvous("env://", timeout=timeout)))
        return store
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


def join(layout: Layout, platform: Platform, store: Any) -> Mesh:  # noqa: ANN401 - a torch Store
    """Join the world and make megatron's groups; every group has the layout's timeout."""
    from megatron.core import parallel_state

    world = world_of_environment() or 1
    if world != layout.world:
        raise RanksDifferError(
            f"WORLD_SIZE={world}, but layout tp={layout.tp} x cp={layout.cp} x pp={layout.pp} x dp={layout.dp} needs "
            f"{layout.world} processes: change either"
        )
    device = platform.torch_device(int(os.environ.get("LOCAL_RANK", "0")))
    if device.type == "cuda":
        torch.cuda.set_device(device)
        os.environ.setdefault("NVTE_ALLOW_NONDETERMINISTIC_ALGO", "0")  # asked for by megatron's deterministic_mode
    rank, timeout = int(os.environ.get("RANK", "0")), timedelta(seconds=layout.timeout_s)
    dist.init_process_group(platform.backend, store=store, rank=rank, world_size=world, timeout=timeout)
    parallel_state.initialize_model_parallel(
        layout.tp,
        layout.pp,
        layout.vpp if layout.vpp > 1 else None,
        context_parallel_size=layout.cp,
        expert_model_parallel_size=layout.ep,
        expert_tensor_parallel_size=1,
        distributed_timeout_minutes=layout.timeout_s / 60,
        create_gloo_process_groups=False,
    )
    return Mesh(
        rank=rank,
        tp=parallel_state.get_tensor_model_parallel_rank(),
        cp=parallel_state.get_context_parallel_rank(),
        pp=parallel_state.get_pipeline_model_parallel_rank(),
        dp=parallel_state.get_data_parallel_rank(),
        ep=parallel_state.get_expert_model_parallel_rank(),
        layout=layout,
        device=device,
        store=store,
    )


def leave() -> None:
    """Give megatron's groups and the world back, and what else it keeps for a whole process."""
    from megatron.core import parallel_state
    from megatron.core.transformer.moe.moe_utils import MoEAuxLossAutoScaler

    MoEAuxLossAutoScaler.main_loss_backward_scale = None  # the next model's may be another, or on another device
    parallel_state.destroy_model_parallel()
    dist.destroy_process_group()


def versions() -> dict[str, str]:
    """What decides a trainer's numbers, besides layout and device."""
    return {"python": python_platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def numeric_backend(device: torch.device) -> dict[str, str]:
    """What computes: the same software gives other bits on another of these."""
    if device.type == "cuda":
        return {"device": torch.cuda.get_device_name(device), "cuda": str(torch.version.cuda)}
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


def seed_dropout(seed: int, sample: int, mesh: Mesh) -> None:
    """Seed dropout for the step that begins at a sample: a pure function, so that no state of it needs to be kept.

    Other replicas, parts of a sequence and stages draw otherwise; tensor-parallel ranks draw alike where they hold the
    same, which megatron's tracker tells apart.
    """
    from megatron.core import tensor_parallel

    key = f"siku.dropout:{seed}:{sample}:{mesh.pp}:{mesh.dp}:{mesh.cp}"
    own = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % 2**30
    torch.manual_seed(own)
    tensor_parallel.model_parallel_cuda_manual_seed(own)


def gather_rows(values: list[float], device: torch.device) -> list[list[float]]:
    """Each rank's row of figures, in rank order: all ranks have the same bits, whatever they make of them."""
    own = torch.tensor(values, dtype=torch.float64, device=device)
    rows = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(rows, own)
    return [[float(value) for value in row.tolist()] for row in rows]
