"""`siku work PLAN --index I --of N`: a share of a phase, wherever the store can be reached.

Workers hold no lease and seal nothing: they commit items, and a commit record is created only if it is absent, so that
two workers, or a worker and a run, may do the same item and one of them counts. The stage is its run's, which lists the
phase, and once all items are committed seals under the lease.
"""

import pickle
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from pipelines.engine.files import Posix, explained
from pipelines.engine.stage import Context, Item
from pipelines.engine.store import MANIFEST
from pipelines.engine.work import PhasePlan, do_item, load, share
from pretrain.job import RESUMABLE

STOPS = (signal.SIGTERM, signal.SIGUSR1)  # a scheduler's requests to end before the limit


class LaunchError(ValueError):
    """Work that cannot be handed over or taken up: names the field, the value and the way out."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a worker did of its share: how many items it has, and how many of them it found undone."""

    phase: str
    items: int
    done: int

    def __str__(self) -> str:
        here = f"{self.done} of {self.items} items done, {self.items - self.done} were committed already"
        return f"{self.phase}: {here if self.items else 'nothing to do in this share'}"


def work(path: Path, index: int, of: int) -> Done:
    """Do what is not committed of every `of`-th item of a plan file, from `index` on. A sealed stage has no work left.

    Raises LaunchError for a share that there is not or a file that is no plan, and what an item raised: no other item
    is begun after it. A scheduler's signal ends it with status 85; what is committed stays.
    """
    if not 0 <= index < of:
        raise LaunchError(f"--index {index} --of {of}: shares are numbered from 0 to {of - 1}")
    path = path.expanduser().absolute()
    if Posix(path.parent).head(path.name) is None and _sealed(path.parent):
        return Done(path.name.partition(".")[0], 0, 0)
    plan = _read(path)
    mine, done = share(plan.phase.items, index, of), 0
    with _stopping():
        for item in mine:
            if all(context.committed(plan.phase.name, item.name) for context in plan.job):
                continue
            if not _do(plan, item):
                break
            done += 1
    return Done(f"{plan.job[0].name} {plan.phase.name}", len(mine), done)


def _do(plan: PhasePlan, item: Item) -> bool:
    """Do an item; False where the stage was sealed meanwhile, and this attempt's files were swept with it."""
    try:
        with explained(plan.job[0].directory / item.name):
            do_item(plan.job, plan.phase, item)
    except Exception:
        if all(_sealed(context.directory) for context in plan.job):
            return False
        raise
    return True


def _sealed(directory: Path) -> bool:
    return Posix(directory).head(MANIFEST) is not None


def _read(path: Path) -> PhasePlan:
    way_out = "give the file that a run with cluster=shell or cluster=slurm names, or run that command again"
    try:
        plan, _ = load(path)
    except FileNotFoundError:
        raise LaunchError(f"plan file {path} does not exist: {way_out}") from None
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError) as error:
        raise LaunchError(f"{path} is no plan file of this installation ({error}): {way_out}") from None
    if not isinstance(plan, PhasePlan) or not all(isinstance(context, Context) for context in plan.job):
        raise LaunchError(f"{path} is no plan file: {way_out}")
    return plan


@contextmanager
def _stopping() -> Iterator[None]:
    """End with status 85 at a scheduler's signal, at once: the item under way is begun anew by the next attempt."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(RESUMABLE)

    before = {number: signal.signal(number, stop) for number in STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
