"""Do an item: take the attempt, call the phase's function, commit.

A phase is written once to a plan file, which whoever works on it reads: what crosses an engine is an item's name.
"""

import pickle
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

from pipelines.engine.files import Posix
from pipelines.engine.stage import Item, Job, Phase


class HandedOver(Exception):  # noqa: N818 - no error: the work goes on elsewhere
    """A phase, or the training, is others' to do; `to` says whose. This process's part ends here, leases are freed."""

    def __init__(self, to: str, what: str) -> None:
        super().__init__(f"{what} is handed to {to}")
        self.to = to


@dataclass(frozen=True)
class PhasePlan:
    """A phase of a job, with its items by name."""

    job: Job
    phase: Phase

    def save(self) -> Path:
        """Write the plan into the stage's folder; the file that workers read. It goes when the stage is sealed."""
        files, key = self.job[0].files, f"{self.phase.name}.{uuid4().hex[:8]}.plan"
        files.put(key, pickle.dumps(self))
        return files.local(key)

    def items(self) -> dict[str, Item]:
        """Items by name."""
        return {item.name: item for item in self.phase.items}


@lru_cache(maxsize=4)
def load(path: Path) -> tuple[PhasePlan, dict[str, Item]]:
    """A plan file and its items by name, read once a process."""
    plan: PhasePlan = pickle.loads(Posix(path.parent).read(path.name))
    return plan, plan.items()


def do_item(job: Job, phase: Phase, item: Item) -> None:
    """Do what the item's stages have not committed, and commit it."""
    attempts = [(context, attempt) for context in job if (attempt := context.begin(phase.name, item.name))]
    if not attempts:
        return
    with ExitStack() as stack:
        work = [(phase.view(context, item), stack.enter_context(attempt)) for context, attempt in attempts]
        if phase.joint:
            phase.function(work)
        else:
            ((one, attempt),) = work
            phase.function(one, attempt)


def pending(job: Job, phase: Phase) -> list[Item]:
    """Items of the phase that some stage of the job has not committed."""
    return [item for item in phase.items if not all(context.committed(phase.name, item.name) for context in job)]


def share(items: Sequence[Item], index: int, of: int) -> Sequence[Item]:
    """Every `of`-th item, from `index` on: one worker's share of a phase."""
    return items[index::of]
