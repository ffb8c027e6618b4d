"""Where figures go: the sinks behind one protocol, with stand-ins for packages that need not be installed."""

import json
import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from pretrain.config import Watch, WatchError, check_watch
from pretrain.job import TrainJob
from pretrain.parallel.mesh import leave
from pretrain.state.trajectory import record_what
from pretrain.train import is_done
from pretrain.watch import peak
from pretrain.watch.sinks import sinks
from tests.pretrain.tools import small_job

TRAINING = {"loss": 3.5, "lr": 0.1, "grad_norm": 1.0, "tokens_per_second": 10.0, "mfu": 0.25, "seconds_left": 9.0}
SCORES = {"bits_per_byte/zh": 2.5, "bits_per_byte/en": 1.5}


class Stub(ModuleType):
    """Any package: writes down what it is called with."""

    def __init__(self, name: str, calls: list[tuple[Any, ...]]) -> None:
        super().__init__(name)
        self.__spec__ = SimpleNamespace(name=name)  # type: ignore[assignment] # find_spec asks for one
        self._name, self._calls = name, calls

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments: Any, **named: Any) -> "Stub":
            self._calls.append((f"{self._name}.{name}", arguments, named))
            return self

        return call


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for name in ("tensorboard", "torch.utils.tensorboard", "wandb", "mlflow"):
        monkeypatch.setitem(sys.modules, name, Stub(name.rpartition(".")[2], found))
    for name in ("WANDB_MODE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return found


def job_of(folder: Path, *names: str) -> TrainJob:
    job = small_job(folder, watch={"sinks": list(names)})
    Path(job["directory"]).mkdir()
    return TypeAdapter(TrainJob).validate_python(job)


def test_every_sink_is_given_the_same_figures(tmp_path, calls, caplog):
    caplog.set_level(logging.INFO, "pretrain")
    job = job_of(tmp_path, "tensorboard", "wandb", "mlflow")
    made = sinks(job, 2)
    for step, values in ((10, TRAINING), (10, SCORES)):
        for sink in made:
            sink.write(step, values)
    for sink in made:
        sink.close()
    lines = [json.loads(line) for line in (Path(job.directory) / "metrics.jsonl").read_text().splitlines()]
    assert lines == [{"step": 10, "attempt": 2, **TRAINING}, {"step": 10, "attempt": 2, **SCORES}]
    assert [record.getMessage() for record in caplog.records] == [
        "step 10/12  loss 3.500  lr 0.1  grad 1.000  10 tokens/s  MFU 25 %  9 s left",
        "step 10/12  held-out bits per byte: zh 2.5000, en 1.5000",
    ]
    said = [(name, arguments) for name, arguments, _ in calls]
    assert [each[1] for each in said if each[0] == "tensorboard.add_scalar"] == [
        (name, value, 10) for name, value in (TRAINING | SCORES).items()
    ]
    assert [each[1] for each in said if each[0] == "wandb.log"] == [
        ({"step": 10, **TRAINING},),
        ({"step": 10, **SCORES},),
    ]
    assert [each[1:] for each in calls if each[0] == "mlflow.log_metrics"] == [
        ((values,), {"step": 10}) for values in (TRAINING, SCORES)
    ]
    assert {"tensorboard.close", "wandb.finish", "mlflow.end_run"} < {name for name, _ in said}
    (begun,) = (named for name, _, named in calls if name == "wandb.init")
    assert (begun["mode"], begun["id"], begun["dir"]) == (
        "offline",
        job.digest,
        job.directory,
    )  # nothing leaves unasked
    assert ("mlflow.set_tracking_uri", (f"sqlite:///{job.directory}/mlflow.db",)) in said


def test_a_sink_that_is_not_installed_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for refused in (lambda: check_watch(Watch(sinks=["wandb"])), lambda: sinks(job_of(tmp_path, "wandb"), 1)):
        with pytest.raises(WatchError, match=r"site.watch.sinks=\['wandb'\]: wandb is not installed"):
            refused()
    check_watch(Watch())


def test_the_peak_is_the_best_that_was_seen_and_draws_nothing(monkeypatch):
    before, cpu = torch.get_rng_state(), torch.device("cpu")
    monkeypatch.setitem(peak.LARGEST, "cpu", 512)
    monkeypatch.setattr(peak, "_best", {})
    assert peak.matmul_peak(cpu, torch.float32, 1) > 0 and torch.equal(before, torch.get_rng_state())
    monkeypatch.setattr(peak, "_best", {})
    milliseconds = iter([9, 2, 4, 1, 8, 16, *[5] * 6, *[0.5] * 6])  # three of each of two sizes: busy, busier, alone
    monkeypatch.setattr(peak, "_timed", lambda matrix: next(milliseconds) / 1e3)
    monkeypatch.setattr(peak, "LONG_ENOUGH_S", 1.0)
    looks = [peak.matmul_peak(cpu, torch.float32, 1, again=again) for again in (False, False, True, True)]
    assert looks == [2 * 512**3 / 1e-3] * 3 + [2 * 512**3 / 0.5e-3]


def test_a_run_that_is_done_leaves_nothing_of_a_kill(tmp_path, caplog):
    """A trainer killed while it pruned left its last `.tmp-removed`, for the next start had nothing to do."""
    caplog.set_level(logging.INFO, "pretrain")
    job = job_of(tmp_path)
    assert not is_done(job)
    record_what(job)
    left = Path(job.directory) / "step-7.tmp-removed"
    left.mkdir()
    assert not is_done(job) and left.exists()
    (Path(job.directory) / f"step-{job.steps}").mkdir()
    assert is_done(job) and not left.exists()
    assert [each.getMessage() for each in caplog.records] == [
        "removed unfinished step-7.tmp-removed",
        "step 12 is there already",
    ]


def test_a_world_takes_what_megatron_keeps_for_a_process_with_it(monkeypatch):
    """The scale of the auxiliary losses of one model was the next one's."""
    from megatron.core.transformer.moe.moe_utils import MoEAuxLossAutoScaler

    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: None)
    MoEAuxLossAutoScaler.set_loss_scale(torch.tensor(7.0))
    leave()
    assert MoEAuxLossAutoScaler.main_loss_backward_scale is None
