"""Stages of finished runs as inputs of a new one: known by their records, which say what they are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from corpus.usage import UsageError
from pipelines.engine import roles
from pipelines.engine.identity import Json, RunName
from pipelines.engine.roles import Role
from pipelines.engine.stage import Stage
from pipelines.engine.store import StoreError
from pipelines.graph.records import named, record_of

Records = Mapping[str, Mapping[str, Any]]  # stages of a run's record by name
ReadRun = Callable[[str], Records]


class RunError(UsageError):
    """A finished run that cannot be read on from: names it, what is missing and the way out."""


@dataclass(frozen=True)
class Finished(Stage):
    """A stage that a finished run made. Nothing but its record tells what it is, and it is never made again."""

    run: str = ""
    recorded: Mapping[str, Json] = field(default_factory=dict, repr=False)

    @cached_property
    def identity(self) -> dict[str, Json]:
        """As the run recorded it."""
        return dict(self.recorded)


def reader(root: Path) -> ReadRun:
    """Reads the records of a store's runs. Raises RunError for a run that is not there, naming those that are."""

    def read(name: str) -> Records:
        if name not in (there := named(root)):
            known = ", ".join(sorted(there)) or "none"
            raise RunError(f"the store {root} has no finished run {name!r}; there are: {known}")
        try:
            return {stage["name"]: stage for stage in record_of(root, name).body["stages"]}
        except StoreError as error:
            raise RunError(str(error)) from error

    return read


def no_runs(name: str) -> Records:
    """Reads a store without runs."""
    raise RunError(f"there is no finished run {name!r}")


@dataclass(frozen=True)
class FinishedView:
    """What a finished run kept: its stages by role, as a stage after them would read them."""

    run: str
    prefix: str  # of the names of its stages in the new graph
    records: Records
    roles: Mapping[Role, str]  # role -> name in the run

    def stage(self, name: str) -> Finished:
        """One of the run's stages as an input."""
        body = self.records[name]
        of: Mapping[str, Any] = body["identity"]
        return Finished(
            f"{self.prefix}.{name}",
            body["kind"],
            of["version"],
            of["what"],
            {},
            tuple(of["libraries"]),
            str,
            body["makes"],
            run=self.run,
            recorded=of,
        )

    def joined(self, measure: Json) -> Finished | None:
        """The run's joined measure of that edition, where the edition is a union."""
        for name, body in self.records.items():
            of = body["inputs"].get(roles.EDITION) == self.roles[roles.EDITION]
            if of and body["kind"] == "joined" and body["identity"]["what"]["measure"] == measure:
                return self.stage(name)
        return None


def open_view(read: ReadRun, run: RunName, prefix: str) -> FinishedView:
    """What a run kept at its end, or `NAME/STAGE`: after one of its stages. Raises RunError."""
    name, _, chosen = run.partition("/")
    records = read(name)
    ends = _ends(records)
    last = chosen or (ends or [""])[-1]
    if last not in ends and last not in (judged := _judged(records)):
        raise RunError(f"the run {name} has no stage {chosen!r} to read on from: name one of {judged}")
    seen = _roles(records, last)
    if roles.EDITION not in seen:
        raise RunError(f"the stage {last} of run {name} tells of no documents: name a stage that judges or edits some")
    return FinishedView(name, prefix, records, seen)


def _roles(records: Records, last: str) -> dict[Role, str]:
    """What a stage after `last` would read, by role, and the union that knows which rows of the edition count."""
    seen: dict[Role, str] = dict(records[last]["view"])
    edition = records.get(seen.get(roles.EDITION, ""), {"kind": "", "inputs": {}})
    union = seen[roles.EDITION] if edition["kind"] == "union" else edition["inputs"].get(roles.UNION, "")
    return seen | ({roles.UNION: union} if union else {})


def _judged(records: Records) -> list[str]:
    """Stages after which it is known which documents are in, in the order of the run."""
    return [name for name, body in records.items() if body["makes"] in ("edition", "sides", "verdicts")]


def _ends(records: Records) -> list[str]:
    """Stages at whose last a run's corpus is what it is trained on: its training tokens, or else its judges."""
    tokenized = [name for name, body in records.items() if body["kind"] == "tokenize"]
    tokens = [name for name in tokenized if records[name]["identity"]["what"]["side"] == "train"]
    return tokens or _judged(records)
