"""An ablation: the cells of a sweep as one graph, scored on the same held-out documents, in one table."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from conf.load import ConfigError, compose, expand, validate
from conf.schema import WHERE
from pipelines.checksum import Checksums
from pipelines.execute import Say
from pipelines.identity import Json, differences, digest_of, encode
from pipelines.run import Session, run_name, run_plans, run_record
from pipelines.store import write_durably


def multirun(overrides: Sequence[str], say: Say, out: Say) -> int:
    """Run every cell of `a.b=1,2` overrides and print the table. Raises ConfigError if cells cannot be compared."""
    from pipelines.report import finish

    cells = list(expand(overrides))
    configs = [validate(compose(cell)) for cell in cells]
    _refuse_where(cells, configs[0].run.repeat)
    sessions = run_plans(configs, say, _same_yardstick)
    root = sessions[0].plan.store.root
    encoded = [encode(dataclasses.asdict(c), Checksums(root / "checksums"), "config") for c in configs]
    for session, cell, config in zip(sessions, cells, encoded, strict=True):
        folder = root / "runs" / run_name(session)
        if not (folder / "run.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            record = run_record(session, ["siku", "run", *cell], config)
            finish(session, folder, record, sum(outcome.seconds for outcome in session.done()))
            write_durably(folder / "run.json", json.dumps(record, indent=1, sort_keys=True))
    rows = [row(session, _differing(encoded, config)) for session, config in zip(sessions, encoded, strict=True)]
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


def _refuse_where(cells: Sequence[Sequence[str]], repeat: bool) -> None:
    if repeat:
        return
    for position in range(len(cells[0])):
        values = {cell[position] for cell in cells}
        key = cells[0][position].lstrip("+").partition("=")[0]
        if len(values) > 1 and key.partition(".")[0] in WHERE - {"run"}:
            raise ConfigError(
                f"a sweep over {key} repeats one result, for {key.partition('.')[0]} says where a run happens, not "
                "what it is: set run.repeat=true if the repetition is meant"
            )


def _same_yardstick(sessions: list[Session]) -> None:
    """Cells are compared on one held-out set with one tokenizer, or not at all."""
    for role in ("held_out", "tokenizer"):
        seen: dict[str, list[int]] = {}
        for index, session in enumerate(sessions):
            for stage in session.plan.stages():
                if stage.kind == role or getattr(stage.what, "side", "") == role:
                    seen.setdefault(stage.digest, []).append(index)
        if len(seen) > 1:
            raise ConfigError(
                f"the cells have {len(seen)} different {role} stages (cells {sorted(seen.values())}): sweep only "
                "fields that leave the held-out set and the tokenizer as they are"
            )


def _differing(encoded: Sequence[Json], mine: Json) -> dict[str, Json]:
    changed = sorted({path for other in encoded for path, _, _ in differences(encoded[0], other)})
    return {path: _at(mine, path) for path in changed}


def _at(value: Json, path: str) -> Json:
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def row(session: Session, fields: dict[str, Json]) -> dict[str, Any]:
    """One cell of the table."""
    by_name = {outcome.stage.name: outcome for outcome in session.done()}
    tokens = next(o for o in by_name.values() if getattr(o.stage.what, "side", "") == "train").artifact.figures[
        "components"
    ]
    available = sum(component["tokens"] for component in tokens.values())
    config = session.config
    seen = config.run.steps * config.train.global_batch * config.model.sequence_length
    result = by_name["evaluate"].artifact.figures["result"]
    return {
        "fields": fields,
        "run": run_name(session),
        "tokens": {name: component["tokens"] for name, component in sorted(tokens.items())},
        "trained_tokens": seen,
        "epochs": seen / available if available else 0.0,
        "bits_per_byte": {name: scores["bits_per_byte"] for name, scores in sorted(result["languages"].items())},
    }


def render(rows: Sequence[dict[str, Any]]) -> str:
    """The table as text, one line a cell."""
    fields, languages = list(rows[0]["fields"]), list(rows[0]["bits_per_byte"])
    head = [
        *fields,
        *(f"tokens {name}" for name in rows[0]["tokens"]),
        "epochs",
        *(f"bits/byte {n}" for n in languages),
    ]
    body = [
        [
            *(json.dumps(r["fields"][name], ensure_ascii=False) for name in fields),
            *(f"{n:,}" for n in r["tokens"].values()),
            f"{r['epochs']:.2f}",
            *(f"{r['bits_per_byte'][name]:.4f}" for name in languages),
        ]
        for r in rows
    ]
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in [head, *body]]
    return "\n".join(lines) + "\n"
