"""An ablation: the cells of a sweep as one graph, scored on the same held-out documents, in one table."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.engine.execute import Say
from pipelines.engine.identity import digest_of
from pipelines.engine.store import write_durably
from pipelines.graph.recipe import RecipeError
from pipelines.graph.record import Finish, keep_record
from pipelines.graph.run import Session, run_plans

if TYPE_CHECKING:
    from conf.load import Cell


def multirun(cells: "Sequence[Cell]", commands: Sequence[Sequence[str]], say: Say, out: Say, finish: Finish) -> int:
    """Run every cell and print the table; `commands` are those that give each cell alone.

    Raises RecipeError if cells cannot be compared.
    """
    sessions = run_plans([cell.config for cell in cells], say, _same_yardstick)
    root, rows = sessions[0].plan.store.root, []
    for number, (session, cell, command) in enumerate(zip(sessions, cells, commands, strict=True), 1):
        seconds = sum(outcome.seconds for outcome in session.done())
        folder, _ = keep_record(session, command, cell.record(), seconds, finish, number)
        rows.append(row(session, folder.name, cell.swept))
    folder = root / "sweeps" / digest_of([session.done()[-1].stage.digest for session in sessions])[:12]
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(folder / "table.json", json.dumps(rows, indent=1, ensure_ascii=False))
    text = render(rows)
    write_durably(folder / "table.txt", text)
    distinct = {outcome.stage.digest for session in sessions for outcome in session.done()}
    total = sum(len(session.done()) for session in sessions)
    say(f"{len(sessions)} cells, {total} stages, {len(distinct)} of them distinct")
    out(text)
    out(str(folder))
    return 0


def _same_yardstick(sessions: list[Session]) -> None:
    """Cells are compared on one held-out set with one tokenizer, or not at all."""
    for role in ("held_out", "tokenizer"):
        seen: dict[str, list[int]] = {}
        for index, session in enumerate(sessions):
            for stage in session.plan.stages():
                if stage.kind == role or getattr(stage.what, "side", "") == role:
                    seen.setdefault(stage.digest, []).append(index)
        if len(seen) > 1:
            raise RecipeError(
                f"the cells have {len(seen)} different {role} stages (cells {sorted(seen.values())}): sweep only "
                "fields that leave the held-out set and the tokenizer as they are"
            )


def row(session: Session, name: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """One cell of the table."""
    done = session.done()
    sides = [o.artifact.figures["components"] for o in done if getattr(o.stage.what, "side", "") == "train"]
    tokens = {name: found["tokens"] for components in sides for name, found in sorted(components.items())}
    scores = [o.artifact.figures["result"]["languages"] for o in done if o.stage.name == "evaluate"]
    config = session.config
    seen = config.run.steps * config.train.global_batch * config.model.sequence_length if scores else 0
    return {
        "fields": dict(fields),
        "run": name,
        "tokens": tokens,
        "trained_tokens": seen,
        "epochs": seen / sum(tokens.values()) if tokens else 0.0,
        "bits_per_byte": {name: found["bits_per_byte"] for each in scores for name, found in sorted(each.items())},
    }


def render(rows: Sequence[dict[str, Any]]) -> str:
    """The table as text, one line a cell; what a cell does not have is `-`."""
    fields = list(rows[0]["fields"])
    components = sorted({name for r in rows for name in r["tokens"]})
    languages = sorted({name for r in rows for name in r["bits_per_byte"]})
    head = [*fields, *(f"tokens {name}" for name in components), "epochs", *(f"bits/byte {n}" for n in languages)]
    body = [
        [
            *(r["fields"][name] for name in fields),
            *(f"{r['tokens'][name]:,}" if name in r["tokens"] else "-" for name in components),
            f"{r['epochs']:.2f}",
            *(f"{r['bits_per_byte'][name]:.4f}" if name in r["bits_per_byte"] else "-" for name in languages),
        ]
        for r in rows
    ]
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in [head, *body]]
    return "\n".join(lines) + "\n"
