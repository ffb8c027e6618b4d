"""Where results lie: `<root>/<kind>/<dd>/<digest>/`, done when it holds a manifest with that digest; `dd` are the
digest's first two digits.

Each item of work commits by itself: files under attempt-unique names, then a commit record created only if absent. The
first commit wins; a later attempt with other bytes fails the stage. So a killed run goes on from its last item, and two
attempts at one item cannot mix. A sealed stage that has lost a file goes on in the same way: from the items it has.
"""

import contextlib
import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.fault import fault_point
from corpus.verdict import Tally
from pipelines.engine.artifact import MANIFEST as MANIFEST
from pipelines.engine.artifact import Artifact as Artifact
from pipelines.engine.attempt import Attempt as Attempt
from pipelines.engine.commit import Commit as Commit
from pipelines.engine.commit import Commits, Entry, content_hash, file_sizes
from pipelines.engine.commit import sum_tallies as sum_tallies
from pipelines.engine.files import Files, Posix, ReadOnlyError, StoreWarning
from pipelines.engine.files import StoreError as StoreError
from pipelines.engine.identity import DIGEST_LENGTH, Json, digest_of

REOPENED = "reopened.json"


def shard_name(part: str, number: int) -> str:
    """Logical name of a shard: `documents-00012`."""
    return f"{part}-{number:05d}"


@dataclass(frozen=True)
class Store:
    """The folder of all results."""

    root: Path

    @property
    def files(self) -> Files:
        """Its objects."""
        return Posix(self.root)

    def directory(self, kind: str, digest: str) -> Path:
        """A stage's folder."""
        return self.root / kind / digest[:2] / digest

    def find(self, kind: str, digest: str) -> Artifact | None:
        """The finished result of a stage."""
        return load(kind, digest, self.directory(kind, digest))

    def stage_folders(self) -> Iterator[Path]:
        """Every stage's folder, each crawl of a source by itself."""
        for kind in self.files.folders():
            for two in self.files.folders(kind):
                for digest in self.files.folders(f"{kind}/{two}"):
                    if len(digest) == DIGEST_LENGTH and digest.startswith(two):
                        key = f"{kind}/{two}/{digest}"
                        crawls = self.files.folders(key) if kind == "crawl" else [""]
                        yield from (self.root / key / name for name in crawls)


def promised(kind: str, digest: str, directory: Path) -> Artifact | None:
    """What a folder's manifest promises; None where there is none or, with a warning, a damaged one."""
    if Posix(directory).head(MANIFEST) is None:
        return None
    try:
        return Artifact.load(kind, digest, directory)
    except StoreError as error:
        warnings.warn(str(error), StoreWarning, stacklevel=2)
        return None


def load(kind: str, digest: str, directory: Path) -> Artifact | None:
    """A finished result in a folder, or None: also, with a warning, where the manifest is damaged or files are gone.

    Raises StoreError for a file of another size, and for a missing one that no item makes again.
    """
    artifact, files = promised(kind, digest, directory), Posix(directory)
    if artifact is None:
        return None
    if gone := artifact.missing():
        entry = artifact.files[gone[0]]
        more = f" with {len(gone) - 1} more" if len(gone) > 1 else ""
        warnings.warn(
            f"{directory / entry.file} is gone{more}: item {entry.item} is made again", StoreWarning, stacklevel=2
        )
        return None
    if files.folders("commits"):  # killed between the manifest and its sweep
        with contextlib.suppress(ReadOnlyError):
            sweep(files, kind, artifact.files)
    return artifact


