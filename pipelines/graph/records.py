"""What `<store>/runs/<name>/` tells: `run.json` of a run that has finished, `intent.json` of one that has begun.

An intent is written before any work and goes when the record is there. So `siku gc` knows what a run in progress, or an
interrupted one, still wants.
"""

import json
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic asks for it below Python 3.12

from corpus.fault import fault_point
from corpus.usage import UsageError
from pipelines.engine.files import Listed, ReadOnlyError, StoreError, StoreWarning, is_file
from pipelines.engine.lease import Owner, runs, this_process
from pipelines.engine.store import Store

RECORD, INTENT, SUMMARY = "run.json", "intent.json", "summary.json"


class NoRunError(StoreError, UsageError):
    """A run or a store that is not there: names it, what there is and the way out."""


class _Identity(TypedDict):
    what: dict[str, Any]


class _Stage(TypedDict):
    name: str
    kind: str
    makes: str
    digest: str
    directory: str
    reused: bool
    seconds: float
    identity: _Identity
    inputs: dict[str, str]  # roles to names of stages, of this run or of an earlier one
    view: dict[str, str]


class _Body(TypedDict):
    command: str
    config: dict[str, Any]
    finished: Any
    stages: list[_Stage]
    steps: Any
    earlier: NotRequired[list[_Stage]]


@dataclass(frozen=True, slots=True)
class Record:
    """A finished run, as its run.json tells it."""

    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Intent:
    """A run that has begun: what it wants of the store, as keys of stage folders, and who is at it."""

    name: str
    command: str
    began: float  # seconds since 1970
    what: Mapping[str, Any]  # the configuration's WHAT, as plain values
    wants: tuple[str, ...]
    owner: Owner
    handed: str = ""  # to whom, where its processes have left the work to others
    ended: Literal["", "failed", "stopped"] = ""  # as its process has said; one that was killed says nothing

    @property
    def state(self) -> str:
        """`failed`, `stopped`, `in progress, by ...`, `handed to ...`, or `interrupted`: gone without a word."""
        if self.ended:
            return self.ended
        if self.handed:
            return f"handed to {self.handed}"
        running = runs(self.owner)
        if running is None:
            return f"in progress or interrupted, by {self.owner}"
        return f"in progress, by {self.owner}" if running else "interrupted"


def store_root(path: str | Path) -> Path:
    """The folder of a store that is to be read, whether it is there or not. Raises NoRunError for a file."""
    root = Path(path).expanduser().absolute()
    if is_file(root):
        raise NoRunError(f"site.store={str(root)!r} is a file: set site.store to a folder")
    return root


def record_of(root: Path, name: str) -> Record:
    """A finished run. Raises StoreError for a damaged run.json."""
    files, key = Store(root).files, f"runs/{name}/{RECORD}"
    try:
        body = json.loads(files.read(key))
        _check(body)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{files.local(key)} is damaged ({error}): run the same command again, or give the run up with `siku gc "
            f"--forget {name} --yes`"
        ) from error
    return Record(name, body)


@cache
def _adapter() -> TypeAdapter[_Body]:
    return TypeAdapter(_Body)


def _check(body: object) -> None:
    """Raise ValueError for a record of another shape, or one whose stages read stages that it does not name."""
    try:
        record = _adapter().validate_python(body)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}") from None
    every = [*record["stages"], *record.get("earlier", [])]
    unknown = {name for each in every for name in (*each["inputs"].values(), *each["view"].values())}
    if unknown := unknown - {each["name"] for each in every}:
        raise ValueError(f"its stages read {', '.join(sorted(unknown))}, which it does not name")


def summary_of(root: Path, name: str) -> Mapping[str, Any] | None:
    """The figures that a run's report was drawn from, if it has come so far. Raises StoreError for damaged ones."""
    files, key = Store(root).files, f"runs/{name}/{SUMMARY}"
    if files.head(key) is None:
        return None
    try:
        body: Mapping[str, Any] = json.loads(files.read(key))
    except ValueError as error:
        folder = files.local(f"runs/{name}")
        raise StoreError(f"{files.local(key)} is damaged ({error}): remove {folder} and run again") from error
    return body


def records(root: Path) -> list[Record]:
    """Finished runs, newest first; a damaged one is passed over, with a warning."""
    found = []
    for name in named(root):
        try:
            found.append(record_of(root, name))
        except StoreError as error:
            warnings.warn(f"a run is passed over: {error}", StoreWarning, stacklevel=2)
    return found


def named(root: Path) -> list[str]:
    """Names of runs that have a run.json, whole or not, newest first."""
    heads = dict(_heads(root, RECORD))
    return sorted(heads, key=lambda name: -heads[name].modified_ns)


def _heads(root: Path, file: str) -> Iterator[tuple[str, Listed]]:
    files = Store(root).files
    for name in files.folders("runs"):
        head = files.head(f"runs/{name}/{file}")
        if head is not None:
            yield name, head


def intents(root: Path) -> list[Intent]:
    """Runs that have begun and not finished. Raises StoreError for a damaged intent."""
    return [intent_of(root, name) for name, _ in _heads(root, INTENT)]


def intent_of(root: Path, name: str) -> Intent:
    """What a begun run wants. Raises StoreError for a damaged intent."""
    files, key = Store(root).files, f"runs/{name}/{INTENT}"
    try:
        body = json.loads(files.read(key))
        intent = Intent(**{**body, "wants": tuple(body["wants"]), "owner": Owner(**body["owner"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{files.local(key)} is damaged ({error}), so that what run {name} wants is not known: run its command "
            "again, or remove that file"
        ) from error
    return intent


def begin(root: Path, name: str, command: str, what: Mapping[str, Any], folders: Sequence[Path]) -> None:
    """Write down what a run wants, by this process."""
    wants = tuple(folder.relative_to(root).as_posix() for folder in folders)
    intent = Intent(name, command, time.time(), what, wants, this_process())
    Store(root).files.put(f"runs/{name}/{INTENT}", json.dumps(asdict(intent), indent=1).encode())
    fault_point("record:begun")


def hand(root: Path, name: str, to: str) -> None:
    """Note in an intent, if there is one, that others go on with the run when this process ends."""
    if Store(root).files.head(f"runs/{name}/{INTENT}") is None:
        return
    intent = replace(intent_of(root, name), handed=to)
    Store(root).files.put(f"runs/{name}/{INTENT}", json.dumps(asdict(intent), indent=1).encode())


def stop(root: Path, name: str) -> None:
    """Note in an intent, if there is one, that those it was handed to have been stopped."""
    if Store(root).files.head(key := f"runs/{name}/{INTENT}") is not None:
        intent = replace(intent_of(root, name), handed="", ended="stopped")
        Store(root).files.put(key, json.dumps(asdict(intent), indent=1).encode())


def fail(root: Path, name: str, error: BaseException) -> None:
    """Note in an intent of this process, if there is one, that its run failed or was stopped.

    An OSError or StoreError of the note itself is dropped: what ended the run is what must be told.
    """
    key = f"runs/{name}/{INTENT}"
    with suppress(OSError, StoreError):
        if Store(root).files.head(key) is None:
            return
        intent = intent_of(root, name)
        if replace(this_process(), token=intent.owner.token) == intent.owner:
            intent = replace(intent, ended="failed" if isinstance(error, Exception) else "stopped")
            Store(root).files.put(key, json.dumps(asdict(intent), indent=1).encode())


def end(root: Path, name: str) -> None:
    """Take an intent back: the run's record tells the same, or its name has changed."""
    with suppress(ReadOnlyError):
        Store(root).files.delete(f"runs/{name}/{INTENT}")
