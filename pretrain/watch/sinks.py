"""Where figures go: one small protocol, and what stands behind it. Only rank 0 has any."""

import importlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from pretrain.config.watch import SinkName, check_watch
from pretrain.job import TrainJob
from pretrain.journal import JournalError

log = logging.getLogger("pretrain")
METRICS = "metrics.jsonl"
Values = Mapping[str, float]


class Sink(Protocol):
    """Takes the figures of a step: names with a slash are of one component, as `loss/zh`."""

    def write(self, step: int, values: Values) -> None:
        """Called in the order of the steps, but for those taken back, which come again."""
        ...

    def close(self) -> None:
        """Nothing comes after this."""
        ...


class Console:
    """The log: a line for training, and one for held-out documents."""

    def __init__(self, target: int) -> None:
        self._target = target

    def write(self, step: int, values: Values) -> None:
        """As plain lines; a terminal's bar reads `metrics.jsonl`."""
        if "loss" in values:
            log.info(
                "step %d/%d  loss %.3f  lr %.3g  grad %.3f  %d tokens/s  MFU %.0f %%  %d s left",
                *(step, self._target, values["loss"], values["lr"], values["grad_norm"]),
                *(values["tokens_per_second"], 100 * values["mfu"], values["seconds_left"]),
            )
        scores = {name.partition("/")[2]: value for name, value in values.items() if name.startswith("bits_per_byte/")}
        if scores:
            told = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
            log.info("step %d/%d  held-out bits per byte: %s", step, self._target, told)

    def close(self) -> None:
        """Nothing to do."""


class Lines:
    """`metrics.jsonl` in the run's folder: a JSON object a line, only ever appended."""

    def __init__(self, path: Path, attempt: int) -> None:
        self._path, self._attempt = path, attempt

    def write(self, step: int, values: Values) -> None:
        """Raises JournalError where the disk does not take it."""
        line = json.dumps({"step": step, "attempt": self._attempt, **values}, ensure_ascii=False)
        try:
            with self._path.open("ab", buffering=0) as file:
                file.write(line.encode() + b"\n")
        except OSError as error:
            raise JournalError(f"cannot write {self._path}: {error}: make room and run again") from error

    def close(self) -> None:
        """Nothing to do."""


class TensorBoard:
    """Event files in the run's folder, `tensorboard/`."""

    def __init__(self, job: TrainJob) -> None:
        module = importlib.import_module("torch.utils.tensorboard")
        self._writer = module.SummaryWriter(str(Path(job.directory) / "tensorboard"))

    def write(self, step: int, values: Values) -> None:
        """A scalar each."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flushes."""
        self._writer.close()


class WandB:
    """A run of Weights & Biases, resumed by the trajectory's digest; offline unless WANDB_MODE says otherwise."""

    def __init__(self, job: TrainJob) -> None:
        wandb: Any = importlib.import_module("wandb")
        mode = os.environ.get("WANDB_MODE", "offline")
        described = {"digest": job.digest, "steps": job.steps}
        self._run = wandb.init(
            project="siku", id=job.digest, resume="allow", mode=mode, dir=job.directory, config=described
        )
        self._run.define_metric("*", step_metric="step")  # its own counter never goes back, as a healed run does

    def write(self, step: int, values: Values) -> None:
        """One row."""
        self._run.log({"step": step, **values})

    def close(self) -> None:
        """Ends the run there."""
        self._run.finish()


class MLflow:
    """A run of MLflow, in the run's folder unless MLFLOW_TRACKING_URI says otherwise."""

    def __init__(self, job: TrainJob) -> None:
        self._mlflow: Any = importlib.import_module("mlflow")
        if "MLFLOW_TRACKING_URI" not in os.environ:
            self._mlflow.set_tracking_uri(f"sqlite:///{job.directory}/mlflow.db")
        self._mlflow.set_experiment("siku")
        self._mlflow.start_run(run_name=job.digest)

    def write(self, step: int, values: Values) -> None:
        """A metric each."""
        self._mlflow.log_metrics(dict(values), step=step)

    def close(self) -> None:
        """Ends the run there."""
        self._mlflow.end_run()


_OTHERS: Mapping[SinkName, Callable[[TrainJob], Sink]] = {"tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow}


def sinks(job: TrainJob, attempt: int) -> list[Sink]:
    """Of a job: the log, the file, and what `watch.sinks` asks for. Raises WatchError for what is not installed."""
    check_watch(job.watch)
    always: list[Sink] = [Console(job.steps), Lines(Path(job.directory) / METRICS, attempt)]
    return [*always, *(_OTHERS[name](job) for name in job.watch.sinks)]
