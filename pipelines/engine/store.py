"""Where results lie: `<root>/<kind>/<digest>/`, done when it holds a manifest with that digest.

Each item of work commits by itself: files under attempt-unique names, then a commit record created only if
absent. The first commit wins; a later attempt with other bytes fails the stage. So a killed run goes on from
its last item, and two attempts at one item cannot mix.
"""

import contextlib
import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpus.shard import ShardError, iterate, open_shard, sha256_file, write_shard
from corpus.verdict import Tally, total
from pipelines.engine.identity import Json, digest_of


def shard_name(part: str, number: int) -> str:
    """Logical name of a shard: `documents-00012`."""
    return f"{part}-{number:05d}"


class StoreError(RuntimeError):
    """Something in the store is not as its manifest says, or cannot be written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One committed file: its name on disk within the stage's folder, rows, bytes and SHA-256."""

    file: str
    rows: int
    bytes: int
    sha256: str

    def content(self) -> dict[str, Json]:
        """What is compared: not the attempt-unique file name."""
        return {"rows": self.rows, "bytes": self.bytes, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Commit:
    """What one item left behind: files by logical name, its tally, and figures for the seal."""

    files: Mapping[str, Entry] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    figures: Mapping[str, Any] = field(default_factory=dict)

    def content_hash(self) -> str:
        """Equal for equal work, whoever did it and when."""
        return _content_hash(self.files, self.tally, self.figures)

    def save(self, path: Path) -> None:
        """Create the record, durably, unless one is there. Raises FileExistsError."""
        body = {
            "files": {k: _entry(v) for k, v in sorted(self.files.items())},
            "tally": self.tally.encode(),
            "figures": self.figures,
        }
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
        try:
            write_durably(temporary, json.dumps(body, sort_keys=True))
            os.link(temporary, path)  # fails if present: a rename would replace the first commit
        finally:
            temporary.unlink(missing_ok=True)
        _sync(path.parent)

    @classmethod
    def load(cls, path: Path) -> "Commit":
        """The committed record."""
        body = json.loads(path.read_text())
        return cls(
            files={name: Entry(**entry) for name, entry in body["files"].items()},
            tally=Tally.decode(body["tally"]),
            figures=body["figures"],
        )


def _entry(entry: Entry) -> dict[str, Json]:
    return {"file": entry.file, **entry.content()}


def _content_hash(files: Mapping[str, Entry], tally: Tally, figures: Mapping[str, Any]) -> str:
    content: dict[str, Json] = {name: entry.content() for name, entry in files.items()}
    return digest_of({"files": content, "tally": _json(tally.encode()), "figures": _json(figures)})


def _json(value: object) -> Json:
    loaded: Json = json.loads(json.dumps(value, sort_keys=True))
    return loaded


def write_durably(path: Path, text: str) -> None:
    """Write and sync a small file; a full disk is a StoreError with the way out."""
    with full_disk_explained(path), path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def full_disk_explained(path: Path) -> Iterator[None]:
    """Turn ENOSPC and EDQUOT into one sentence that names the folder and the way out."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = shutil.disk_usage(path.parent).free if path.parent.exists() else 0
        raise StoreError(
            f"no space left to write {path} ({free / 1e6:.1f} MB free): free some (`siku gc` shows what no run "
            "needs) or set site.store to another disk, and run again; finished items are kept"
        ) from error


class Attempt:
    """One try at one item. Use as a context manager; files written here count only once it exits cleanly."""

    def __init__(self, directory: Path, phase: str, item: str) -> None:
        self._directory = directory
        self._record = directory / "commits" / phase / f"{item}.json"
        self._token = uuid.uuid4().hex[:8]
        self._files: dict[str, Entry] = {}
        self._tally = Tally()
        self._figures: dict[str, Any] = {}
        self._temporary: list[Path] = []

    def path(self, name: str, suffix: str) -> Path:
        """An attempt-unique path for a file that is not an Arrow shard; follow with `add`."""
        path = self._directory / f"{name}.{self._token}{suffix}"
        self._temporary.append(path)
        return path

    def add(self, name: str, path: Path, rows: int) -> None:
        """Count a finished file, made at `path(name, ...)`, as part of the item; it is synced here."""
        _sync(path)
        file = path.relative_to(self._directory).as_posix()
        self._enter(name, Entry(file, rows, path.stat().st_size, sha256_file(path)))

    def _enter(self, name: str, entry: Entry) -> None:
        if name in self._files:
            raise StoreError(f"{self._record}: the item writes {name} twice")
        self._files[name] = entry

    def shard(
        self, name: str, batches: Iterable[pa.RecordBatch | pa.Table], schema: pa.Schema, *, compressed: bool = True
    ) -> None:
        """Write an Arrow shard under a logical name such as `documents-00003`."""
        path = self.path(name, ".arrow")
        with full_disk_explained(path):
            shard = write_shard(path, batches, schema, compressed=compressed)
        self._enter(name, Entry(path.name, shard.rows, shard.bytes, shard.sha256))

    def tally(self, tally: Tally) -> None:
        """Add to the item's ledger figures."""
        self._tally = self._tally + tally

    def figure(self, name: str, value: object) -> None:
        """A small JSON value that the seal will read. Raises StoreError for anything else."""
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise StoreError(f"{self._record}: figure {name} = {value!r} is not JSON ({error})") from None
        self._figures[name] = value

    def __enter__(self) -> "Attempt":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is not None:
            self._discard()
            return
        try:
            self._commit()
        except BaseException:
            if not self._committed():
                self._discard()
            raise

    def _commit(self) -> None:
        commit = Commit(self._files, self._tally, self._figures)
        commit.tally.check(f"{self._record.parent.name}/{self._record.stem}")
        _sync(self._directory)
        try:
            commit.save(self._record)
        except FileExistsError:
            if Commit.load(self._record).content_hash() != commit.content_hash():
                raise StoreError(
                    f"{self._record}: a second attempt at this item made other bytes than the first. Its code or "
                    "libraries are not deterministic; fix that, bump the stage's version and run again"
                ) from None
            self._discard()

    def _committed(self) -> bool:
        """Whether the record is this attempt's own: an interrupt may come between it and the return."""
        return self._record.exists() and self._token in self._record.read_text()

    def _discard(self) -> None:
        for path in self._temporary:
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A finished stage: its folder and what its manifest promises. Small, and safe to pickle."""

    kind: str
    digest: str
    directory: Path
    files: Mapping[str, Entry]
    tally: Tally
    figures: Mapping[str, Any]
    content_hash: str

    @classmethod
    def load(cls, kind: str, digest: str, directory: Path) -> "Artifact":
        """Read a manifest and check that every file it names is there in full. Raises StoreError."""
        manifest = directory / "manifest.json"
        way_out = f"remove {directory} and run again"
        try:
            body = json.loads(manifest.read_text())
            files = {name: Entry(**entry) for name, entry in body["files"].items()}
            tally, figures = Tally.decode(body["tally"]), body["figures"]
            found, content = digest_of(body["identity"]), _content_hash(files, tally, figures)
            promised = (body["digest"], body["content_hash"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"manifest {manifest} is not readable ({error!r}): {way_out}") from error
        if (digest, digest) != (body["digest"], found):
            raise StoreError(f"manifest {manifest} is of digest {promised[0]} ({found}), not {digest}: {way_out}")
        if content != promised[1]:
            raise StoreError(f"manifest {manifest} has content {content}, but promises {promised[1]}: {way_out}")
        artifact = cls(kind, digest, directory, files, tally, figures, content)
        for name, entry in files.items():
            path = directory / entry.file
            size = path.stat().st_size if path.exists() else None
            if size != entry.bytes:
                has = "is missing" if size is None else f"has {size} bytes"
                raise StoreError(f"{path} {has}, but {manifest} says {entry.bytes} bytes for {name}: {way_out}")
        return artifact

    def names(self, part: str) -> list[str]:
        """Logical names of a part's shards, in order: `documents` -> documents-00000, ..."""
        return sorted(name for name in self.files if name.rpartition("-")[0] == part)

    def path(self, name: str) -> Path:
        """The file on disk of a logical name, its bytes compared with the manifest's: once a process, while it stays
        as it is. Raises ShardError where they differ.
        """
        if name not in self.files:
            raise StoreError(f"{self.kind}/{self.digest} holds no {name}; it holds {sorted(self.files)[:8]}")
        entry, manifest = self.files[name], self.directory / "manifest.json"
        path = self.directory / entry.file
        stat = path.stat()
        key = (str(path), entry.sha256, stat.st_size, stat.st_mtime_ns)
        if key not in _VERIFIED:
            if sha256_file(path) != entry.sha256:
                raise ShardError(
                    f"shard {path} does not hold the bytes that {manifest} promises for {name}: "
                    f"remove {self.directory} and run again"
                )
            _VERIFIED.add(key)
        return path

    def table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """A shard as a table. Raises ShardError for a corrupt one."""
        return open_shard(self.path(name), columns)

    def batches(self, name: str, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """A shard's batches, streamed. Raises ShardError for a corrupt one."""
        return iterate(self.path(name), columns)


_VERIFIED: set[tuple[str, str, int, int]] = set()


def seal(
    directory: Path,
    identity: Mapping[str, Json],
    outputs: Mapping[str, Commit],
    figures: Mapping[str, Any],
    tally: Tally,
    record: Mapping[str, Json],
    referred: Mapping[str, Entry] | None = None,
) -> None:
    """Write the manifest by rename, then remove what only the making needed.

    `outputs` are the commits whose files stay; `referred` are files of other stages, by their
    path from here. Raises ReconciliationError if the tally does not balance.
    """
    tally.check(str(identity["kind"]))
    files: dict[str, Entry] = dict(referred or {})
    for commit in outputs.values():
        if twice := files.keys() & commit.files.keys():
            raise StoreError(f"{directory}: two items wrote {sorted(twice)}")
        files |= commit.files
    body = {
        "digest": digest_of(dict(identity)),
        "identity": dict(identity),
        "files": {name: _entry(entry) for name, entry in sorted(files.items())},
        "tally": tally.encode(),
        "figures": figures,
        "content_hash": _content_hash(files, tally, figures),
        "record": dict(record),
    }
    manifest = directory / "manifest.json"
    if manifest.exists():  # another owner was faster: the first seal stands, and its files stay
        first = json.loads(manifest.read_text())
        if first["content_hash"] != body["content_hash"]:
            raise StoreError(f"{manifest}: made twice, with other content. Remove {directory} and run again")
        sweep(directory, {entry["file"] for entry in first["files"].values()})
        return
    _sync(directory)  # the names of the shards, before the manifest that promises them
    temporary = directory / f".manifest.{uuid.uuid4().hex[:8]}"
    write_durably(temporary, json.dumps(body, sort_keys=True, indent=1))
    temporary.replace(manifest)
    _sync(directory)
    sweep(directory, {entry.file for entry in files.values()})


def _sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk; a full one is a StoreError with the way out."""
    with full_disk_explained(path):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(directory: Path, keep: set[str]) -> None:
    """Remove scratch, commit records and files of abandoned attempts from a finished stage."""
    for path in directory.iterdir():
        ours = path.name == "manifest.json" or (path.name.startswith("lease.") and path.name != "lease.json")
        if path.is_file() and path.name not in keep and not ours:
            path.unlink(missing_ok=True)
    shutil.rmtree(directory / "commits", ignore_errors=True)
    shutil.rmtree(directory / "failures", ignore_errors=True)


def sum_tallies(commits: Iterable[Commit]) -> Tally:
    """The ledger of a stage from its items."""
    return total(commit.tally for commit in commits)
