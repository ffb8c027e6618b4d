"""Make what is missing: take the lease, run the phases, seal."""

import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from corpus.verdict import ReconciliationError, Tally
from pipelines.engine.files import Posix, explained
from pipelines.engine.identity import Json, differences
from pipelines.engine.lease import Lease, Watch
from pipelines.engine.progress import Progress
from pipelines.engine.runner import Workers, offer, run_phase
from pipelines.engine.stage import Context, Job, Phase, Program, Stage
from pipelines.engine.store import MANIFEST, Artifact, Commit, StoreError, load, reopen, seal
from pipelines.engine.work import do_item

Say = Callable[[str], None]
POLL_S = 0.2


@contextmanager
def owned(directory: Path, done: Callable[[], bool], say: Say) -> Iterator[bool]:
    """Hold the lease of a folder; yields False without it if someone else finishes the work first."""
    name = "/".join(directory.parts[-3:])
    watch, said = Watch(Posix(directory), name), False
    while True:
        if done():
            yield False
            return
        held = watch.try_acquire(say)
        if isinstance(held, Lease):
            break
        if not said:
            say(f"waiting for {name}, which {held} is making")
            said = True
        time.sleep(POLL_S)
    try:
        yield not done()
    finally:
        held.release()


def make(program: Program, stages: list[Stage], contexts: Job, workers: Workers, say: Say) -> set[str]:
    """Make the stages of one job, all of one kind; several only where one pass makes them (measures).

    Returns the digests of those made here; another owner made the rest meanwhile.
    """
    started = time.time()
    with ExitStack() as leases:
        mine: list[tuple[Stage, Context]] = []
        for stage, context in sorted(zip(stages, contexts, strict=True), key=lambda pair: pair[0].digest):
            if leases.enter_context(owned(context.directory, partial(_finished, stage, context), say)):
                if context.files.head(MANIFEST) is not None:
                    reopen(context.directory)
                mine.append((stage, context))
        if not mine:
            return set()
        job = tuple(context for _, context in mine)
        title = job[0].name if len(job) == 1 else job[0].name.partition(".")[0]
        phases: list[Phase] = []  # listed once: to list them again would walk the source again
        for phase in program.listed(job):
            phases.append(phase)
            for context in job:
                context.log.check(phase.name)
            if program.beam:
                with Progress(title, job, phase):
                    run_phase(job, phase, workers)
            else:  # the trainer tells its own progress
                offer(job, phase, workers)
                for item in phase.items:
                    with explained(job[0].directory / item.name):
                        do_item(job, phase, item)
            for context in job:
                context.log.summarize(phase.name)
        for stage, context in mine:
            _seal(program, stage, context, phases, started, len(mine))
        return {stage.digest for stage, _ in mine}


def _finished(stage: Stage, context: Context) -> bool:
    return load(stage.kind, stage.digest, context.directory) is not None


def _refuse_changed(stage: Stage) -> None:
    """Raise StoreError where a file that the stage read is not what it was when the stage was named: it would be kept
    under the old name. Files are asked for their times again, and read where those have changed."""
    for each in (stage, *(source for source in stage.inputs.values() if source.kind == "files")):
        if changed := differences(dict(each.identity), dict(replace(each).identity)):
            fields = ", ".join(path.removeprefix("what.") for path, _, _ in changed)
            raise StoreError(f"{each.name}: what {fields} names has changed since it was planned: run again")


def _seal(
    program: Program, stage: Stage, context: Context, phases: Sequence[Phase], started: float, sharing: int
) -> None:
    totals, expected = program.totals(context), program.due(context)
    if expected is not None and totals.tally.came != expected:
        raise ReconciliationError(
            f"{context.name}: {totals.tally.came.documents} documents came in, but the stage before kept "
            f"{expected.documents} (id sums {totals.tally.came.id_sum:032x}, {expected.id_sum:032x})"
        )
    outputs: dict[str, Commit] = {}
    for phase in phases:
        done = context.commits(phase.name)
        if wrong := {item.name for item in phase.items} ^ done.keys():
            raise StoreError(
                f"{context.directory}: phase {phase.name} has {len(phase.items)} items and {len(done)} commits; "
                f"{sorted(wrong)[:4]} are not in both. Remove the folder and run again"
            )
        found = {f"{phase.name}/{name}": commit for name, commit in done.items()}
        outputs |= {} if phase.scratch else found
    record: dict[str, Json] = {
        "host": socket.gethostname(),
        "started": started,
        # Stages made in one pass share its time.
        "seconds": (time.time() - started) / sharing,
        "bytes_read": sum(input_bytes(context).values()) or totals.tally.bytes_in,
        "python": sys.version.split()[0],
    }
    _refuse_changed(stage)
    seal(
        context.directory,
        stage.identity,
        outputs,
        totals.figures,
        totals.tally,
        record,
        totals.files,
        repeatable=program.rounds is None,  # the web is not
    )


def input_bytes(context: Context) -> dict[str, int]:
    """Bytes on disk of each input: what the stage's rate is reckoned by."""
    return {role: sum(entry.bytes for entry in artifact.files.values()) for role, artifact in context.inputs.items()}


def external(kind: str, digest: str, directory: Path, figures: Mapping[str, Any]) -> Artifact:
    """Input that Siku did not make, such as the user's own files, as an artefact without files."""
    return Artifact(kind, digest, directory, {}, Tally(), dict(figures), digest)
