"""`python -m pretrain.train JOB.json`: take a trajectory to the step asked for, from wherever it is."""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import TypeAdapter

from pretrain.config import Layout, check_layout
from pretrain.job import TrainJob, read_job
from pretrain.journal import Journal, Row, append_segment, effective, read, targets
from pretrain.log import configure
from pretrain.parallel.launch import (
    STOPS,
    die_with_parent,
    keep_threads_passive,
    launch,
    report_failure,
    stop_status,
    world_of_environment,
)
from pretrain.state import trajectory
from pretrain.state.trunk import checkpoint_of, first_cursor, step_of

if TYPE_CHECKING:
    from pretrain.parallel.mesh import Mesh
    from pretrain.parallel.platform import Adaptation, Platform
    from pretrain.trainer import TrainState

log = logging.getLogger("pretrain")


def fail(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Report the error once and end now: a peer must not wait for an orderly end of this rank's groups."""
    report_failure(error)
    sys.stderr.flush()
    os._exit(1)


def _resume_step(job: TrainJob) -> int:
    """The newest checkpoint that is not beyond the target; where there is none, the trunk's step or 0."""
    return max((step for step in trajectory.steps(Path(job.directory)) if step <= job.steps), default=step_of(job))


class Start(NamedTuple):
    """Where a run goes on: after that step, as the attempt of that number, and the newest steps that led to it."""

    step: int
    attempt: int
    rows: list[Row]


def _prepare(job: TrainJob, mesh: "Mesh") -> Start:
    """Rank 0 puts the folder in order; every rank learns where to go on."""
    import torch.distributed as dist

    from pretrain.parallel.mesh import numeric_backend, versions

    directory = Path(job.directory)
    found: list[Start | None] = [None]
    if mesh.rank == 0:
        trajectory.record_what(job)
        for left in trajectory.remove_unfinished(directory):
            log.info("removed unfinished %s", left.name)
        first = step_of(job) + 1
        newest = max(trajectory.steps(directory), default=first - 1)
        if lost := Journal(directory / "journal.jsonl").reconcile(newest, first):
            log.info("%d steps after step %d had no checkpoint and are taken again", lost, newest)
        segment = {
            "start": _resume_step(job),
            "target": job.steps,
            "layout": TypeAdapter(Layout).dump_python(job.layout, mode="json"),
            "device": str(mesh.device),
            "numeric_backend": numeric_backend(mesh.device),
            "threads": job.threads,
            "versions": versions(),
        }
        start, healing = _resume_step(job), job.train.healing
        taken = effective(read(directory / "journal.jsonl"))
        rows = [row for step, row in taken.items() if start - max(healing.window, healing.every) < step <= start]
        found = [Start(start, append_segment(directory / "segments.jsonl", segment), rows)]
    dist.broadcast_object_list(found, src=0)
    if found[0] is None:
        raise RuntimeError("rank 0 did not say where to go on")
    return found[0]


def _build(job: TrainJob, platform: "Platform", mesh: "Mesh", start: Start) -> "TrainState":
    """Model and optimizer as they were after the step to go on from."""
    from pretrain.engine.optimizer import Optimizer
    from pretrain.engine.spikes import Seen, Window
    from pretrain.engine.step import Computer
    from pretrain.engine.units import wrap
    from pretrain.models.build import build
    from pretrain.parallel.mesh import seed_dropout
    from pretrain.state.checkpoint import Checkpoint, CheckpointError
    from pretrain.state.cursor import Cursor
    from pretrain.state.saver import begin, beginning, restore
    from pretrain.trainer import TrainState

    seed_dropout(job.train.seed, 0, mesh)  # without dropout too: under sequence parallelism upstream wants a state
    parts = build(job.model, job.precision, platform, mesh, job.vocabulary)
    wrapped = wrap(parts, mesh)
    optimizer = Optimizer(parts, wrapped, job.train, mesh)
    computer = Computer(job.model, job.train, job.vocabulary, parts, wrapped, mesh)
    window = Window(job.train.healing, [Seen(row.step, row.loss, row.grad_norm) for row in start.rows])
    path = trajectory.steps(Path(job.directory)).get(start.step)
    if path is None and not job.train.trunk:
        begin(optimizer, beginning(job.initial, job.model, job.vocabulary, job.train.seed))
        if mesh.rank == 0 and job.initial:
            log.info("starts from the weights of %s", job.initial)
        return TrainState(computer, optimizer, mesh, Cursor(), window)
    if path is None:
        cursor, other = first_cursor(job, restore(optimizer, checkpoint_of(job)))
        if mesh.rank == 0:
            order = f"reading from its first sample on ({'; '.join(other)})" if other else "reading on where it was"
            log.info("starts from %s, %s", job.train.trunk, order)
        return TrainState(computer, optimizer, mesh, cursor, window)
    found = Checkpoint(path)
    if found.content["digest"] != job.digest:
        raise CheckpointError(f"{found.path} belongs to run {found.content['digest']}, not to {job.digest}")
    return TrainState(computer, optimizer, mesh, restore(optimizer, found), window)


def _announce(job: TrainJob, platform: "Platform", adapted: "tuple[Adaptation, ...]", names: list[str]) -> None:
    from pretrain.models.build import numerics

    split = TypeAdapter(Layout).dump_python(job.layout, mode="json")
    told = [f"{name} {value}" for name, value in split.items() if name not in ("device", "timeout_s")]
    log.info("device %s, backend %s, %s", platform.device, platform.backend, ", ".join(told))
    log.debug("numerics: %s", ", ".join(f"{name} {value}" for name, value in numerics(platform).items()))
    for adaptation in adapted:
        log.debug("adapted %s (%s): %s", adaptation.name, adaptation.cause, adaptation.symbol)
    log.debug("callbacks: %s", ", ".join(names))


def _train(
    job: TrainJob, platform: "Platform", adapted: "tuple[Adaptation, ...]", mesh: "Mesh", stop: Callable[[], int]
) -> int:
    """From the newest checkpoint to the target or a signal; returns the signal, or 0."""
    from pretrain.data.batches import Batches
    from pretrain.engine import callbacks
    from pretrain.engine.healing import Healer
    from pretrain.state.saver import Saver
    from pretrain.trainer import train
    from pretrain.watch.held_out import Evaluation
    from pretrain.watch.metrics import Metrics
    from pretrain.watch.profiler import Profiler
    from pretrain.watch.sinks import sinks

    directory = Path(job.directory)
    start = _prepare(job, mesh)
    state = _build(job, platform, mesh, start)
    batches = Batches(job.components, job.mixture, job.model.sequence_length, job.train.data_seed, job.vocabulary)
    journal = Journal(directory / "journal.jsonl") if mesh.rank == 0 else None
    saver = Saver(directory, mesh, job.digest, start.attempt)
    kept = targets(directory / "segments.jsonl")
    checkpoints = callbacks.Checkpoints(job, state, saver, journal, kept)
    with ExitStack() as stack:
        outlets = sinks(job, start.attempt) if mesh.rank == 0 else []
        for outlet in outlets:
            stack.callback(outlet.close)
        evaluation = Evaluation(job, state.computer, outlets)
        chosen: list[callbacks.Callback] = [
            callbacks.JournalWriter(journal),
            Metrics(job, mesh, outlets),
            Healer(job, state, batches, saver, journal, start.rows),
            evaluation,
            callbacks.Pace(state.optimizer, saver, lambda: evaluation.seconds, mesh.rank == 0),
            stack.enter_context(Profiler(job, mesh, state.cursor.step)),
            checkpoints,
        ]
        if mesh.rank == 0:
            _announce(job, platform, adapted, [callback.name for callback in chosen])
        if job.steps == state.cursor.step:  # weights as drawn, or as the trunk had them
            checkpoints.save()
        number = train(job, state, batches, start.attempt, chosen, stop)
        checkpoints.finish()
    return number


@contextmanager
def _folder(directory: Path, store: Any, rank: int) -> Iterator[None]:  # noqa: ANN401 - a torch Store
    """Hold the run's folder before the world is joined: rank 0 may wait for another run, and no group must time out."""
    if rank:
        store.wait(["siku.folder"], timedelta(days=365))
        yield
        return
    with trajectory.ownership(directory, log.info):
        store.set("siku.folder", b"held")
        yield


def run_rank(job: TrainJob) -> int:
    """One rank, from joining the world to the last checkpoint; returns the exit status."""
    import torch

    from pretrain.parallel import platform as machine

    asked: list[int] = []
    for number in STOPS:
        signal.signal(number, lambda received, _: asked.append(received))
    torch.set_num_threads(job.threads)
    platform = machine.detect(job.layout.device)
    adapted = machine.install(platform)

    from pretrain.parallel import mesh as world
    from pretrain.parallel.watch import watched

    store = world.rendezvous(timedelta(seconds=max(job.layout.timeout_s, world.START_S)))
    with _folder(Path(job.directory), store, int(os.environ.get("RANK", "0"))):
        mesh = world.join(job.layout, platform, store)
        world.compare_ranks({**world.versions(), "job digest": job.digest, "steps": str(job.steps)})
        with watched(mesh):
            stop = _train(job, platform, adapted, mesh, lambda: max(asked, default=0))
    world.leave()
    if stop:
        log.info("stopped by %s; the same command goes on", signal.Signals(stop).name)
    return stop_status(stop) if stop else 0


def is_done(job: TrainJob) -> bool:
    """Whether the step asked for is there. Of a run that is done nothing that a kill left stays behind."""
    directory = Path(job.directory)
    if not (directory / "trajectory.json").exists():
        return False
    trajectory.record_what(job)
    if job.steps not in trajectory.steps(directory):
        return False
    with trajectory.ownership(directory, log.info):
        for left in trajectory.remove_unfinished(directory):
            log.info("removed unfinished %s", left.name)
    log.info("step %d is there already", job.steps)
    return True


def main(arguments: list[str]) -> int:
    """Entry point; starts the layout's ranks itself unless a launcher has."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m pretrain.train JOB.json\n")
        return 2
    sys.excepthook = fail
    die_with_parent()
    keep_threads_passive()
    warnings.filterwarnings("ignore", module=r"megatron\.|torch\.distributed")
    job = read_job(Path(arguments[0]), TrainJob)
    rank = int(os.environ.get("RANK", "0"))
    configure(speaks=rank == 0)
    check_layout(job.model, job.train, job.layout, job.vocabulary)
    if world_of_environment() is None:
        if is_done(job):
            return 0
        if job.layout.world > 1:
            command = [sys.executable, "-P", "-m", "pretrain.train", str(Path(arguments[0]).absolute())]
            return launch(command, job.layout.world, Path(job.directory) / "logs")
    return run_rank(job)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
