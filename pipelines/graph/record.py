"""What stays of a run: `<store>/runs/<name>/run.json`, written last."""

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from corpus.fault import fault_point
from pipelines.engine.files import Posix
from pipelines.graph.finished import Finished
from pipelines.graph.run import Session

Finish = Callable[[Session, Path, Mapping[str, Any], float], None]  # writes a run's report into its folder


def run_name(session: Session, cell: int | None = None) -> str:
    """The run's folder name: given (with the cell's number in a sweep), or by what its last stage is."""
    last, name = session.done()[-1], session.config.run.name
    if name:
        return name if cell is None else f"{name}-{cell}"
    return f"{last.stage.name}-{last.stage.digest[:12]}"


def keep_record(
    session: Session,
    command: Sequence[str],
    asked: Mapping[str, Any],
    seconds: float,
    finish: Finish,
    cell: int | None = None,
) -> tuple[Path, bool]:
    """Write a run's folder unless it tells of just this already; the folder, and whether it did.

    `asked` is the configuration: its values (`config`), and as it was given (`given`). `finish` writes the report into
    the folder, from the record.
    """
    folder = session.plan.store.root / "runs" / run_name(session, cell)
    record, path = run_record(session, command, asked), folder / "run.json"
    if path.exists() and all(outcome.reused for outcome in session.done()):
        known = json.loads(path.read_text())
        digests = [[(stage["name"], stage["digest"]) for stage in each["stages"]] for each in (known, record)]
        if digests[0] == digests[1] and known["config"] == asked["config"]:
            os.utime(path)
            return folder, False
    finish(session, folder, record, seconds)
    fault_point("record:report")
    Posix(folder).put(path.name, json.dumps(record, indent=1, sort_keys=True).encode())
    return folder, True


def run_record(session: Session, command: Sequence[str], asked: Mapping[str, Any]) -> dict[str, Any]:
    """What run.json holds: configuration, stages with identity and outcome, the exact command; as `earlier` the stages
    of other runs that it read on from."""
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
                "inputs": {role: source.name for role, source in outcome.stage.inputs.items()},
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
