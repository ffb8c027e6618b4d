"""What training runs of a store have put into quarantine, and the stage that keeps it out of another run."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.engine.files import Posix
from pipelines.engine.identity import RunName
from pipelines.engine.store import Store
from pipelines.graph.finished import RunError
from pipelines.graph.kinds import StageKind
from pipelines.graph.records import intents, named, record_of
from pipelines.graph.view import RecipeError, View
from pipelines.stages.quarantine import PROGRAM, QuarantineStage, QuarantineWhat
from pretrain.state.trajectory import TRAJECTORY

if TYPE_CHECKING:
    from pipelines.graph.recipe import Builder

LIST = "quarantine.jsonl"
ReadQuarantine = Callable[[RunName], frozenset[str]]  # ids, hex


def quarantine_reader(root: Path) -> ReadQuarantine:
    """Reads the lists of a store's training runs. Raises RunError for a run that is not there or has no list."""

    def read(run: RunName) -> frozenset[str]:
        files = Posix(_training(root, run))
        path = files.local(LIST)
        if files.head(LIST) is None:
            raise RunError(f"it has put no document into quarantine ({path} is not there): leave it out")
        try:  # a torn last line is left out, as in the journal
            return frozenset(_id(line) for line in files.read(LIST).split(b"\n")[:-1])
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path} is damaged ({error!r}): restore it from a copy") from error

    return read


def no_quarantine(run: RunName) -> frozenset[str]:
    """Reads a store without runs."""
    raise RunError("there is no such run")


def _id(line: bytes) -> str:
    document: str = json.loads(line)["document"]
    if len(bytes.fromhex(document)) != 16:
        raise ValueError(f"{document!r} is no id")
    return document


def _training(root: Path, run: str) -> Path:
    """The folder of a run's training: of one that has finished, one that was begun, or by its digest."""
    store = Store(root)
    if run in named(root):
        folders = [s["digest"] for s in record_of(root, run).body["stages"] if s["kind"] == "train"]
    else:
        wants = [key for intent in intents(root) if intent.name == run for key in intent.wants]
        folders = [Path(key).name for key in wants if key.startswith("train/")] or [run]
    directory = store.directory("train", folders[0]) if folders else root
    if not folders or Posix(directory).head(TRAJECTORY) is None:
        known = ", ".join(sorted({*named(root), *(intent.name for intent in intents(root))})) or "none"
        raise RunError(f"the store {root} has no training of that name; its runs are: {known}")
    return directory


def build(builder: "Builder", name: str, spec: QuarantineStage) -> View:
    """The stage knows the documents, not the runs. Raises RecipeError."""
    view = builder.seen(name, spec, split=False)
    documents: set[str] = set()
    for alias, run in sorted(spec.runs.items()):
        try:
            documents |= builder.quarantines(run)
        except RunError as error:
            raise RecipeError(f"recipe.{name}.runs.{alias}={run!r}: {error}") from None
    stage = builder.stage(name, "quarantine", QuarantineWhat(tuple(sorted(documents))), view.roles())
    return replace(view, verdicts=(*view.verdicts, stage))


KIND = StageKind(QuarantineStage, PROGRAM, build)
