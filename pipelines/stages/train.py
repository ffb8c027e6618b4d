"""Training and evaluation as stages: each starts the trainer by its command line and reads what it leaves."""

import ctypes
import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from corpus.configuration import FileRef
from corpus.verdict import Tally
from pipelines.engine import roles
from pipelines.engine.files import Posix
from pipelines.engine.stage import Context, Item, Job, Phase, Program, Totals, Work
from pipelines.engine.store import MANIFEST, Artifact, Attempt
from pipelines.stages.display import Display
from pretrain.config import Evaluation, Layout, Mixture, Model, Precision, Train, Watch
from pretrain.job import LOG_LEVELS, RESUMABLE, EvaluateJob, TrainJob


@dataclass(frozen=True)
class TrainWhat:
    """What a trajectory is. How far it goes is not part of it."""

    version: ClassVar[int] = 1
    model: Model
    train: Train
    precision: Precision
    mixture: Mixture


@dataclass(frozen=True)
class EvaluateWhat:
    """Which step of a trajectory is measured, and how."""

    version: ClassVar[int] = 1
    evaluation: Evaluation
    step: int


@dataclass(frozen=True)
class UntrainedWhat:
    """The model as it starts: its shape, the seed or the folder of its weights, and how it is measured."""

    version: ClassVar[int] = 1
    model: Model
    seed: int
    precision: Precision
    evaluation: Evaluation
    initial: FileRef | None = None
    step: ClassVar[int] = 0


@dataclass(frozen=True)
class TrainWhere:
    """Where and how far the trainer runs."""

    what: TrainWhat
    layout: Layout
    steps: int
    threads: int
    checkpoint_every: int
    log_every: int
    keep: int
    verbose: bool = False  # whether the trainer's details are shown, and not only kept in its log
    trunk: Path | None = None  # folder of the trajectory that `what.train.trunk` names
    watch: Watch = Watch()  # noqa: RUF009 - frozen
    held_out: Artifact | None = None  # tokens to watch with
    stride: float = 0.5  # of the windows over them


class TrainerFailedError(RuntimeError):
    """The trainer ended with an error; its log has been shown."""


def shards(tokens: Artifact) -> dict[str, tuple[str, ...]]:
    """Absolute paths of token shards by component."""
    names = sorted(tokens.figures["components"])
    return {name: tuple(str(tokens.path(shard).absolute()) for shard in tokens.names(name)) for name in names}


def _initial(where: TrainWhere) -> str:
    """The folder that weights start from, if one is named."""
    folder = where.what.train.initial
    return str(folder.resolve()) if folder else ""


def checkpoint(directory: Path, step: int) -> Path | None:
    """The committed checkpoint of a step, if there is one."""
    name = f"step-{step}"
    return directory / name if Posix(directory).head(f"{name}/{MANIFEST}") is not None else None


def checkpoints(directory: Path) -> list[int]:
    """Steps of a trajectory that have a committed checkpoint, in order."""
    names = [name.removeprefix("step-") for name in Posix(directory).folders() if name.startswith("step-")]
    return sorted(int(name) for name in names if name.isdecimal() and checkpoint(directory, int(name)) is not None)


def train_job(context: Context, digest: str) -> TrainJob:
    """What the trainer is told, to take a trajectory to its target step."""
    where: TrainWhere = context.where["train"]
    tokens = context.inputs[roles.TOKENS]
    return TrainJob(
        directory=str(context.directory.absolute()),
        digest=digest,
        model=where.what.model,
        train=replace(where.what.train, initial=None),  # where it lies is no part of what is trained
        precision=where.what.precision,
        mixture=where.what.mixture,
        layout=where.layout,
        vocabulary=tokens.figures["vocabulary"],
        eod=tokens.figures["eod"],
        tokens_digest=tokens.digest,
        components=shards(tokens),
        trunk=str(where.trunk.absolute()) if where.trunk else "",
        initial=_initial(where),
        steps=where.steps,
        checkpoint_every=where.checkpoint_every,
        log_every=where.log_every,
        keep=where.keep,
        threads=where.threads,
        watch=where.watch,
        held_out=shards(where.held_out) if where.held_out else {},
        stride=where.stride,
    )


def train(context: Context, digest: str) -> None:
    """Take a trajectory to its target step. Raises TrainerFailedError."""
    verbose: bool = context.where["train"].verbose
    log = context.directory / "train.log"
    start("pretrain.train", train_job(context, digest), context.directory / "job.json", log, verbose)


