"""A rank that finds its groups wanting: run through `pretrain.launch` by test_distributed.py."""

import logging
import os
import sys
import time

import torch
import torch.distributed as dist

from pretrain import platform
from pretrain.config import Layout
from pretrain.launch import die_with_parent

if __name__ == "__main__":
    die_with_parent()
    logging.getLogger("torch").setLevel(logging.CRITICAL)
    machine = platform.detect("cpu")
    platform.install(machine)
    from megatron.core import parallel_state

    from pretrain.distributed import RanksDifferError, compare_ranks, connect

    place = connect(Layout(device="cpu", dp=2, timeout_s=4), machine)
    compare_ranks({"torch": "2", "job digest": "same"})
    try:
        compare_ranks({"torch": "2", "job digest": f"digest of {place.rank}"})
    except RanksDifferError as error:
        if place.rank == 0:
            sys.stdout.write(f"{error}\n")
    if place.rank == 0:
        for name, group in (("replicas", parallel_state.get_data_parallel_group()), ("world", dist.group.WORLD)):
            try:
                dist.all_reduce(torch.zeros(1), group=group)
            except RuntimeError as error:
                sys.stdout.write(f"{name} timed out: {'imed out' in str(error)}\n")
        sys.stdout.flush()
        os._exit(0)
    time.sleep(12)  # never joins the collectives: rank 0 must give up by itself
    os._exit(0)
