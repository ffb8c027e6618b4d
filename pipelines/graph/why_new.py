"""Why a stage is new, beside the finished runs of a store; and how that is said."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipelines.engine.checksum import Checksums
from pipelines.engine.identity import Json, differences
from pipelines.engine.roles import Role
from pipelines.engine.stage import Stage
from pipelines.graph.records import records

FIRST_TIME = "first time"
SHOWN = 4  # differences that are said


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """A finished run: what each of its stages was, by name, as its run.json tells it."""

    run: str
    identities: Mapping[str, Json]
    root: Path


@dataclass(frozen=True, slots=True)
class Why:
    """`changed`: in these fields of its identity, from `run`, the run with the fewest; each as path, there, here.

    `gone`: `run` had it, the store has not. `longer`: the same training, to a later step. `first`: no run has had it.
    """

    cause: Literal["first", "gone", "longer", "changed"]
    run: str = ""
    differences: tuple[tuple[str, Json, Json], ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)  # by role: what has changed in a folder of the user's own


def earlier_runs(root: Path) -> list[EarlierRun]:
    """Finished runs, newest first."""
    return [
        EarlierRun(each.name, {s["name"]: s["identity"] for s in each.body["stages"]}, root) for each in records(root)
    ]


def why_new(stage: Stage, earlier: Sequence[EarlierRun]) -> Why:
    """What sets a stage apart from the nearest earlier run."""
    nearest = Why("first")
    for known in earlier:
        if stage.name not in known.identities:
            continue
        changed = differences(known.identities[stage.name], dict(stage.identity))
        if not changed:
            return Why("longer" if stage.kind == "train" else "gone", known.run)
        if nearest.cause == "first" or len(changed) < len(nearest.differences):
            nearest = Why("changed", known.run, tuple(changed), _files(stage, known))
    return nearest


def _files(stage: Stage, known: EarlierRun) -> dict[str, str]:
    """By role: what an input's folder holds that an earlier run's did not, and the other way round."""
    checksums, told = Checksums(known.root / "checksums"), {}
    for role, source in stage.inputs.items():
        if source.kind == "files" and source.name in known.identities:
            changed = differences(known.identities[source.name], dict(source.identity))
            for old, new in ((old, new) for path, old, new in changed if path.endswith(".$file")):
                before, now = checksums.listing(str(old)), checksums.listing(str(new))
                if before is not None and now is not None:
                    told[str(role)] = _named_files(before, now)
    return told


def _named_files(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    fates = {
        "new": now.keys() - before.keys(),
        "changed": {name for name in now.keys() & before.keys() if now[name] != before[name]},
        "gone": before.keys() - now.keys(),
    }
    parts = []
    for fate, names in fates.items():
        more = ", ..." if len(names) > SHOWN else ""
        if names:
            counted = f"{len(names):,} {'file' if len(names) == 1 else 'files'} {fate}"
            parts.append(f"{counted} ({', '.join(sorted(names)[:SHOWN])}{more})")
    return ", ".join(parts)


def sentence(stage: Stage, why: Why) -> str:
    """As plans and runs print it: own fields before inputs, which are named by stage, not by digest."""
    if why.cause == "longer":
        return "the trajectory is there, a checkpoint of this step is not"
    if why.cause == "gone":
        return f"its result is gone from the store (run {why.run} had it)"
    if why.cause == "first":
        return FIRST_TIME
    own_first = sorted(why.differences, key=lambda each: each[0].startswith("inputs."))
    return "; ".join(_difference(stage, why, path, old, new) for path, old, new in own_first[:SHOWN])


def _difference(stage: Stage, why: Why, path: str, old: Json, new: Json) -> str:
    role = Role(path.removeprefix("inputs."))
    if role != path:
        files = f": {why.files[role]}" if role in why.files else ""
        return f"input {stage.inputs[role].name if role in stage.inputs else role} changed{files}"
    return f"{setting(stage, path)}: {_short(old)} -> {_short(new)}"


def setting(stage: Stage, path: str) -> str:
    """The configuration key behind a field of a stage's identity."""
    field = path.removeprefix("what.")
    if field == path:  # a version, or a library
        return f"{stage.name} {path}"
    if stage.kind in ("train", "evaluate"):
        return {"step": "run.steps", "seed": "train.seed"}.get(field, field)
    if stage.kind in ("measure", "keys"):  # one of several that a stage of the recipe names
        group, _, name = stage.name.partition(".")
        below = "measures" if stage.kind == "measure" else "keys"
        return f"recipe.{group}.{below}.{name}.{field.partition('.')[2]}"
    return f"recipe.{stage.name}.{field}"


def _short(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, dict) and "$file" in value:
        return f"file {str(value['$file'])[:8]}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