def evaluate_item(work: Work, attempt: Attempt) -> None:
    """Measure one checkpoint on the held-out documents."""
    context = work.context
    where: TrainWhere = context.where["train"]
    tokens, held_out = context.inputs.get(roles.TOKENS), context.inputs[roles.HELD_OUT]
    step, untrained = context.what.step, context.inputs.get(roles.UNTRAINED)
    folder = checkpoint(context.inputs[roles.TRAJECTORY].directory, step) if step else None
    if step and folder is None:
        raise TrainerFailedError(
            f"{context.inputs[roles.TRAJECTORY].directory} holds no finished step {step}: run again"
        )
    result, documents = attempt.path("result", ".json"), attempt.path("documents", ".arrow")
    evaluate_job = EvaluateJob(
        model=where.what.model,
        train=where.what.train,
        precision=where.what.precision,
        layout=where.layout,
        vocabulary=held_out.figures["vocabulary"],
        eod=held_out.figures["eod"],
        checkpoint=str(folder.absolute()) if folder else None,
        initial=_initial(where) if folder is None else "",
        held_out=shards(held_out),
        components=shards(tokens) if tokens else {},
        evaluation=context.what.evaluation,
        output=str(result.absolute()),
        documents=str(documents.absolute()),
        untrained=str(untrained.path("documents").absolute()) if untrained else None,
        threads=where.threads,
    )
    start(
        "pretrain.evaluate",
        evaluate_job,
        context.directory / "job.json",
        context.directory / "evaluate.log",
        where.verbose,
    )
    attempt.add("result", result, 1)
    attempt.add("documents", documents, pa.ipc.open_file(pa.memory_map(str(documents))).read_all().num_rows)
    attempt.figure("result", json.loads(result.read_text()))


def _evaluate(job: Job) -> Phase:
    return Phase("evaluate", [Item("all")], evaluate_item)


def _totals(context: Context) -> Totals:
    return Totals(Tally(), {"result": context.commits("evaluate")["all"].figures["result"]})


EVALUATE = Program("evaluate", 1, ("torch", "megatron-core", "numpy"), (_evaluate,), _totals, beam=False)
TRAIN = Program("train", 1, ("torch", "megatron-core", "numpy"), (), _totals, beam=False)


def _give_back_memory() -> None:
    """Return freed memory to the system: what the corpus stages leave in this process's pools would stand beside the
    trainer's own to the end of the run."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)


def command_of(module: str, job: TrainJob | EvaluateJob, path: Path) -> list[str]:
    """Write a job file; the command that does what it says."""
    from pydantic import TypeAdapter

    Posix(path.parent).put(path.name, TypeAdapter(type(job)).dump_json(job, indent=1))
    return [sys.executable, "-P", "-m", module, str(path.absolute())]


def start(module: str, job: TrainJob | EvaluateJob, path: Path, log: Path, verbose: bool = False) -> None:
    """Run `python -m module job.json` to its end, its output to the terminal and to `log`, details to `log` alone.

    The child asks the kernel to end it with this process (SIKU_PARENT_PID). Ctrl-C is passed on, for a clean stop,
    and what the child says until then is still read.
    """
    _give_back_memory()
    command = command_of(module, job, path)
    ours = {"PYTHONUNBUFFERED": "1", "SIKU_PARENT_PID": str(os.getpid()), LOG_LEVELS: "1"}
    ended, interrupted = False, False
    with log.open("a") as file:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **ours},
            start_new_session=True,  # a terminal's Ctrl-C reaches it through us alone, once
        )
        with _passed_on(process), Display(file, verbose=verbose) as display:
            while not ended:
                try:
                    for line in process.stdout or ():
                        display.line(line)
                    process.wait()
                    ended = True
                except KeyboardInterrupt:
                    interrupted = True
                    process.send_signal(signal.SIGINT)
    if interrupted:
        raise KeyboardInterrupt
    if process.returncode == RESUMABLE:
        raise SystemExit(RESUMABLE)
    if process.returncode:
        raise TrainerFailedError(f"{module} ended with status {process.returncode}; its log is {log}")


@contextmanager
def _passed_on(process: subprocess.Popen[str]) -> Iterator[None]:
    """A scheduler's request to stop (SIGTERM, SIGUSR1) goes to the trainer, which ends with a checkpoint."""
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGUSR1)
    before = {number: signal.signal(number, lambda got, _: process.send_signal(got)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
