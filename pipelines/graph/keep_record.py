"""What stays of a run: `<store>/runs/<name>/run.json`, written last."""

import json
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from corpus.fault import fault_point
from pipelines.engine.files import Posix, ReadOnlyError, StoreError
from pipelines.graph.finished import Finished
from pipelines.graph.records import RECORD, end, record_of
from pipelines.graph.run import Session

Finish = Callable[[Session, Path, Mapping[str, Any], float], None]  # writes a run's report into its folder


def keep_record(
    session: Session,
    command: Sequence[str],
    asked: Mapping[str, Any],
    seconds: float,
    finish: Finish,
) -> tuple[Path, bool]:
    """Write a run's folder unless it tells of just this already; the folder, and whether it did.

    `asked` is the configuration: its values (`config`), and as it was given (`given`). `finish` writes the report into
    the folder, from the record.
    """
    root, name = session.plan.store.root, session.name
    folder, record = root / "runs" / name, run_record(session, command, asked)
    known = _known(root, name) if all(outcome.reused for outcome in session.done()) else {}
    same = bool(known) and _content(known) == _content(record)
    if same:
        record = dict(known)
    else:
        finish(session, folder, record, seconds)
        fault_point("record:report")
    with suppress(ReadOnlyError) if same else nullcontext():  # the same again: it is now the latest
        Posix(folder).put(RECORD, json.dumps(record, indent=1, sort_keys=True).encode())
    end(root, name)
    return folder, not same


def _known(root: Path, name: str) -> Mapping[str, Any]:
    """The record that a run's folder holds, or nothing where there is none or a damaged one."""
    try:
        return record_of(root, name).body
    except StoreError:
        return {}


def _content(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return record["config"], [(stage["name"], stage["digest"]) for stage in record["stages"]]


def run_record(session: Session, command: Sequence[str], asked: Mapping[str, Any]) -> dict[str, Any]:
    """What run.json holds: configuration, stages with identity and outcome, the exact command; as `earlier` the stages
    of other runs that it read on from. A stage's `view` is what a stage after it sees, by role: an edit is not made
    of the verdicts before it, but they hold after it."""
    graph = session.plan.graph
    views = graph.views if graph is not None else {}
    stages: list[dict[str, Any]] = []
    earlier: list[dict[str, Any]] = []
    for outcome in session.done():
        of = outcome.stage
        (earlier if isinstance(of, Finished) else stages).append(
            {
                "name": outcome.stage.name,
                "kind": outcome.stage.kind,
                "makes": outcome.stage.makes,
                "digest": outcome.stage.digest,
                "directory": str(outcome.artifact.directory),
                "reused": outcome.reused,
                "seconds": round(outcome.seconds, 3),
                "identity": outcome.stage.identity,
                "inputs": {role: source.name for role, source in of.inputs.items()},
                "view": {role: s.name for role, s in views[of.name].roles().items()} if of.name in views else {},
                **({"run": of.run} if isinstance(of, Finished) else {}),
            }
        )
    return {
        "command": shlex.join(command),
        "finished": time.time(),
        "steps": session.config.run.steps,
        **asked,
        "stages": stages,
        "earlier": earlier,
        "python": sys.version.split()[0],
    }
