"""A finished stage: what its manifest promises, and its files, verified as they are opened."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpus.shard import ShardError, iterate, open_shard, sha256_file
from corpus.verdict import Tally
from pipelines.engine.commit import Entry, content_hash, file_sizes
from pipelines.engine.files import Files, Posix, StoreError, by_number
from pipelines.engine.identity import digest_of

MANIFEST = "manifest.json"
_VERIFIED: set[tuple[str, str, int, int]] = set()


def verified(files: Files, entry: Entry, promise: str, way_out: str) -> Path:
    """A committed file, its bytes compared with the SHA-256 that `promise` tells: once a process, while it stays as it
    is. Raises ShardError where they differ."""
    path, head = files.local(entry.file), files.head(entry.file)
    if head is None:
        raise ShardError(f"shard {path}, which {promise}, is missing: {way_out}")
    key = (str(path), entry.sha256, head.bytes, head.modified_ns)
    if key not in _VERIFIED:
        if sha256_file(path) != entry.sha256:
            raise ShardError(f"shard {path} does not hold the bytes that {promise}: {way_out}")
        _VERIFIED.add(key)
    return path


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
    record: Mapping[str, Any] = field(default_factory=dict, compare=False)  # how it was made: seconds, host, started

    @classmethod
    def load(cls, kind: str, digest: str, directory: Path) -> "Artifact":
        """Read a manifest; no other file is looked at. Raises StoreError for one that is not itself."""
        manifest = directory / MANIFEST
        way_out = "run again, which makes the stage anew from what is there"
        try:
            body = json.loads(Posix(directory).read(MANIFEST))
            files = {name: Entry(**entry) for name, entry in body["files"].items()}
            tally, figures = Tally.decode(body["tally"]), body["figures"]
            found, content = digest_of(body["identity"]), content_hash(files, tally, figures)
            promised, record = (body["digest"], body["content_hash"]), dict(body["record"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"manifest {manifest} is not readable ({error!r}): {way_out}") from error
        if (digest, digest) != (body["digest"], found):
            raise StoreError(f"manifest {manifest} is of digest {promised[0]} ({found}), not {digest}: {way_out}")
        if content != promised[1]:
            raise StoreError(f"manifest {manifest} has content {content}, but promises {promised[1]}: {way_out}")
        return cls(kind, digest, directory, files, tally, figures, content, record)

    def missing(self) -> list[str]:
        """Names of files that are gone. Raises StoreError where one has another size, or nothing makes it again."""
        sizes, gone = file_sizes(Posix(self.directory), self.files), []
        for name, entry in self.files.items():
            size = sizes.get(name)
            if size == entry.bytes:
                continue
            if size is not None or not entry.item:
                has = "is missing" if size is None else f"has {size} bytes"
                raise StoreError(
                    f"{self.directory / entry.file} {has}, but {self.directory / MANIFEST} says {entry.bytes} bytes "
                    f"for {name}: {self._way_out(entry)}"
                )
            gone.append(name)
        return gone

    def _way_out(self, entry: Entry) -> str:
        path = self.directory / entry.file
        if not entry.item:
            return f"restore it from a copy, or remove {self.directory} and run again"
        return f"remove {path} and run again, which makes only item {entry.item} again"

    def names(self, part: str) -> list[str]:
        """Logical names of a part's shards, in order: `documents` -> documents-00000, ..."""
        return sorted((name for name in self.files if name.rpartition("-")[0] == part), key=by_number)

    def path(self, name: str) -> Path:
        """The file on disk of a logical name. Raises ShardError where its bytes are not the manifest's."""
        if name not in self.files:
            raise StoreError(f"{self.kind}/{self.digest} holds no {name}; it holds {sorted(self.files)[:8]}")
        entry = self.files[name]
        promise = f"{self.directory / MANIFEST} promises for {name}"
        return verified(Posix(self.directory), entry, promise, self._way_out(entry))

    def table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """A shard as a table. Raises ShardError for a corrupt one."""
        return open_shard(self.path(name), columns)

    def batches(self, name: str, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """A shard's batches, streamed. Raises ShardError for a corrupt one."""
        return iterate(self.path(name), columns)
