"""A stage is what it is (Stage, hashed) and how it is made (Program: phases of independent items)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

from corpus.verdict import Count, Tally
from pipelines.engine.artifact import MANIFEST, Artifact, verified
from pipelines.engine.attempt import Attempt
from pipelines.engine.commit import Commit, Commits, Entry
from pipelines.engine.files import Files, Listed, Posix
from pipelines.engine.identity import FileHash, Json, digest_of, encode, library_versions
from pipelines.engine.memory import USUAL_MEMORY
from pipelines.engine.roles import Role

# What later stages, reports and exports find in a result: shards of documents, of sides (split, union), of verdicts, of
# a measure's columns, of tokens by component.
Makes = Literal["", "edition", "sides", "verdicts", "measure", "keys", "tokens"]


@dataclass(frozen=True)
class Stage:
    """One node of the graph. `name`, the recipe's word for it, and `makes` are not part of what it is."""

    name: str
    kind: str
    version: int
    what: object
    inputs: Mapping[Role, "Stage"]
    libraries: tuple[str, ...]
    file_hash: FileHash = field(repr=False, compare=False)
    makes: Makes = ""

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


class Inputs(Mapping[Role, Artifact]):
    """Finished stages by role. Crosses to workers as names of folders; each manifest is loaded where it is read."""

    def __init__(self, artifacts: Mapping[Role, Artifact]) -> None:
        self._artifacts: dict[Role, Artifact | Reference] = dict(artifacts)

    def __getitem__(self, role: Role) -> Artifact:
        artifact = self._artifacts[role]
        if isinstance(artifact, Reference):
            artifact = self._artifacts[role] = _artifact(artifact)
        return artifact

    def __iter__(self) -> Iterator[Role]:
        return iter(self._artifacts)

    def __len__(self) -> int:
        return len(self._artifacts)

    def __reduce__(self) -> tuple[Any, ...]:
        """Artefacts with a manifest as references; those without one, such as a user's files, as they are."""
        return (Inputs, ({role: _reference(each) for role, each in self._artifacts.items()},))


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a finished stage lies."""

    kind: str
    digest: str
    directory: Path


def _reference(artifact: Artifact | Reference) -> Artifact | Reference:
    if isinstance(artifact, Reference) or not artifact.files:
        return artifact
    return Reference(artifact.kind, artifact.digest, artifact.directory)


def _artifact(reference: Reference) -> Artifact:
    return _loaded(reference, Posix(reference.directory).head(MANIFEST))


@lru_cache(maxsize=256)
def _loaded(reference: Reference, manifest: Listed | None) -> Artifact:
    """Read once a process, while the manifest stays as it is: a stage that lost a file gets another one."""
    return Artifact.load(reference.kind, reference.digest, reference.directory)


@dataclass(frozen=True)
class Context:
    """A stage in the making: what it is, where its folder is, its inputs; pickled to workers."""

    name: str
    kind: str
    what: Any
    directory: Path
    inputs: Mapping[Role, Artifact]
    where: Mapping[str, Any]  # WHERE values a stage needs: name resolution, politeness, local paths

    def __post_init__(self) -> None:
        if not isinstance(self.inputs, Inputs):
            object.__setattr__(self, "inputs", Inputs(self.inputs))

    @property
    def memory(self) -> int:
        """Bytes that an item may hold while it sorts and merges."""
        return int(self.where.get("memory", USUAL_MEMORY))

    @property
    def files(self) -> Files:
        """The stage's folder."""
        return Posix(self.directory)

    @property
    def log(self) -> Commits:
        """What the stage's items have committed."""
        return Commits(self.files)

    def committed(self, phase: str, item: str) -> bool:
        """Whether an item is done."""
        return self.files.head(self.log.key(phase, item)) is not None

    def begin(self, phase: str, item: str) -> Attempt | None:
        """A new attempt at an item, or None if the item is committed."""
        return None if self.committed(phase, item) else Attempt(self.files, self.kind, phase, item)

    def commits(self, phase: str) -> dict[str, Commit]:
        """Committed items of a phase by name, in name order."""
        return self.log.read(phase)

    def commit(self, phase: str, item: str) -> Commit:
        """What one item of an earlier phase committed."""
        return self.log.get(phase, item)

    def file(self, name: str, phase: str, item: str) -> Path:
        """A file that an item of an earlier phase of this stage committed. Raises ShardError for a damaged one."""
        return self._verified(self.commit(phase, item).files[name], f"{phase}/{item}")

    def paths(self, phase: str, part: str = "") -> list[Path]:
        """Files of an earlier phase whose names begin with `part`, in order. Raises ShardError for a damaged one."""
        return [
            self._verified(entry, f"{phase}/{item}")
            for item, commit in self.commits(phase).items()
            for name, entry in commit.files.items()
            if name.startswith(part)
        ]

    def _verified(self, entry: Entry, item: str) -> Path:
        way_out = f"remove {self.files.local(entry.file)} and run again, which makes item {item} again"
        return verified(self.files, entry, f"item {item} committed", way_out)


Job = tuple[Context, ...]  # one context, or several stages made in one pass (measures)


@dataclass(frozen=True, slots=True)
class Work:
    """What an item's function is given: the stage it works for, and the item."""

    context: Context
    item: Item

    @property
    def name(self) -> str:
        """The item's name."""
        return self.item.name

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The item's arguments."""
        return self.item.arguments


@dataclass(frozen=True, slots=True)
class Phase:
    """Independent items and the importable function that does one, `function(work, attempt)`.

    `view` makes what the function is given of a context and an item: Work, or a stage's own such as Shard. The engine
    takes the attempt and commits it. Scratch phases leave no output. A `joint` function makes several stages in one
    pass: it is given pairs of work and attempt.
    """

    name: str
    items: Sequence[Item]
    function: Callable[..., None]
    scratch: bool = False
    view: Callable[[Context, Item], Any] = Work
    joint: bool = False


@dataclass(frozen=True, slots=True)
class Totals:
    """What a program says of the finished stage: its ledger, and figures for the report."""

    tally: Tally
    figures: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Entry] = field(default_factory=dict)  # of other stages, by reference (a union's)


PhaseOf = Callable[[Job], Phase]  # later phases are listed from what earlier ones committed


def no_documents(context: Context) -> Count | None:
    """Of stages that no documents pass through."""
    return None


@dataclass(frozen=True, slots=True)
class Program:
    """How a kind of stage is made. `phases` run in turn; `totals` sums and reconciles what they committed."""

    kind: str
    version: int
    libraries: tuple[str, ...]
    phases: tuple[PhaseOf, ...]
    totals: Callable[[Context], Totals]
    rounds: Callable[[Job], Iterator[Phase]] | None = None  # phases known only as the work goes on (a crawl)
    due: Callable[[Context], Count | None] = no_documents  # documents that must come in
    beam: bool = True  # False: runs in the calling process (starts the trainer)
    makes: Makes = ""

    def listed(self, job: Job) -> Iterator[Phase]:
        """The phases in turn; each is asked for once the ones before it are committed."""
        for phase_of in self.phases:
            yield phase_of(job)
        if self.rounds is not None:
            yield from self.rounds(job)
