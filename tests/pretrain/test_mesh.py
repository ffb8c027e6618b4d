"""Ranks that must agree are compared, and no group waits for ever."""

import subprocess
import sys

import pytest
import torch

from pretrain.config import Layout
from pretrain.parallel.mesh import RanksDifferError, join
from pretrain.parallel.platform import Platform
from tests.pretrain.tools import ROOT

CPU = Platform(device="cpu", backend="gloo", transformer_engine=False)


def test_ranks_that_differ_are_named_and_every_group_times_out(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom pretrain.parallel.launch import launch\n"
        f"sys.exit(launch([sys.executable, '-m', 'tests.pretrain.groups'], 2, Path({str(tmp_path)!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "job digest is 'digest of 0' on rank 0 and 'digest of 1' on rank 1: start all ranks with the same software "
        "and job\nreplicas timed out: True\nworld timed out: True\n"
    )


def test_a_world_that_is_not_the_layouts_is_refused(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(RanksDifferError, match=r"WORLD_SIZE=3, but layout tp=2 x cp=1 x pp=1 x dp=2 needs 4"):
        join(Layout(tp=2, dp=2), CPU, None)
    assert not torch.distributed.is_initialized()
