"""A collective that does not end names the ranks that were waited for, and the operation."""

import logging
import re
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType

from torch import distributed as dist

from pretrain.parallel.mesh import Mesh

log = logging.getLogger("pretrain")
_TIMEOUT = re.compile(r"[Tt]imed? ?out", re.ASCII)
_REPORT_S = 5.0  # how long ranks that wait are given to say so: they began to wait within a step of each other


class CollectiveError(RuntimeError):
    """Ranks that did not come to a collective: names them, the operation and the step."""


@contextmanager
def watched(mesh: Mesh) -> Iterator[None]:
    """Raise CollectiveError for a collective that ran into `layout.timeout_s`.

    A rank that waited in vain says so in the store; those that do not are the ones that hang.
    """
    try:
        yield
    except RuntimeError as error:
        if mesh.layout.world == 1 or not _TIMEOUT.search(str(error)):
            raise
        raise CollectiveError(_told(mesh, _operation(error.__traceback__))) from error


def _operation(trace: TracebackType | None) -> str:
    """torch.distributed's public function that failed, or what called into it."""
    frames = [frame for frame in traceback.extract_tb(trace) if frame.name not in ("wrapper", "wait")]
    callers = [frame.name for frame in frames if not re.search("torch/distributed|contextlib", frame.filename)]
    public = [frame.name for frame in frames if "torch/distributed" in frame.filename and frame.name[0] != "_"]
    return (public or callers or ["a collective"])[-1]


def _told(mesh: Mesh, operation: str) -> str:
    waited = f"rank {mesh.rank} waited for layout.timeout_s={mesh.layout.timeout_s} in {operation}"
    places: dict[int, str] = {}
    others = [rank for rank in range(mesh.layout.world) if rank != mesh.rank]
    mesh.store.set_timeout(timedelta(seconds=_REPORT_S))
    try:
        mesh.store.set(f"siku.waited.{mesh.rank}", operation)
        end = time.monotonic() + _REPORT_S
        while time.monotonic() < end and not all(mesh.store.check([f"siku.waited.{rank}"]) for rank in others):
            time.sleep(0.1)
        hanging = [rank for rank in others if not mesh.store.check([f"siku.waited.{rank}"])]
        for rank in [mesh.rank, *hanging]:
            known = mesh.store.check([f"siku.at.{rank}"])
            places[rank] = mesh.store.get(f"siku.at.{rank}").decode() if known else "its start"
    except (dist.DistError, RuntimeError) as error:
        log.debug("the store did not answer: %s", error)
        return f"{waited}, and rank 0, which keeps the ranks' store, does not answer: see its node and log"
    if not hanging:
        return f"{waited}, and so did all others: raise layout.timeout_s if a step may take longer"
    told = " and ".join(f"rank {rank} (last in {places[rank]})" for rank in hanging)
    where = places[mesh.rank]
    return f"{waited} in {where} for {told}: see its log and node, or raise layout.timeout_s if a step may take longer"
