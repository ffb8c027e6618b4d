"""What a training run did, step by step: append-only, one JSON object a line."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from corpus.fault import fault_point

Status = Literal["taken", "skipped", "rolled_back"]


class JournalError(RuntimeError):
    """A journal that contradicts the checkpoints: names the file, the step and the way out."""


@dataclass(frozen=True, slots=True)
class Row:
    """One step of one attempt; samples are [first_sample, last_sample)."""

    step: int
    attempt: int
    first_sample: int
    last_sample: int
    status: Status
    loss: float  # nats per token, mean over the global batch
    lr: float
    grad_norm: float  # before clipping
    tokens: int  # seen when the step ended
    seconds: float
    reason: str = ""  # why it was not taken, or taken back


def read(path: Path) -> list[Row]:
    """All rows in the order written; a torn last line is left out. Raises JournalError for a damaged line."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            rows.append(Row(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise JournalError(f"{path} line {number} is no journal row ({error}): restore it from a copy") from error
    return rows


def effective(rows: Iterable[Row]) -> dict[int, Row]:
    """The steps that made the current weights: those whose last word is that they were taken."""
    last = {row.step: row for row in rows}
    return {step: row for step, row in sorted(last.items()) if row.status == "taken"}


class Journal:
    """Appends rows; every row is in the kernel's hands before `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, rows: Iterable[Row]) -> None:
        """Append rows, one write each; raises JournalError where the disk does not take them."""
        try:
            with self.path.open("ab", buffering=0) as file:
                for row in rows:
                    fault_point("train.journal:row")
                    line = json.dumps(asdict(row)).encode() + b"\n"
                    if file.write(line) != len(line):
                        raise OSError("only part of the row was written")
        except OSError as error:
            raise JournalError(f"cannot write {self.path}: {error}: make room and run again") from error

    def sync(self) -> None:
        """Flush to the disk; called before a checkpoint that relies on the rows is committed."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def reconcile(self, newest: int, first: int = 1) -> int:
        """Make the journal agree with the newest checkpoint; returns how many steps were rolled back.

        A torn last line is cut off; steps beyond the checkpoint are lost work and get a row that says so. Raises
        JournalError when a step from `first` on that the checkpoint contains was never written down.
        """
        if self.path.exists():
            data = self.path.read_bytes()
            whole = data.rfind(b"\n") + 1
            if whole != len(data):
                os.truncate(self.path, whole)
        taken = effective(read(self.path))
        missing = next((step for step in range(first, newest + 1) if step not in taken), None)
        if missing is not None:
            raise JournalError(
                f"{self.path} has no row for step {missing}, but checkpoint step-{newest} contains it: "
                "restore the journal from a copy, or remove the trajectory's folder to train again"
            )
        return self.take_back(newest)

    def take_back(self, step: int) -> int:
        """Steps after that one no longer count; returns how many there were."""
        lost = [row for number, row in effective(read(self.path)).items() if number > step]
        self.append(replace(row, status="rolled_back") for row in lost)
        return len(lost)


def append_segment(path: Path, segment: dict[str, Any]) -> int:
    """Append a start to `segments.jsonl`; returns its number, which is the attempt of its rows."""
    text = path.read_bytes() if path.exists() else b""
    whole = text[: text.rfind(b"\n") + 1]
    attempt = whole.count(b"\n") + 1
    with path.open("ab" if whole == text else "r+b") as file:
        file.seek(len(whole))
        file.truncate()
        file.write(json.dumps({"attempt": attempt, **segment}).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return attempt


def targets(path: Path) -> set[int]:
    """Steps that starts have asked for; their checkpoints are never pruned. Raises JournalError for a damaged line."""
    found = set()
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1] if path.exists() else (), start=1):
        try:
            found.add(int(json.loads(line)["target"]))
        except (ValueError, TypeError, KeyError) as error:
            raise JournalError(f"{path} line {number} is no start ({error!r}): restore it from a copy") from error
    return found
