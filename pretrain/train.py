"""`python -m pretrain.train JOB.json`: take a trajectory to the step asked for, from wherever it is."""

import logging
import os
import signal
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from pretrain import trajectory
from pretrain.config import check_layout
from pretrain.job import TrainJob, read_job
from pretrain.journal import Journal, append_segment, targets
from pretrain.launch import die_with_parent, keep_threads_passive, launch, report_failure, world_of_environment

if TYPE_CHECKING:
    from pretrain.distributed import Place
    from pretrain.optimizer import Trained
    from pretrain.platform import Adaptation, Platform

log = logging.getLogger("pretrain")


def fail(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Report the error once and end now: a peer must not wait for an orderly end of this rank's groups."""
    report_failure(error)
    sys.stderr.flush()
    os._exit(1)


def _resume_step(job: TrainJob) -> int:
    """The newest checkpoint that is not beyond the target."""
    return max((step for step in trajectory.steps(Path(job.directory)) if step <= job.steps), default=0)


def _prepare(job: TrainJob, place: "Place") -> tuple[int, int]:
    """Rank 0 puts the folder in order; every rank learns (step to go on from, attempt)."""
    import torch.distributed as dist

    from pretrain.distributed import numeric_backend, versions

    directory, found = Path(job.directory), [0, 0]
    if place.rank == 0:
        trajectory.record_what(job)
        for left in trajectory.remove_unfinished(directory):
            log.info("removed unfinished %s", left.name)
        newest = max(trajectory.steps(directory), default=0)
        if lost := Journal(directory / "journal.jsonl").reconcile(newest):
            log.info("%d steps after step %d had no checkpoint and are taken again", lost, newest)
        segment = {
            "start": _resume_step(job),
            "target": job.steps,
            "layout": {
                name: getattr(job.layout, name) for name in ("tp", "pp", "dp", "zero1", "micro_batch", "recompute")
            },
            "device": str(place.device),
            "numeric_backend": numeric_backend(place),
            "threads": job.threads,
            "versions": versions(),
        }
        found = [_resume_step(job), append_segment(directory / "segments.jsonl", segment)]
    dist.broadcast_object_list(found, src=0)
    return found[0], found[1]


def _build(job: TrainJob, platform: "Platform", place: "Place", start: int) -> "Trained":
    """Model and optimizer as they were after step `start`."""
    from pretrain.checkpoint import Checkpoint, CheckpointError, set_random_states
    from pretrain.distributed import seed_everything
    from pretrain.model import build, initial
    from pretrain.optimizer import load, set_step, set_weights, wrap

    seed_everything(job.train.seed, start, place)
    built = build(job.model, job.precision, platform, place, job.vocabulary)
    set_weights(built, job.model, place, lambda piece: initial(piece, job.model, job.train.seed))
    trained = wrap(built, job.model, job.train, job.precision, job.layout, place)
    if start:
        found = Checkpoint(trajectory.steps(Path(job.directory))[start])
        if found.content["digest"] != job.digest:
            raise CheckpointError(f"{found.path} belongs to run {found.content['digest']}, not to {job.digest}")
        load(trained, found.tensor)
        set_step(trained, start)
        states = found.random_states(place)
        if states is not None:
            set_random_states(states)
        elif job.model.dropout:
            log.info("another layout wrote %s: dropout is seeded anew", found.path.name)
    return trained


def _announce(job: TrainJob, platform: "Platform", adapted: "tuple[Adaptation, ...]", names: list[str]) -> None:
    from pretrain.model import numerics

    layout = job.layout
    log.info(
        "device %s, backend %s, tp %d, pp %d, dp %d",
        *(platform.device, platform.backend),
        layout.tp,
        layout.pp,
        layout.dp,
    )
    log.info("numerics: %s", ", ".join(f"{name} {value}" for name, value in numerics(platform).items()))
    for adaptation in adapted:
        log.info("adapted %s (%s): %s", adaptation.name, adaptation.cause, adaptation.symbol)
    log.info("callbacks: %s", ", ".join(names))


def run_rank(job: TrainJob) -> int:
    """One rank, from joining the world to the last checkpoint; returns the exit status."""
    import torch
    import torch.distributed as dist

    from pretrain.platform import detect, install

    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: asked.append(received))
    torch.set_num_threads(job.threads)
    platform = detect(job.layout.device)
    adapted = install(platform)

    from pretrain import callbacks, checkpoint
    from pretrain.data import Batches
    from pretrain.distributed import compare_ranks, connect, versions
    from pretrain.trainer import train

    place = connect(job.layout, platform)
    compare_ranks({**versions(), "job digest": job.digest, "steps": str(job.steps)})
    directory = Path(job.directory)
    with trajectory.ownership(directory) if place.rank == 0 else nullcontext():
        start, attempt = _prepare(job, place)
        trained = _build(job, platform, place, start)
        batches = Batches(job.components, job.mixture, job.model.sequence_length, job.train.data_seed, job.vocabulary)
        journal = Journal(directory / "journal.jsonl") if place.rank == 0 else None
        chosen: list[callbacks.Callback] = [
            callbacks.NanGuard(),
            callbacks.JournalWriter(journal),
            callbacks.Log(job.log_every, job.steps, place.rank == 0),
            callbacks.Checkpoints(job, trained, journal, targets(directory / "segments.jsonl")),
        ]
        if place.rank == 0:
            _announce(job, platform, adapted, [callback.name for callback in chosen])
        if job.steps == 0:
            checkpoint.save(directory, trained, job.digest, 0, 0)
        stop = train(job, trained, batches, start, attempt, chosen, lambda: max(asked, default=0))
    dist.destroy_process_group()
    if stop:
        log.info("stopped by %s; the same command goes on", signal.Signals(stop).name)
    return 128 + stop if stop else 0


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
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO if rank == 0 else logging.WARNING)
    check_layout(job.model, job.train, job.layout, job.vocabulary)
    if world_of_environment() is None:
        if (Path(job.directory) / "trajectory.json").exists():
            trajectory.record_what(job)
            if job.steps in trajectory.steps(Path(job.directory)):
                log.info("step %d is there already", job.steps)
                return 0
        if job.layout.world > 1:
            command = [sys.executable, "-P", "-m", "pretrain.train", str(Path(arguments[0]).absolute())]
            return launch(command, job.layout.world, Path(job.directory) / "logs")
    return run_rank(job)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
