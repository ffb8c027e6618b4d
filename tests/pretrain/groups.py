"""A rank that finds its groups wanting: run through `launch` by test_mesh.py."""

import logging
import os
import sys
from datetime import timedelta

import torch
import torch.distributed as dist

from pretrain.config import Layout
from pretrain.parallel import platform
from pretrain.parallel.launch import die_with_parent

if __name__ == "__main__":
    die_with_parent()
    logging.getLogger("torch").setLevel(logging.CRITICAL)
    machine = platform.detect("cpu")
    platform.install(machine)
    from megatron.core import parallel_state

    from pretrain.parallel.mesh import RanksDifferError, compare_ranks, join, rendezvous

    mesh = join(Layout(device="cpu", dp=2, timeout_s=4), machine, rendezvous(timedelta(seconds=30)))
    compare_ranks({"torch": "2", "job digest": "same"})
    try:
        compare_ranks({"torch": "2", "job digest": f"digest of {mesh.rank}"})
    except RanksDifferError as error:
        if mesh.rank == 0:
            sys.stdout.write(f"{error}\n")
    if mesh.rank == 0:
        for name, group in (("replicas", parallel_state.get_data_parallel_group()), ("world", dist.group.WORLD)):
            try:
                dist.all_reduce(torch.zeros(1), group=group)
            except RuntimeError as error:
                sys.stdout.write(f"{name} timed out: {'imed out' in str(error)}\n")
        sys.stdout.flush()
        mesh.store.set("tests.given_up", b"")
        mesh.store.wait(["tests.heard"], timedelta(seconds=30))  # its process keeps the store
    else:  # never joins the collectives: rank 0 must give up by itself
        mesh.store.wait(["tests.given_up"], timedelta(seconds=60))
        mesh.store.set("tests.heard", b"")
    os._exit(0)
