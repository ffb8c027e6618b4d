"""One try at one item: its files count only once its commit record is there."""

import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from corpus.fault import fault_point
from corpus.shard import sha256_file, write_shard
from corpus.verdict import Tally
from pipelines.engine.commit import Commit, Commits, Entry
from pipelines.engine.files import Files, StoreError, explained


class Attempt:
    """Use as a context manager; files written here count only once it exits cleanly."""

    def __init__(self, files: Files, kind: str, phase: str, item: str) -> None:
        self._files, self._place = files, f"{kind}.{phase}"
        self._record = Commits(files).key(phase, item)
        self._token = uuid.uuid4().hex[:8]
        self._entries: dict[str, Entry] = {}
        self._tally = Tally()
        self._figures: dict[str, Any] = {}
        self._staged, self._keys = ExitStack(), list[str]()

    def path(self, name: str, suffix: str) -> Path:
        """An attempt-unique path for a file that is not an Arrow shard; follow with `add`."""
        key = f"{name}.{self._token}{suffix}"
        self._keys.append(key)
        return self._staged.enter_context(self._files.stage(key))

    def add(self, name: str, path: Path, rows: int) -> None:
        """Count a finished file, written at `path(name, ...)`, as part of the item."""
        file = path.relative_to(self._files.local("")).as_posix()
        head = self._files.head(file)
        if head is None:
            raise StoreError(f"{path}, which the item writes as {name}, is not there: write it before it is added")
        self._enter(name, Entry(file, rows, head.bytes, sha256_file(path)))

    def _enter(self, name: str, entry: Entry) -> None:
        if name in self._entries:
            raise StoreError(f"{self._files.local(self._record)}: the item writes {name} twice")
        self._entries[name] = entry

    def shard(
        self, name: str, batches: Iterable[pa.RecordBatch | pa.Table], schema: pa.Schema, *, compressed: bool = True
    ) -> None:
        """Write an Arrow shard under a logical name such as `documents-00003`."""
        path = self.path(name, ".arrow")
        with explained(path):
            shard = write_shard(path, self._halfway(batches), schema, compressed=compressed)
        self._enter(name, Entry(path.name, shard.rows, shard.bytes, shard.sha256))

    def _halfway(self, batches: Iterable[pa.RecordBatch | pa.Table]) -> Iterator[pa.RecordBatch | pa.Table]:
        for batch in batches:
            yield batch
            fault_point(f"{self._place}:write")

    def tally(self, tally: Tally) -> None:
        """Add to the item's ledger figures."""
        self._tally = self._tally + tally

    def figure(self, name: str, value: object) -> None:
        """A small JSON value that the seal will read. Raises StoreError for anything else."""
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            record = self._files.local(self._record)
            raise StoreError(f"{record}: figure {name} = {value!r} is not JSON ({error})") from None
        self._figures[name] = value

    def __enter__(self) -> "Attempt":
        fault_point(f"{self._place}:begin")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        kept = False
        try:
            self._staged.__exit__(kind, error, trace)  # every file is durable, or gone
            kept = error is None and self._commit()
        except BaseException:
            kept = self._committed()
            raise
        finally:
            if not kept:
                for key in self._keys:
                    self._files.delete(key)

    def _commit(self) -> bool:
        """Create the record; False where an equal attempt was first. Raises StoreError where that one differs."""
        commit = Commit(self._entries, self._tally, self._figures)
        commit.tally.check(self._record.removeprefix("commits/").removesuffix(".json"))
        fault_point(f"{self._place}:commit")
        if self._files.create(self._record, commit.encode(self._token)):
            fault_point(f"{self._place}:committed")
            return True
        path = self._files.local(self._record)
        if Commit.decode(self._files.read(self._record), path).content_hash() != commit.content_hash():
            raise StoreError(
                f"{path}: a second attempt at this item made other bytes than the first. Its code or libraries are not "
                "deterministic; fix that, bump the stage's version and run again"
            )
        return False

    def _committed(self) -> bool:
        """Whether the record is this attempt's own: an interrupt may come between it and the return."""
        if self._files.head(self._record) is None:
            return False
        return bool(json.loads(self._files.read(self._record))["token"] == self._token)
