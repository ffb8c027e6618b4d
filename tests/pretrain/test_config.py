"""Configurations and job files: each mistake is one error that names the field and the way out."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from pretrain.config import (
    Layout,
    LayoutError,
    Model,
    Precision,
    Train,
    check_device,
    check_layout,
    padded_vocabulary,
    schedule_notes,
)
from pretrain.job import JobError, TrainJob, read_job
from tests.pretrain.tools import ROOT, small_job, write_job

GROUPS = {"model": Model, "train": Train, "precision": Precision, "layout": Layout}
PRESETS = [path for group in GROUPS for path in sorted((ROOT / "conf" / group).glob("*.yaml"))]


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_preset_is_valid(path):
    found = TypeAdapter(GROUPS[path.parent.name]).validate_python(yaml.safe_load(path.read_text("utf-8")) or {})
    assert isinstance(found, GROUPS[path.parent.name])


def test_there_are_presets_of_every_group():
    assert {path.parent.name for path in PRESETS} == set(GROUPS)


def model(**changes):
    attention = {"kind": "grouped", "heads": 4, "groups": 2, **changes.pop("attention", {})}
    feed_forward = changes.pop("feed_forward", {"kind": "gated", "width": 48})
    whole = {"layers": 4, "hidden": 32, "sequence_length": 16, "attention": attention, "feed_forward": feed_forward}
    return Model(**{**whole, **changes})


EXPERTS = {"kind": "experts", "experts": 4, "chosen": 2, "width": 8}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": 34}, "hidden=34 over attention.heads=4 is no whole width of a head"),
        ({"hidden": 12}, "position.fraction=1.0 of a head's width 3 is no even number"),
        ({"hidden": 32, "position": {"kind": "rotary", "fraction": 0.3}}, "position.fraction=0.3 of a head's width 8"),
        ({"attention": {"groups": 3}}, "attention.groups=3 does not divide heads=4"),
        ({"attention": {"bias": "all"}}, "attention.bias=all beside feed_forward.kind=gated with bias=false"),
        (
            {"feed_forward": {"kind": "plain", "width": 8}},
            "attention.bias=none beside feed_forward.kind=plain with bias",
        ),
        ({"feed_forward": {**EXPERTS, "chosen": 5}}, "feed_forward.chosen=5 of experts=4: choose fewer"),
        ({"overrides": {"4": {}}}, "overrides.4: layers are 0 to 3, each named once"),
        ({"overrides": {"0-1": {}, "1-2": {}}}, "overrides.1-2: layers are 0 to 3, each named once"),
        ({"overrides": {"last": {}}}, "overrides.last: name layers as 3, or as 0-2 with both ends"),
        (
            {"overrides": {"0": {"attention": {"kind": "grouped", "heads": 5, "groups": 1}}}},
            "over overrides.0.attention",
        ),
        ({"layers": 0}, "layers"),
        ({"layer": 3}, "layer"),
        ({"block": {"dropout": 1.0}}, "dropout"),
    ],
)
def test_a_model_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        model(**changes)


def test_layers_may_have_parts_of_their_own():
    mixed = model(feed_forward=EXPERTS, overrides={"0-1": {"feed_forward": {"kind": "gated", "width": 20}}})
    assert [mixed.feed_forward_of(layer).kind for layer in range(4)] == ["gated", "gated", "experts", "experts"]
    assert mixed.attention_of(0) is mixed.attention and not mixed.drops
    assert model(attention={"dropout": 0.1}).drops and model(block={"dropout": 0.1}).drops


@pytest.mark.parametrize(
    ("changes", "layout", "message"),
    [
        (
            {},
            {"tp": 3},
            r"tp=3 does not divide model.attention.heads=4 and model.attention.groups=2: .* fits is 2 \(then 1\)",
        ),
        ({}, {"tp": 4}, r"layout.tp=4 does not divide model.attention.groups=2: the nearest that fits is 2 \(then 1\)"),
        (
            {},
            {"pp": 3},
            r"layout.pp x layout.vpp=3 does not divide model.layers=4: the nearest that fits is 2 \(then 4, 1\)",
        ),
        (
            {},
            {"pp": 2, "vpp": 4},
            r"layout.pp x layout.vpp=8 does not divide model.layers=4: the nearest that fits is 4",
        ),
        ({}, {"vpp": 2}, r"layout.vpp=2 without pipeline stages: set layout.pp to 2"),
        ({}, {"pp": 2, "vpp": 2, "micro_batch": 8}, r"layout.pp=2 does not divide the micro-batches of a replica .*=1"),
        (
            {},
            {"dp": 3, "micro_batch": 1},
            r"dp x layout.micro_batch=3 does not divide train.global_batch=8: the nearest that fits is 2 \(then 4, 1\)",
        ),
        ({}, {"micro_batch": 16}, r"micro_batch=16 does not divide train.global_batch=8: the nearest that fits is 8"),
        ({}, {"cp": 3}, r"2 x layout.cp=6 does not divide model.sequence_length=16: the nearest that fits is 4"),
        ({}, {"sequence_parallel": True}, r"layout.sequence_parallel=true with layout.tp=1 has nothing to split"),
        ({}, {"dp": 2, "ep": 2}, r"layout.ep=2 with a model without experts"),
        (
            {"feed_forward": EXPERTS},
            {"dp": 2, "ep": 4},
            r"layout.ep=4 does not divide layout.tp x cp x dp=2: the nearest that fits is 2",
        ),
        (
            {"feed_forward": EXPERTS},
            {"dp": 3, "ep": 3},
            r"layout.ep=3 does not divide model.feed_forward.experts=4: the nearest that fits is 1",
        ),
        (
            {"feed_forward": EXPERTS},
            {"tp": 2},
            r"experts under layout.tp=2 need layout.sequence_parallel=true and layout.ep",
        ),
    ],
)
def test_a_layout_that_does_not_fit_is_refused_with_the_nearest_that_does(changes, layout, message):
    with pytest.raises(LayoutError, match=message):
        check_layout(model(**changes), Train(global_batch=8), Layout(**layout), 300)


def shows(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_a_gpu_that_is_not_there_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.13.0+cu130")
    bare, one = tmp_path / "bare", shows(tmp_path / "one", "dev/nvidia0", "dev/nvidiactl", "dev/nvidia-uvm")
    with pytest.raises(LayoutError, match=r"layout.device=cuda, but this machine shows no NVIDIA device: set layout"):
        check_device(Layout(device="cuda"), bare)
    with pytest.raises(LayoutError, match=r"tp x cp x pp x dp = 2 x 1 x 1 x 2 needs 4 GPUs, one a rank, .* shows 1"):
        check_device(Layout(device="cuda", tp=2, dp=2), one)
    for layout, root in ((Layout(), bare), (Layout(device="cpu", dp=4), bare), (Layout(device="cuda"), one)):
        check_device(layout, root)
    check_device(Layout(device="cuda", dp=8), shows(tmp_path / "wsl", "dev/dxg"))  # shows no number of cards
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.13.0+cpu")
    for device in ("auto", "cuda"):
        with pytest.raises(LayoutError, match=rf"layout.device={device}: .*nvidia0\), but torch 2.13.0\+cpu is"):
            check_device(Layout(device=device), one)
    check_device(Layout(device="auto"), bare)
    check_device(Layout(device="cpu"), one)


def test_vocabulary_is_padded_or_published():
    assert [padded_vocabulary(model(), size) for size in (1, 128, 129, 300)] == [128, 128, 256, 384]
    assert padded_vocabulary(model(vocabulary=1000), 300) == 1000
    with pytest.raises(LayoutError, match=r"model.vocabulary=299 is smaller than the tokenizer's 300"):
        padded_vocabulary(model(vocabulary=299), 300)
    with pytest.raises(LayoutError, match=r"layout.tp=2 does not divide the padded vocabulary=301"):
        check_layout(model(vocabulary=301), Train(global_batch=8), Layout(tp=2), 300)


COSINE = {"schedule": "cosine", "horizon_tokens": 409_600, "floor": 0.1}
WSD = {"schedule": "wsd", "decay_start_tokens": 8_000, "decay_tokens": 2_000}


@pytest.mark.parametrize(
    ("schedule", "warmup", "steps", "notes"),
    [
        (COSINE, 81_920, 100, []),  # 4,096 tokens a step
        (COSINE, 81_920, 0, []),
        ({"schedule": "constant"}, 40_960, 10, []),
        ({"schedule": "constant"}, 40_961, 10, [r"run.steps=10 \(4,096 tokens each\) ends in the warm-up, at 100% of"]),
        (COSINE, 81_920, 81, []),
        (COSINE, 81_920, 79, [r"ends long before train.schedule.horizon_tokens=409,600 \(step 100\).*323,584 fits"]),
        (
            COSINE,
            81_920,
            1_000,
            [r"after .*horizon_tokens=409,600 \(step 100\): 90% of the run is at the floor, 0.1 of .*4,096,000 fits"],
        ),
        (COSINE, 409_600, 100, [r"warmup_tokens=409,600 is not over when the rate should fall"]),
        (WSD, 4_096, 1, []),  # a trunk
        (WSD, 4_096, 2, [r"ends long before train.schedule.decay_start_tokens \+ decay_tokens=10,000 \(step 3\)"]),
        (WSD, 4_096, 3, []),
        (WSD, 8_192, 6, [r"is not over", r"50% of the run is at the floor, 0 of the peak"]),
    ],
)
def test_warmup_schedule_and_steps_that_do_not_fit_are_said(schedule, warmup, steps, notes):
    found = schedule_notes(Train(global_batch=8, schedule=schedule, warmup_tokens=warmup), 512, steps)
    assert len(found) == len(notes), found
    for note, pattern in zip(found, notes, strict=True):
        assert re.search(pattern, note), note


def test_the_demo_fits_its_schedule_and_the_small_model_does_not():
    def preset(group, name):
        return yaml.safe_load((ROOT / "conf" / group / f"{name}.yaml").read_text("utf-8"))

    demo = Train(**preset("train", "tiny"))
    assert schedule_notes(demo, preset("model", "tiny")["sequence_length"], 200) == []
    (note,) = schedule_notes(demo, preset("model", "small")["sequence_length"], 1_000)
    assert "90% of the run is at the floor" in note


def test_a_job_file_names_every_wrong_field(tmp_path: Path):
    job = small_job(tmp_path)
    path = write_job(tmp_path, job)
    assert read_job(path, TrainJob).train.optimizer.lr == 0.01
    job["train"]["optimizer"]["lr"] = "fast"
    job["model"]["layerz"] = 2
    path.write_text(json.dumps(job))
    with pytest.raises(JobError, match=r"(?s)job.json.*model.layerz=2.*train.optimizer.adamw.lr='fast'"):
        read_job(path, TrainJob)
    path.write_text("{")
    with pytest.raises(JobError, match="Invalid JSON"):
        read_job(path, TrainJob)
    with pytest.raises(JobError, match="does not exist"):
        read_job(tmp_path / "none.json", TrainJob)


def test_configuration_and_launcher_load_without_torch():
    code = "import sys, pretrain.config, pretrain.job, pretrain.train, pretrain.objectives.score; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in found.stdout.split()}
    assert not loaded & {"torch", "megatron", "apache_beam", "numba", "conf", "pipelines"}
