"""Adaptations are applied for their causes alone; with CUDA, NCCL and Transformer Engine there are none."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pretrain.parallel import platform
from pretrain.parallel.platform import ADAPTATIONS, Platform, PlatformError
from tests.pretrain.tools import ROOT

GPU = Platform(device="cuda", backend="nccl", transformer_engine=True)
CPU = Platform(device="cpu", backend="gloo", transformer_engine=False)
# What any adaptation could touch, before and after: the object a name is bound to, by identity.
SNAPSHOT = """
import importlib, json, sys, warnings
warnings.filterwarnings("ignore")
import torch
import megatron.core.distributed, megatron.core.models.gpt, megatron.core.transformer.moe.token_dispatcher
import megatron.core.pipeline_parallel.p2p_communication, megatron.core.tensor_parallel.random
from pretrain.parallel.platform import ADAPTATIONS, Platform, causes, install
def names():
    found = {}
    for name, module in list(sys.modules.items()):
        if name == "torch" or name.startswith(("torch.cuda", "megatron.core")):
            found.update({f"{name}:{key}": id(value) for key, value in vars(module).items()})
    for kind in (torch.Tensor, torch.nn.Module):
        found.update({f"{kind.__name__}.{key}": id(getattr(kind, key)) for key in ("type", "cuda", "to")})
    return found
before = names()
applied = install(Platform(**json.loads(sys.argv[1])))
after = names()
changed = sorted(key for key in before if after.get(key) != before[key])
print(json.dumps({"applied": [a.name for a in applied], "changed": changed}))
"""


def installed(on: Platform) -> dict[str, list[str]]:
    found = subprocess.run(
        [sys.executable, "-c", SNAPSHOT, json.dumps(dataclasses.asdict(on))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(found.stdout.splitlines()[-1])


# Whether what is sent shares memory with what the schedule frees as soon as the call returns; this shows only when a
# sender is slower than its stage, so that a run seldom sees it.
SENDS = """
import json, sys, torch
from pretrain.parallel import platform
platform._pipeline_sends()
from megatron.core.pipeline_parallel import p2p_communication
sent, received = [], []
torch.distributed.isend = lambda tensor, rank, group, tag: sent.append((tensor.data_ptr() == keep[rank], rank, tag))
torch.distributed.irecv = lambda tensor, rank, group, tag: received.append((rank, tag))
tensors = {rank: torch.ones(3) for rank in (0, 2)}
keep = {rank: tensor.data_ptr() for rank, tensor in tensors.items()}
p2p_communication._p2p_ops(tensor_send_prev=tensors[0], tensor_recv_prev=torch.ones(3), tensor_send_next=tensors[2],
    tensor_recv_next=torch.ones(3), group=None, prev_pipeline_rank=0, next_pipeline_rank=2)
print(json.dumps({"sent": sorted(sent), "received": sorted(received)}))
"""


def test_pipeline_sends_are_copies_with_a_tag_a_direction():
    found = subprocess.run([sys.executable, "-c", SENDS], cwd=ROOT, capture_output=True, text=True, check=True)
    told = json.loads(found.stdout.splitlines()[-1])
    assert told == {"sent": [[False, 0, 2], [False, 2, 1]], "received": [[0, 1], [2, 2]]}


def test_nothing_is_adapted_with_cuda_nccl_and_transformer_engine():
    assert installed(GPU) == {"applied": [], "changed": []}


def test_on_a_cpu_every_adaptation_is_applied_and_seen():
    found = installed(CPU)
    assert found["applied"] == [a.name for a in sorted(ADAPTATIONS, key=lambda a: not a.early)]
    for name in (
        "torch:compile",
        "torch:zeros",
        "torch.cuda:current_device",
        "torch.cuda.random:get_rng_state",
        "Tensor.cuda",
        "megatron.core.transformer.moe.token_dispatcher:maybe_move_tensor_to_cpu",
        "megatron.core.pipeline_parallel.p2p_communication:_p2p_ops",
    ):
        assert name in found["changed"]


@pytest.mark.parametrize(
    ("on", "causes"),
    [
        (GPU, set()),
        (CPU, {"no CUDA device", "gloo", "no Transformer Engine"}),
        (dataclasses.replace(GPU, backend="gloo"), {"gloo"}),
        (dataclasses.replace(GPU, transformer_engine=False), {"no Transformer Engine"}),
    ],
)
def test_each_cause_brings_its_own_adaptations(on, causes):
    assert platform.causes(on) == causes
    assert {adaptation.cause for adaptation in platform.needed(on)} == causes


@pytest.mark.parametrize("adaptation", ADAPTATIONS, ids=lambda a: a.name)
def test_upstream_is_as_each_adaptation_expects_and_a_change_is_refused(adaptation):
    platform.check(adaptation)
    with pytest.raises(PlatformError, match=r"no longer has 'gone'.*megatron-core 0.16.1"):
        platform.check(dataclasses.replace(adaptation, relies_on="gone"))
    with pytest.raises(PlatformError, match=r"is gone"):
        platform.check(dataclasses.replace(adaptation, symbol="megatron.core.nothing:here"))


def test_a_device_that_cannot_be_used_is_an_error_not_a_cpu_run(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(platform, "NVIDIA_DEVICES", (tmp_path / "nvidia0",))
    assert platform.detect("auto") == platform.detect("cpu") == CPU
    (tmp_path / "nvidia0").write_text("")
    with pytest.raises(PlatformError, match=r"layout.device=auto: an NVIDIA device is present .*layout.device=cpu"):
        platform.detect("auto")
    assert platform.detect("cpu") == CPU
    with pytest.raises(PlatformError, match=r"layout.device=cuda, but torch sees no"):
        platform.detect("cuda")
