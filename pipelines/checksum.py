"""Content hashes of files and folders named in a configuration, cached so that a warm plan reads no data."""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from corpus.configuration import FileRef
from corpus.shard import sha256_file


class Checksums:
    """SHA-256 by content. The cache is trusted while size, mtime and inode of a file stay the same."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache

    def __call__(self, reference: FileRef) -> str:
        """A file's hash covers its name and bytes; a folder's the relative names and bytes of all it holds."""
        path = reference.resolve()
        if path.is_file():
            files = [(path.name, path)]
        else:
            files = sorted((p.relative_to(path).as_posix(), p) for p in path.rglob("*") if p.is_file())
        stamp = [[name, *self._stat(file)] for name, file in files]
        entry = self._cache / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.json"
        known = self._load(entry)
        if known.get("stamp") == stamp:
            return str(known["sha256"])
        names = [row[0] for row in known.get("stamp", [])]
        previous = dict(zip(names, zip(known.get("stamp", []), known.get("each", []), strict=True), strict=True))
        each = []
        for (name, file), row in zip(files, stamp, strict=True):
            seen = previous.get(name)
            each.append(seen[1] if seen and seen[0] == row else sha256_file(file))
        listing = "".join(f"{sha}  {name}\n" for (name, _), sha in zip(files, each, strict=True))
        total = hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()
        self._save(entry, {"path": str(path), "stamp": stamp, "each": each, "sha256": total})
        return total

    @staticmethod
    def _stat(file: Path) -> list[int]:
        info = file.stat()
        return [info.st_size, info.st_mtime_ns, info.st_ino]

    @staticmethod
    def _load(entry: Path) -> dict[str, Any]:
        try:
            loaded = json.loads(entry.read_text())
        except (FileNotFoundError, json.JSONDecodeError):  # a torn cache entry costs one more read
            return {}
        return loaded if isinstance(loaded, dict) else {}

    def _save(self, entry: Path, value: dict[str, object]) -> None:
        self._cache.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self._cache, delete=False, suffix=".tmp") as file:
            json.dump(value, file)
        Path(file.name).replace(entry)
