"""What a plan says of a rank's memory, against published formulas and against what torch keeps."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from pretrain.config import Layout, Model, Precision, Train
from pretrain.config.blueprint import parameters
from pretrain.config.memory import rank_memory
from pretrain.config.optimizer import Lion
from pretrain.job import TrainJob
from tests.pretrain.tools import ROOT, small_job, write_job

ATTENTION = {"kind": "grouped", "heads": 96, "groups": 96, "bias": "all"}
GPT3: dict[str, Any] = {
    "layers": 96,
    "hidden": 12288,
    "sequence_length": 2048,
    "vocabulary": 51200,
    "attention": ATTENTION,
    "feed_forward": {"kind": "plain", "width": 49152},
    "norm": {"kind": "layer"},
    "position": {"kind": "learned"},
    "block": {"dropout": 0.1},
}
BF16 = Precision(dtype="bf16")


def memory(layout: dict[str, Any], train: Train | None = None, precision: Precision = BF16, **changes: Any):
    model = TypeAdapter(Model).validate_python(GPT3 | changes)
    return rank_memory(
        model, train or Train(global_batch=1536), Layout(device="cuda", **layout), precision, 50257
    ), model


def test_activations_are_korthikantis():
    """arXiv:2205.05198, table 2: sbh(34) a layer, less the scores that attention does not keep; 10 + 24/t under tensor
    parallelism, 34/t with sequence parallelism, 2 with full recompute."""
    sbh = 2048 * 1 * 12288
    cases = {
        34.0: {},
        10 + 24 / 8: {"tp": 8},
        34 / 8: {"tp": 8, "sequence_parallel": True},
        2.0: {"recompute": ("layer",)},
    }
    for factor, layout in cases.items():
        found, model = memory({"micro_batch": 1, **layout})
        assert found.activations == pytest.approx(factor * sbh * model.layers)
    piped, model = memory({"micro_batch": 1, "pp": 8})  # the first of 8 stages has 8 micro-batches under way
    assert piped.activations == pytest.approx(34 * sbh * model.layers)
    interleaved, _ = memory({"micro_batch": 1, "pp": 8, "vpp": 3})
    assert interleaved.activations == pytest.approx(34 * sbh * model.layers * (1 + 7 / 24))


def test_weights_and_state_are_zeros_table():
    """ZeRO (arXiv:1910.02054, section 3): 2 + 2 + 12 bytes a parameter, 2 + 4 + 12 with fp32 gradients. ZeRO-1 shares
    out the 12."""
    found, model = memory({"dp": 4})
    count = parameters(model, 51200)
    assert (found.weights, found.gradients, found.optimizer) == (2 * count, 4 * count, 12 * count)
    shared, _ = memory({"dp": 4, "cp": 2, "zero1": True})
    assert shared.optimizer == pytest.approx(12 * count / 8) and shared.weights == found.weights
    single, _ = memory({}, precision=Precision())
    assert (single.weights, single.optimizer) == (4 * count, 8 * count)
    lion, _ = memory({}, Train(global_batch=1536, optimizer=Lion()), Precision())
    assert lion.optimizer == 4 * count
    staged, _ = memory({"pp": 4})
    table = 51200 * 12288
    assert staged.weights == 2 * (24 * (count - table - 2048 * 12288 - 2 * 12288) // 96 + table + 2048 * 12288)
    split, _ = memory({"tp": 8})
    assert count / 8 < split.weights / 2 < count / 8 * 1.02  # norms, positions and some biases are whole


def test_activations_are_what_torch_keeps(tmp_path: Path):
    """A layer's share: four layers less two, so that embedding and final norm count in neither."""
    cases: list[dict[str, Any]] = [{}, {"model__attention__groups": 4}, {"layout__micro_batch": 4}]
    paths, reckoned = [], []
    for number, changes in enumerate(cases):
        sizes = []
        for layers in (2, 4):
            job = small_job(tmp_path, model__layers=layers, **changes)
            paths.append(write_job(tmp_path, job, f"{number}-{layers}.json"))
            read = TypeAdapter(TrainJob).validate_python(job)
            sizes.append(rank_memory(read.model, read.train, read.layout, read.precision, 300).activations)
        reckoned.append(sizes[1] - sizes[0])
    command = [sys.executable, "-m", "tests.pretrain.kept", *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = [int(each) for each in done.stdout.split()[-len(paths) :]]
    for case, few, many, expected in zip(cases, found[::2], found[1::2], reckoned, strict=True):
        assert 0.95 < expected / (many - few) < 1.05, (case, many - few, expected)
