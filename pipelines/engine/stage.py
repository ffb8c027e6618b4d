"""A stage is what it is (Stage, hashed) and how it is made (Program: phases of independent items)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from corpus.verdict import Count, Tally
from pipelines.engine.identity import FileHash, Json, digest_of, encode, library_versions
from pipelines.engine.store import Artifact, Attempt, Commit


@dataclass(frozen=True)
class Stage:
    """One node of the graph. `name` is the recipe's word for it and is not part of what it is."""

    name: str
    kind: str
    version: int
    what: object
    inputs: Mapping[str, "Stage"]
    libraries: tuple[str, ...]
    file_hash: FileHash = field(repr=False, compare=False)

    @cached_property
    def identity(self) -> dict[str, Json]:
        """Everything that decides the output, encoded."""
        return {
            "kind": self.kind,
            "version": self.version,
            "what": encode(self.what, self.file_hash, self.name),
            "inputs": {role: stage.digest for role, stage in sorted(self.inputs.items())},
            "libraries": library_versions(self.libraries),
        }

    @cached_property
    def digest(self) -> str:
        """The name of this stage's result in any store."""
        return digest_of(self.identity)


@dataclass(frozen=True, slots=True)
class Item:
    """An independent piece of a phase: at most about 512 MB of input. `name` is unique within its phase."""

    name: str
    bytes: int = 0
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What an item's function is given besides the item; pickled to workers."""

    name: str
    kind: str
    what: Any
    directory: Path
    inputs: Mapping[str, Artifact]
    where: Mapping[str, Any]  # WHERE values a stage needs: name resolution, politeness, local paths

    def begin(self, phase: str, item: str) -> Attempt | None:
        """A new attempt at an item, or None if the item is committed."""
        record = self.directory / "commits" / phase / f"{item}.json"
        if record.exists():
            return None
        record.parent.mkdir(parents=True, exist_ok=True)
        return Attempt(self.directory, phase, item)

    def commits(self, phase: str) -> dict[str, Commit]:
        """Committed items of a phase by name, in name order."""
        folder = self.directory / "commits" / phase
        return {path.stem: Commit.load(path) for path in sorted(folder.glob("*.json"))}

    def file(self, entry_name: str, phase: str, item: str) -> Path:
        """A file that an item of an earlier phase of this stage committed."""
        commit = Commit.load(self.directory / "commits" / phase / f"{item}.json")
        return self.directory / commit.files[entry_name].file


Job = tuple[Context, ...]  # one context, or several stages made in one pass (measures)
ItemFunction = Callable[[Job, Item], None]


@dataclass(frozen=True, slots=True)
class Phase:
    """Independent items and the importable function that does one. Scratch phases leave no output."""

    name: str
    items: Sequence[Item]
    function: ItemFunction
    scratch: bool = False


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a program says of the finished stage: its ledger, and figures for the report."""

    tally: Tally
    figures: Mapping[str, Any] = field(default_factory=dict)


Step = Callable[[Job], Phase]  # later phases are listed from what earlier ones committed


@dataclass(frozen=True, slots=True)
class Program:
    """How a kind of stage is made. `steps` run in turn; `seal` reconciles what they committed."""

    kind: str
    version: int
    libraries: tuple[str, ...]
    steps: tuple[Step, ...]
    seal: Callable[[Context], Sealed]
    rounds: Callable[[Job], Iterator[Phase]] | None = None  # phases known only as the work goes on (a crawl)
    due: Callable[[Context], Count | None] = lambda context: None  # documents that must come in, where any pass through
    beam: bool = True  # False: runs in the calling process (starts the trainer)

    def phases(self, job: Job) -> Iterator[Phase]:
        """The phases in turn; each is asked for once the ones before it are committed."""
        for step in self.steps:
            yield step(job)
        if self.rounds is not None:
            yield from self.rounds(job)