def seal(
    directory: Path,
    identity: Mapping[str, Json],
    outputs: Mapping[str, Commit],
    figures: Mapping[str, Any],
    tally: Tally,
    record: Mapping[str, Json],
    referred: Mapping[str, Entry] | None = None,
    *,
    repeatable: bool = True,
) -> None:
    """Create the manifest, then remove what only the making needed.

    `outputs` are the commits whose files stay, by `phase/item`; where the work is `repeatable`, these items are known
    as the makers of their files. `referred` are files of other stages, by their path from here. Raises
    ReconciliationError if the tally does not balance, StoreError where a file is not there in full.
    """
    store, kind = Posix(directory), str(identity["kind"])
    tally.check(kind)
    entries = _entries(directory, outputs, referred or {}, repeatable)
    content = content_hash(entries, tally, figures)
    body = {
        "digest": digest_of(dict(identity)),
        "identity": dict(identity),
        "files": {name: entry.encode() for name, entry in sorted(entries.items())},
        "tally": tally.encode(),
        "figures": figures,
        "content_hash": content,
        "record": dict(record),
    }
    _refuse_other_content(store, content)
    fault_point(f"{kind}:seal")
    if not store.create(MANIFEST, json.dumps(body, sort_keys=True, indent=1).encode()):
        first = json.loads(store.read(MANIFEST))  # another owner was faster: the first seal stands, its files stay
        if first["content_hash"] != content:
            raise StoreError(f"{directory / MANIFEST}: made twice, with other content. Remove {directory}, run again")
        entries = {name: Entry(**entry) for name, entry in first["files"].items()}
    fault_point(f"{kind}:sealed")
    sweep(store, kind, entries)


def _entries(
    directory: Path, outputs: Mapping[str, Commit], referred: Mapping[str, Entry], repeatable: bool
) -> dict[str, Entry]:
    """Every file of a manifest by its name, each there in full."""
    entries: dict[str, Entry] = dict(referred)
    for item, commit in outputs.items():
        if twice := entries.keys() & commit.files.keys():
            raise StoreError(f"{directory}: two items wrote {sorted(twice)}")
        maker = item if repeatable else ""
        entries |= {n: Entry(e.file, e.rows, e.bytes, e.sha256, maker) for n, e in commit.files.items()}
    sizes = file_sizes(Posix(directory), entries)
    for name, entry in entries.items():
        if sizes.get(name) != entry.bytes:
            raise StoreError(
                f"{directory / entry.file} is not there in full, though its item is committed: run again, which makes "
                "that item again"
            )
    return entries


def _refuse_other_content(store: Files, content: str) -> None:
    """A stage that was sealed before and lost a file has to come out as it was."""
    if store.head(REOPENED) is not None and json.loads(store.read(REOPENED))["content_hash"] != content:
        raise StoreError(
            f"{store.local('')}: the items that were made again have other bytes than before. Their code or libraries "
            "are not deterministic; fix that, bump the stage's version and run again"
        )


def reopen(directory: Path) -> None:
    """Make a sealed stage that has lost files, or whose manifest is damaged, unfinished again; under its lease.

    Items whose files are there stay committed; those of scratch phases, which a seal sweeps, are done again.
    """
    store = Posix(directory)
    with contextlib.suppress(StoreError, ValueError, KeyError, TypeError):  # a damaged manifest has nothing to compare
        artifact = Artifact.load("", json.loads(store.read(MANIFEST))["digest"], directory)
        store.put(REOPENED, json.dumps({"content_hash": artifact.content_hash}).encode())
    Commits(store).restore()
    store.delete(MANIFEST)


def sweep(store: Files, kind: str, entries: Mapping[str, Entry]) -> None:
    """Remove scratch, commit records and files of abandoned attempts from a finished stage.

    Summaries of the phases that made its files stay, for `reopen`.
    """
    keep = {MANIFEST, *(entry.file for entry in entries.values())}
    for each in store.list():
        if "/" not in each.key and each.key not in keep:
            store.delete(each.key)
            fault_point(f"{kind}:sweep")
    phases = {entry.item.partition("/")[0] for entry in entries.values() if not entry.referred}
    for each in store.list("commits/"):
        name = each.key.removeprefix("commits/")
        if "/" not in name and name.removesuffix(".jsonl") not in phases:
            store.delete(each.key)
    for phase in store.folders("commits"):
        store.delete(f"commits/{phase}")
    store.delete("failures")
