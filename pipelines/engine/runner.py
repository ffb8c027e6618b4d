"""Run one phase as a Beam ParDo. The only module that imports Beam.

The runner is named: `DirectRunner` would choose its engine by what the network offers. `multi_threading`
is never used: with two workers it loses GroupByKey data without a word.
"""

import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from corpus.usage import UsageError
from pipelines.engine.failures import ItemFailedError, first_failure, forget_failures
from pipelines.engine.stage import Item, Job, Phase
from pipelines.engine.work import PhasePlan, pending

if TYPE_CHECKING:
    import apache_beam as beam

SMALL_INPUT = 64 << 20  # bytes: below this, starting worker processes (4 CPU s) costs more than it saves


RUNNERS = (  # Beam's, but for those refused below; a name with a dot is a class of somebody else's
    "DataflowRunner",
    "FlinkRunner",
    "InteractiveRunner",
    "KafkaStreamsRunner",
    "PortableRunner",
    "PrismRunner",
    "SparkRunner",
)


@dataclass(frozen=True, slots=True)
class Workers:
    """How many worker processes may run, and Beam's own options for another runner.

    `elsewhere` is offered every phase with its pending items first. It raises HandedOver where it takes one.
    """

    processes: int = 1
    runner: str = "local"
    options: tuple[str, ...] = ()
    elsewhere: Callable[[Job, Phase], None] | None = None

    def __post_init__(self) -> None:
        """Refuse engines that lose data, that are another one tomorrow, or that are not there."""
        if bad := [o for o in self.options if "multi_threading" in o or o.lstrip("-").startswith("direct")]:
            raise RunnerError(
                f"site.runner_options={bad}: how local workers run is Siku's to say, for Beam's multi_threading loses "
                "GroupByKey data; set site.workers instead"
            )
        if re.search("direct|fnapi|dask", self.runner.lower()):
            raise RunnerError(
                f"site.runner={self.runner!r}: Beam's DirectRunner is another engine by what the network offers, and "
                "DaskRunner drops outputs; site.runner=local is the engine for one machine"
            )
        known = {name.lower() for name in RUNNERS}  # Beam takes a name in any case, with its last word or without
        if (
            self.runner != "local"
            and "." not in self.runner
            and not {self.runner.lower(), f"{self.runner.lower()}runner"} & known
        ):
            raise RunnerError(
                f"site.runner={self.runner!r}: there is no such runner: choose among local, {', '.join(RUNNERS)}, or "
                "name a class as package.module.Class"
            )


class RunnerError(UsageError):
    """A way to run Beam that loses data, or does not exist."""


def run_phase(job: Job, phase: Phase, workers: Workers) -> None:
    """Do every uncommitted item of a phase. Raises ItemFailedError with the first failure."""
    items = pending(job, phase)
    if not items:
        return
    forget_failures(job)
    offer(job, phase, workers)
    small = sum(item.bytes for item in items) < SMALL_INPUT or len(items) == 1 or workers.processes == 1
    try:
        _run_beam(items, PhasePlan(job, phase).save(), job, workers, in_process=small)
    except Exception as error:
        if _interrupted(error):
            raise KeyboardInterrupt from None
        failed = first_failure(job, phase.name)
        if failed is None:
            raise
        raise failed from None
    if left := pending(job, phase):
        where = f"{job[0].kind} {phase.name} {left[0].name}"
        raise first_failure(job, phase.name) or ItemFailedError(where, f"ended uncommitted, with {len(left)} more", "")


def offer(job: Job, phase: Phase, workers: Workers) -> None:
    """Let others take what is left of a phase. Raises HandedOver where they do."""
    if workers.elsewhere is not None and (left := pending(job, phase)):
        workers.elsewhere(job, replace(phase, items=left))


def _interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: Beam's in-process worker makes a RuntimeError of it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _run_beam(items: list[Item], plan: Path, job: Job, workers: Workers, *, in_process: bool) -> None:
    beam_do, beam_module, options_type = _beam()
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # failures are told by note_failure
    if workers.runner == "local":
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

        runner: object = FnApiRunner()
        mode = "in_memory" if in_process else "multi_processing"
        flags = [f"--direct_running_mode={mode}", f"--direct_num_workers={1 if in_process else workers.processes}"]
    else:
        runner, flags, in_process = workers.runner, [], False
    from pipelines.engine.watched_worker import LOG, quiet_threads

    os.environ[LOG] = str((job[0].directory / "worker.log").absolute())
    pipeline = beam_module.Pipeline(runner=runner, options=options_type([*flags, *workers.options]))
    with quiet_threads(), pipeline:
        listed = pipeline | "Items" >> beam_module.Create([item.name for item in items], reshuffle=False)
        if not in_process:
            listed = listed | "Spread" >> beam_module.Reshuffle()
        _ = listed | "Do" >> beam_module.ParDo(beam_do(plan))


def _beam() -> tuple[type, "beam", type]:
    logging.disable(logging.WARNING)  # Beam's import warns of clients for clouds that are not used
    try:
        import apache_beam as beam_module
        from apache_beam.options.pipeline_options import PipelineOptions

        from pipelines.engine.item import ItemFn
    finally:
        logging.disable(logging.NOTSET)

    return ItemFn, beam_module, PipelineOptions
