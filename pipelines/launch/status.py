"""`siku status` and `siku cancel`: the jobs of a chain as the scheduler and their own records tell of them."""

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.engine.files import Posix
from pipelines.engine.store import Store
from pipelines.engine.work import load, pending
from pipelines.graph.records import INTENT, intent_of, stop
from pipelines.launch import slurm
from pipelines.launch.chain import FOLDER, JOBS, Submitted, attempts, submissions
from pipelines.launch.script import CANCELLED, STOPPED
from pipelines.launch.share import LaunchError

LAST = 3  # lines of a log


def chain_of(root: Path, run: str) -> Path:
    """The folder of a run's chain, or of the one handed over last. Raises LaunchError."""
    files = Store(root).files
    times = {
        name: [e.modified_ns for e in files.list(f"runs/{name}/{FOLDER}/{JOBS}/")] for name in files.folders("runs")
    }
    names = sorted((name for name, each in times.items() if each), key=lambda name: max(times[name]))
    if not names or (run and run not in names):
        known = f"those that were: {', '.join(names)}" if names else "none was"
        raise LaunchError(f"{f'--run {run}: ' if run else ''}no such run in {root} was handed to a cluster; {known}")
    return root / "runs" / (run or names[-1]) / FOLDER


def lines(root: Path, run: str) -> Iterator[str]:
    """The run, its stages, and a block for each job."""
    folder = chain_of(root, run)
    name, submitted = folder.parent.name, submissions(folder)
    files = Store(root).files
    if files.head(f"runs/{name}/{INTENT}") is None:
        yield f"{name}: not in progress"
    else:
        intent = intent_of(root, name)
        sealed = sum(files.head(f"{each}/manifest.json") is not None for each in intent.wants)
        yield f"{name}: {intent.state}; {sealed} of {len(intent.wants)} stages are there"
    queued = slurm.queue({job for each in submitted for job in each.jobs})
    for each in submitted:
        yield from _block(folder, each, [one for one in queued if one.job in each.jobs])


def _block(folder: Path, submitted: Submitted, queued: Sequence[slurm.Queued]) -> Iterator[str]:
    """A job: what has become of it, why it waits, how far its phase is, what its log says last unless all is well."""
    starts = attempts(folder, submitted.script)
    latest = {each["index"]: each["status"] for each in starts}
    counts = Counter(state(status) for status in latest.values()) if not queued else Counter(o.state for o in queued)
    told = ", ".join(f"{count} {word}" if submitted.tasks else word for word, count in counts.items()) or "not started"
    age = (time.time() - submitted.when) / 60
    line = f"{submitted.script:<28} job {', '.join(submitted.jobs):<12} {told.lower()}; submitted {age:.0f} min ago"
    if len(starts) > len(latest):
        line += f"; {len(starts)} attempts"
    yield line
    for reason in dict.fromkeys(one.reason for one in queued if one.state == "PENDING"):
        yield f"  waits: {reason}"
    if submitted.plan and queued and _is_there(Path(submitted.plan)):
        plan, items = load(Path(submitted.plan))
        yield f"  {len(items) - len(pending(plan.job, plan.phase))} of {len(items)} items committed"
    if queued or any(status != 0 for status in latest.values()):
        files = Posix(folder)
        logs = [each for each in files.list() if re.fullmatch(rf"{re.escape(submitted.script)}-[\d_]+\.log", each.key)]
        last = max(logs, key=lambda each: each.modified_ns, default=None)
        for text in files.read(last.key).decode("utf-8", "replace").splitlines()[-LAST:] if last else ():
            yield f"  | {text}"


def _is_there(path: Path) -> bool:
    return Posix(path.parent).head(path.name) is not None


def state(status: int | None) -> str:
    """What an attempt's status means; one without was ended with its node, or by force."""
    if status is None:
        return "ended without a word"
    return "done" if status == 0 else "stopped" if status in STOPPED else f"failed with status {status}"


def cancel(root: Path, run: str) -> str:
    """End what a chain has submitted and has not ended; what was done."""
    folder = chain_of(root, run)
    queued = slurm.queue({job for each in submissions(folder) for job in each.jobs})
    jobs = sorted({each.job for each in queued}, key=int)
    Posix(folder).put(CANCELLED, b"")  # before: what is told to stop would ask to be started again
    slurm.cancel(jobs)
    stop(root, folder.parent.name)
    told = f"cancelled jobs {', '.join(jobs)}" if jobs else "no job is left"
    return f"{folder.parent.name}: {told}; what is committed is kept, and the same command goes on"
