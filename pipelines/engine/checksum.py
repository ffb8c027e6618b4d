"""Content hashes of files and folders named in a configuration, cached so that a warm plan reads no data."""

import hashlib
import json
import os
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from corpus.configuration import FileRef
from corpus.shard import sha256_file
from pipelines.engine.files import Posix, ReadOnlyError, is_folder

RACY_NS = 2_000_000_000  # a file changed this recently may change again within one tick of its file system's clock
SAVE_BYTES = 1 << 30  # hashed between two saves of the cache, and an eighth of what is hashed: a kill loses no more
LISTINGS = "listings"  # folder beside the cache
THREADS = min(8, os.cpu_count() or 1)  # hashing lets go of the interpreter


class Checksums:
    """SHA-256 by content. The cache is trusted while size, mtime, ctime and inode of a file stay the same."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache

    @staticmethod
    def size(reference: FileRef) -> int:
        """Bytes of a file, or of all files in a folder; nothing is read."""
        return sum(file.stat().st_size for _, file in _files(reference.resolve()))

    def __call__(self, reference: FileRef) -> str:
        """A file's hash covers its name and bytes; a folder's the relative names and bytes of all it holds.

        Names that begin with a dot are no part of a folder, as they are none of a source.
        """
        path = reference.resolve()
        files = sorted(_files(path))
        stats = [self._stat(file) for _, file in files]
        stamp = [[name, *stat] for (name, _), stat in zip(files, stats, strict=True)]
        entry = self._cache / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.json"
        known = self._load(entry)
        if known["stamp"] == stamp and known["sha256"]:
            return str(known["sha256"])
        previous = {row[0]: (row, each) for row, each in zip(known["stamp"], known["each"], strict=True)}
        each: dict[str, str] = {
            str(row[0]): previous[row[0]][1] for row in stamp if previous.get(row[0], ("",))[0] == row
        }
        self._hash([file for name, file in files if name not in each], stamp, each, entry)
        total = _listing(each)
        if is_folder(path):  # by its content: a plan tells which files have changed since a run
            with suppress(ReadOnlyError):
                Posix(self._cache).create(f"{LISTINGS}/{total}.json", json.dumps(each).encode())
        self._save(entry, stamp, each, total)
        return total

    def listing(self, sha256: str) -> dict[str, str] | None:
        """Hashes by name of the files in a folder that had this hash, if it has been listed here."""
        try:
            found: dict[str, str] = json.loads(Posix(self._cache).read(f"{LISTINGS}/{sha256}.json"))
        except (FileNotFoundError, ValueError):  # only a sentence says less without it
            return None
        return found

    def sweep(self, named: Collection[str]) -> None:
        """Remove listings of other folders than those with the hashes `named`."""
        files = Posix(self._cache)
        for each in files.list(f"{LISTINGS}/"):
            if each.key.removeprefix(f"{LISTINGS}/").removesuffix(".json") not in named:
                files.delete(each.key)

    def _hash(self, fresh: list[Path], stamp: list[list[Any]], each: dict[str, str], entry: Path) -> None:
        """Hash files into `each`, several at a time; what is done is saved as it goes."""
        rows, done, saved = [row for row in stamp if row[0] not in each], 0, 0
        with ThreadPoolExecutor(THREADS) as pool:
            for row, sha in zip(rows, pool.map(sha256_file, fresh), strict=True):
                each[row[0]] = sha
                done += row[1]
                if done - saved >= max(SAVE_BYTES, done // 8):
                    self._save(entry, [row for row in stamp if row[0] in each], each, "")
                    saved = done

    @staticmethod
    def _stat(file: Path) -> list[int]:
        info = file.stat()
        return [info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino]

    def _load(self, entry: Path) -> dict[str, Any]:
        empty: dict[str, Any] = {"stamp": [], "each": [], "sha256": ""}
        try:
            loaded = json.loads(Posix(self._cache).read(entry.name))
            usable = len(loaded["stamp"]) == len(loaded["each"]) and isinstance(loaded["sha256"], str)
        except (FileNotFoundError, ValueError, KeyError, TypeError):  # a torn cache entry costs one more read
            return empty
        return loaded if usable else empty

    def _save(self, entry: Path, stamp: list[list[Any]], each: dict[str, str], total: str) -> None:
        """Write the cache, but for files that changed just now; on a store that is read-only there is none."""
        settled = [row for row in stamp if row[2] < time.time_ns() - RACY_NS]
        body = {
            "stamp": settled,
            "each": [each[row[0]] for row in settled],
            "sha256": total if len(settled) == len(stamp) else "",
        }
        with suppress(ReadOnlyError):
            Posix(self._cache).put(entry.name, json.dumps(body).encode())


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """A file by its name, or the files below a folder by their relative paths; links to folders are not entered."""
    if path.is_file():
        yield path.name, path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in (Path(folder) / name for name in names if not name.startswith(".")):
            if file.is_file():
                yield file.relative_to(path).as_posix(), file


def _listing(each: dict[str, str]) -> str:
    """The hash of names and hashes, in order of name; lengths tell where a name ends, whatever it holds."""
    digest = hashlib.sha256()
    for name in sorted(each):
        data = os.fsencode(name)
        digest.update(b"%d %b %b\n" % (len(data), data, each[name].encode()))
    return digest.hexdigest()
