"""What an item of work leaves behind: files, its ledger and figures, in a record created only if absent.

A phase that is complete gets one summary of its records, so that no later item reads them one by one.
"""

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from corpus.verdict import Tally, total
from pipelines.engine.files import Files, Listed, StoreError, StoreWarning
from pipelines.engine.identity import Json, digest_of


@dataclass(frozen=True, slots=True)
class Entry:
    """One committed file: its name on disk within the stage's folder, rows, bytes and SHA-256."""

    file: str
    rows: int
    bytes: int
    sha256: str
    item: str = ""  # in a manifest: `phase/item` that makes it again; empty where nothing can

    @property
    def referred(self) -> bool:
        """Whether it is a file of another stage, by its path from here (`../...`)."""
        return self.file.startswith("../")

    def content(self) -> dict[str, Json]:
        """What is compared: not the attempt-unique file name."""
        return {"rows": self.rows, "bytes": self.bytes, "sha256": self.sha256}

    def encode(self) -> dict[str, Json]:
        """As JSON."""
        return {"file": self.file, **self.content(), **({"item": self.item} if self.item else {})}


@dataclass(frozen=True, slots=True)
class Commit:
    """What one item left behind: files by logical name, its tally, and figures for the seal."""

    files: Mapping[str, Entry] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    figures: Mapping[str, Any] = field(default_factory=dict)

    def content_hash(self) -> str:
        """Equal for equal work, whoever did it and when."""
        return content_hash(self.files, self.tally, self.figures)

    def encode(self, token: str) -> bytes:
        """The record; the token tells one attempt's from another's."""
        body = {
            "token": token,
            "content_hash": self.content_hash(),
            "files": {k: v.encode() for k, v in sorted(self.files.items())},
            "tally": self.tally.encode(),
            "figures": self.figures,
        }
        return json.dumps(body, sort_keys=True).encode()

    @classmethod
    def decode(cls, data: bytes, path: Path) -> "Commit":
        """A record read at `path`. Raises StoreError for a damaged one."""
        try:
            body = json.loads(data)
            files = {name: Entry(**entry) for name, entry in body["files"].items()}
            commit = cls(files, Tally.decode(body["tally"]), body["figures"])
            if commit.content_hash() != body["content_hash"]:
                raise ValueError("its content is not what it promises")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(
                f"commit record {path} is damaged ({error!r}): remove it and run again, which makes its item again"
            ) from error
        return commit


def content_hash(files: Mapping[str, Entry], tally: Tally, figures: Mapping[str, Any]) -> str:
    """What is compared of an item or of a stage."""
    content: dict[str, Json] = {name: entry.content() for name, entry in files.items()}
    return digest_of({"files": content, "tally": _json(tally.encode()), "figures": _json(figures)})


def file_sizes(files: Files, entries: Mapping[str, Entry]) -> dict[str, int]:
    """Bytes of the files of a stage's folder, and of those of others that it refers to, by logical name."""
    sizes = {each.key: each.bytes for each in files.list()}
    found: dict[str, int] = {}
    for name, entry in entries.items():
        size = sizes.get(entry.file)
        if entry.referred and (head := files.head(entry.file)) is not None:
            size = head.bytes
        if size is not None:
            found[name] = size
    return found


def _json(value: object) -> Json:
    loaded: Json = json.loads(json.dumps(value, sort_keys=True))
    return loaded


def sum_tallies(commits: Iterable[Commit]) -> Tally:
    """The ledger of a stage from its items."""
    return total(commit.tally for commit in commits)


@dataclass(frozen=True, slots=True)
class Commits:
    """The items that a stage in the making has committed."""

    files: Files

    def key(self, phase: str, item: str) -> str:
        """Where an item's record lies."""
        return f"commits/{phase}/{item}.json"

    def names(self, phase: str) -> list[str]:
        """Committed items of a phase, in order of name."""
        prefix = f"commits/{phase}/"
        keys = [each.key for each in self.files.list(prefix)]
        return [key.removeprefix(prefix).removesuffix(".json") for key in keys if key.endswith(".json")]

    def get(self, phase: str, item: str) -> Commit:
        """What one item left. Raises StoreError for a damaged record."""
        key = self.key(phase, item)
        return Commit.decode(self.files.read(key), self.files.local(key))

    def read(self, phase: str) -> dict[str, Commit]:
        """Committed items of a phase by name, in order of name; by its summary where there is one."""
        summary = self.files.head(_summary(phase))
        if summary is not None:
            return dict(_read_summary(self.files, summary))
        return {name: self.get(phase, name) for name in self.names(phase)}

    def summarize(self, phase: str) -> None:
        """Write the summary of a phase whose items are all committed."""
        if self.files.head(_summary(phase)) is None:
            lines = [
                json.dumps({"item": name, "record": self.files.read(self.key(phase, name)).decode()})
                for name in self.names(phase)
            ]
            self.files.put(_summary(phase), "\n".join(lines).encode())

    def check(self, phase: str) -> None:
        """Before a phase goes on: forget items whose record is damaged, or whose files are not there in full."""
        names = self.names(phase)
        sizes = {each.key: each.bytes for each in self.files.list()} if names else {}
        for name in names:
            try:
                commit = self.get(phase, name)
            except StoreError as error:
                self._forget(phase, name, repr(error.__cause__))
                continue
            for entry in commit.files.values():
                if sizes.get(entry.file) != entry.bytes:
                    self._forget(phase, name, f"its file {entry.file} is not there in full")
                    break

    def _forget(self, phase: str, name: str, why: str) -> None:
        key = self.key(phase, name)
        warnings.warn(f"{self.files.local(key)} is passed over ({why}): the item is made again", StoreWarning, 2)
        self.files.delete(_summary(phase))
        self.files.delete(key)

    def restore(self) -> None:
        """Write records again from the summaries that a sealed stage keeps, but for items that lack a file."""
        listed = self.files.list()
        sizes = {each.key: each.bytes for each in listed}
        for key in [each.key for each in listed if each.key.startswith("commits/") and each.key.endswith(".jsonl")]:
            try:
                for name, record, commit in _records(self.files, key):
                    if all(sizes.get(entry.file) == entry.bytes for entry in commit.files.values()):
                        self.files.create(self.key(key[8:-6], name), record)
            except StoreError as error:
                warnings.warn(f"{error}; its items are made again", StoreWarning, 2)
            self.files.delete(key)


def _summary(phase: str) -> str:
    return f"commits/{phase}.jsonl"


def _records(files: Files, key: str) -> Iterator[tuple[str, bytes, Commit]]:
    path = files.local(key)
    for number, line in enumerate(files.read(key).splitlines(), 1):
        try:
            body = json.loads(line)
            name, record = body["item"], body["record"].encode()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{path}, line {number}, is damaged ({error!r}): remove it and run again") from error
        yield name, record, Commit.decode(record, path)


@lru_cache(maxsize=8)
def _read_summary(files: Files, summary: Listed) -> Mapping[str, Commit]:
    """A summary, parsed once a process while it stays as it is."""
    return {name: commit for name, _, commit in _records(files, summary.key)}
