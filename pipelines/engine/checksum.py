"""Content hashes of files and folders named in a configuration, cached so that a warm plan reads no data."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from corpus.configuration import FileRef
from corpus.shard import sha256_file
from pipelines.engine.files import Posix

RACY_NS = 2_000_000_000  # a file changed this recently may change again within one tick of its file system's clock


class Checksums:
    """SHA-256 by content. The cache is trusted while size, mtime, ctime and inode of a file stay the same."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache

    @staticmethod
    def size(reference: FileRef) -> int:
        """Bytes of a file, or of all files in a folder; nothing is read."""
        path = reference.resolve()
        return path.stat().st_size if path.is_file() else sum(p.stat().st_size for p in path.rglob("*") if p.is_file())

    def __call__(self, reference: FileRef) -> str:
        """A file's hash covers its name and bytes; a folder's the relative names and bytes of all it holds."""
        path = reference.resolve()
        if path.is_file():
            files = [(path.name, path)]
        else:
            files = sorted((p.relative_to(path).as_posix(), p) for p in path.rglob("*") if p.is_file())
        stats = [self._stat(file) for _, file in files]
        stamp = [[name, *stat] for (name, _), stat in zip(files, stats, strict=True)]
        entry = self._cache / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.json"
        known = self._load(entry)
        if known["stamp"] == stamp and known["sha256"]:
            return str(known["sha256"])
        previous = {row[0]: (row, each) for row, each in zip(known["stamp"], known["each"], strict=True)}
        each = []
        for (name, file), row in zip(files, stamp, strict=True):
            seen = previous.get(name)
            each.append(seen[1] if seen and seen[0] == row else sha256_file(file))
        listing = "".join(f"{sha}  {name}\n" for (name, _), sha in zip(files, each, strict=True))
        total = hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()
        if max((stat[1] for stat in stats), default=0) < time.time_ns() - RACY_NS:
            self._save(entry, {"path": str(path), "stamp": stamp, "each": each, "sha256": total})
        return total

    @staticmethod
    def _stat(file: Path) -> list[int]:
        info = file.stat()
        return [info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino]

    @staticmethod
    def _load(entry: Path) -> dict[str, Any]:
        empty: dict[str, Any] = {"stamp": [], "each": [], "sha256": ""}
        try:
            loaded = json.loads(entry.read_text())
            usable = len(loaded["stamp"]) == len(loaded["each"]) and bool(loaded["sha256"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):  # a torn cache entry costs one more read
            return empty
        return loaded if usable else empty

    def _save(self, entry: Path, value: dict[str, object]) -> None:
        Posix(self._cache).put(entry.name, json.dumps(value).encode())
