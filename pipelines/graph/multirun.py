"""An ablation: the cells of a sweep as one graph, made together and scored on the same held-out documents."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.engine.identity import digest_of
from pipelines.engine.stage import Stage
from pipelines.graph.keep_record import Finish, keep_record
from pipelines.graph.recipe import RecipeError
from pipelines.graph.run import Request, Session, run_plans
from pipelines.graph.stage_log import StageLog

if TYPE_CHECKING:
    from conf.load import Cell


@dataclass(frozen=True, slots=True)
class Multirun:
    """What a sweep left: the store's folder for it, and each cell's run."""

    folder: Path
    runs: tuple[Path, ...]


def multirun(cells: "Sequence[Cell]", commands: Sequence[Sequence[str]], log: StageLog, finish: Finish) -> Multirun:
    """Run every cell and keep its record; `commands` are those that give each cell alone.

    Raises RecipeError if cells cannot be compared.
    """
    requests = [
        Request(cell.config, shlex.join(command), number)
        for number, (cell, command) in enumerate(zip(cells, commands, strict=True), 1)
    ]
    sessions, runs = run_plans(requests, log, _same_yardstick), []
    for session, cell, command in zip(sessions, cells, commands, strict=True):
        seconds = sum(outcome.seconds for outcome in session.done())
        runs.append(keep_record(session, command, cell.record(), seconds, finish)[0])
    distinct = {outcome.stage.digest for session in sessions for outcome in session.done()}
    log.say(f"{len(sessions)} cells, {sum(len(s.done()) for s in sessions)} stages, {len(distinct)} of them distinct")
    last = [session.done()[-1].stage.digest for session in sessions]
    name = cells[0].config.run.name or digest_of([*last])[:12]
    return Multirun(sessions[0].plan.store.root / "sweeps" / name, tuple(runs))


def _same_yardstick(sessions: Sequence[Session]) -> None:
    check_yardstick([session.plan.stages() for session in sessions])


def check_yardstick(cells: Sequence[Sequence[Stage]]) -> None:
    """Cells are compared on one held-out set with one tokenizer, or not at all: raise RecipeError otherwise."""
    for kind in ("held_out", "tokenizer"):
        seen: dict[str, list[int]] = {}
        for number, stages in enumerate(cells, 1):
            for stage in stages:
                if stage.kind == kind or getattr(stage.what, "side", "") == kind:
                    seen.setdefault(stage.digest, []).append(number)
        if len(seen) > 1:
            raise RecipeError(
                f"the cells have {len(seen)} different {kind} stages (cells {sorted(seen.values())}): sweep only "
                "fields that leave the held-out set and the tokenizer as they are"
            )
