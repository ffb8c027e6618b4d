"""The store's file operations, behind one interface: what a shared file system and an object store can both promise.

Keys are relative paths with `/`. Nothing is renamed, locked or appended to: an object is staged under a key of its
writer's own, created where there was none, or replaced whole.
"""

import contextlib
import errno
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

FULL = (errno.ENOSPC, errno.EDQUOT)
CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


class StoreError(RuntimeError):
    """Something in the store is not as its manifest says, or cannot be written."""


class ReadOnlyError(StoreError):
    """The store may be read, but not written."""


class StoreWarning(UserWarning):
    """Something damaged in the store is passed over: names the file, and what is done instead."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing tells it."""

    key: str
    bytes: int
    modified_ns: int


class Files(Protocol):
    """A folder of objects. Methods that write raise StoreError for a disk that takes nothing more."""

    def __hash__(self) -> int:
        """Equal for the same folder."""

    def stage(self, key: str) -> AbstractContextManager[Path]:
        """A path to write a new object at. It is there, durably, when the context ends, and not at all where that
        raises. The key is the writer's own: no other attempt has it."""

    def create(self, key: str, data: bytes) -> bool:
        """Make a small object, whole and durably, where there is none; False if another's is there.

        Where the reply was lost, what is there is compared with `data`: a writer that must know whether the object is
        its own puts a token into it.
        """

    def put(self, key: str, data: bytes) -> None:
        """Make or replace a small object, whole and durably; of several writers the last one stays."""

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Bytes [start, stop) of an object. Raises FileNotFoundError."""

    def head(self, key: str) -> Listed | None:
        """What a listing would tell of one object, if it is there."""

    def local(self, key: str) -> Path:
        """An object as a file of this machine, to be memory-mapped."""

    def list(self, prefix: str = "") -> Sequence[Listed]:
        """Objects below a prefix (a key and `/`, or nothing), names that hold numbers in the order of those."""

    def folders(self, prefix: str = "") -> Sequence[str]:
        """Names of one level below a prefix that have objects below them, in the same order."""

    def tagged(self, key: str) -> tuple[bytes, str] | None:
        """What `swap` last put under a key, and its tag."""

    def swap(self, key: str, data: bytes, tag: str | None) -> str | None:
        """Replace what has that tag (None: nothing), at once for all; the new tag, or None where the tag has changed.

        For leases alone: what it writes need not outlive the machine.
        """

    def delete(self, key: str) -> None:
        """Remove an object, or all below a key; nothing if there is none."""


def by_number(name: str) -> tuple[tuple[str | int, ...], str]:
    """Sort key: runs of digits compare as numbers, so that `shard-100000` comes after `shard-99999`."""
    parts = re.split(r"([0-9]+)", name)  # text and digits in turn
    return tuple(int(part) if index % 2 else part for index, part in enumerate(parts)), name


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what a disk says of writing at `path` into one sentence that names it and the way out."""
    try:
        yield
    except OSError as error:
        ours = _concerns(error, path)
        if error.errno in FULL:
            raise StoreError(
                f"no space left to write {path} ({free_bytes(path) / 1e6:.1f} MB free): free some (`siku gc` shows "
                "what no run needs) or set site.store to another disk, and run again; finished items are kept"
            ) from error
        if error.errno in CLOSED and (ours or error.errno == errno.EROFS):
            raise ReadOnlyError(
                f"{path} cannot be written ({error.strerror}): make its folder writable, or set site.store to one that "
                "is; what is finished in a store can be read without"
            ) from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST) and ours:
            raise StoreError(
                f"{path} cannot be written, for {_file_above(path)} is a file: set site.store to a folder"
            ) from error
        raise


def _concerns(error: OSError, path: Path) -> bool:
    """Whether an error is about a path, its neighbours or a folder above it, and not about what is read meanwhile."""
    if not isinstance(error.filename, str | bytes):
        return error.filename is None
    other = Path(os.fsdecode(error.filename))
    return other.is_relative_to(path.parent) or path.is_relative_to(other)


def free_bytes(path: Path) -> int:
    """Free space where a path lies, or would."""
    return shutil.disk_usage(next(each for each in (path, *path.absolute().parents) if each.exists())).free


def is_file(path: Path) -> bool:
    """Whether a file lies where a folder is meant to."""
    return path.exists() and not path.is_dir()


def is_folder(path: Path) -> bool:
    """Whether there is a folder."""
    return path.is_dir()


def try_folder(path: Path) -> None:
    """Raise OSError where there is no such folder and none can be made; nothing is left behind."""
    missing = [each for each in (path, *path.absolute().parents) if not each.exists()]
    if missing:
        try:
            missing[-1].mkdir()
        except FileExistsError:
            if missing[-1].is_dir():  # by another run that began meanwhile
                return
            raise
        with contextlib.suppress(OSError):  # gone, or in use by another run
            missing[-1].rmdir()


def _file_above(path: Path) -> Path:
    return next((parent for parent in path.parents if is_file(parent)), path)


@dataclass(frozen=True, slots=True)
class Posix:
    """Objects as files below a folder, of this machine or shared. Hard links decide who was first."""

    root: Path

    @contextlib.contextmanager
    def stage(self, key: str) -> Iterator[Path]:
        """As Files."""
        path = self.local(key)
        with explained(path):
            _make(path.parent)
            try:
                yield path
                _sync(path)
                _sync(path.parent)
            except BaseException:
                path.unlink(missing_ok=True)
                raise

    def create(self, key: str, data: bytes) -> bool:
        """As Files."""
        path = self.local(key)
        with explained(path), self._temporary(path, data) as temporary:
            try:
                os.link(temporary, path)
            except OSError:  # it may be our own: a file server's answer is lost, it is asked again, and the file exists
                if not path.is_file():
                    raise
                if path.read_bytes() != data:
                    return False
            _sync(path.parent)
        return True

    def put(self, key: str, data: bytes) -> None:
        """As Files."""
        path = self.local(key)
        with explained(path), self._temporary(path, data) as temporary:
            temporary.replace(path)
            _sync(path.parent)

    @contextlib.contextmanager
    def _temporary(self, path: Path, data: bytes, *, durable: bool = True) -> Iterator[Path]:
        """A file beside `path` under a name that no other process has."""
        _make(path.parent)
        temporary = path.with_name(f"{path.name}.tmp-{uuid.uuid4().hex[:12]}")
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """As Files."""
        with self.local(key).open("rb") as file:
            file.seek(start)
            return file.read() if stop is None else file.read(stop - start)

    def head(self, key: str) -> Listed | None:
        """As Files."""
        try:
            stat = self.local(key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Listed(key, stat.st_size, stat.st_mtime_ns)

    def local(self, key: str) -> Path:
        """As Files."""
        return self.root / key

    def list(self, prefix: str = "") -> Sequence[Listed]:
        """As Files. A file that vanishes meanwhile is left out."""
        found = []
        for folder, _, names in os.walk(self.root / prefix):
            for name in names:
                path = Path(folder) / name
                with contextlib.suppress(FileNotFoundError):
                    stat = path.lstat()
                    found.append(Listed(path.relative_to(self.root).as_posix(), stat.st_size, stat.st_mtime_ns))
        return sorted(found, key=lambda each: by_number(each.key))

    def folders(self, prefix: str = "") -> Sequence[str]:
        """As Files."""
        try:
            with os.scandir(self.root / prefix) as entries:
                return sorted((entry.name for entry in entries if entry.is_dir()), key=by_number)
        except (FileNotFoundError, NotADirectoryError):
            return []

    # A tagged object is a folder of its states, numbered; the last one counts, and is never removed. So the state
    # after `tag` can be linked by one writer alone, and one that slept over many states finds later ones than its own.

    def tagged(self, key: str) -> tuple[bytes, str] | None:
        """As Files."""
        while states := self._states(key):
            with contextlib.suppress(FileNotFoundError):  # a later one has come
                return self.read(f"{key}/{states[-1]}"), str(states[-1])
        return None

    def swap(self, key: str, data: bytes, tag: str | None) -> str | None:
        """As Files."""
        state = int(tag or 0) + 1
        path = self.local(f"{key}/{state}")
        with explained(path), self._temporary(path, data, durable=False) as temporary:
            try:
                os.link(temporary, path)
            except OSError:
                if not path.is_file():
                    raise
                if path.read_bytes() != data:
                    return None
        states = self._states(key)
        if states[-1] != state:
            self.delete(f"{key}/{state}")
            return None
        for older in states[:-1]:
            self.delete(f"{key}/{older}")
        return str(state)

    def _states(self, key: str) -> Sequence[int]:
        try:
            return sorted(int(name) for name in os.listdir(self.local(key)) if name.isdecimal())  # noqa: PTH208
        except FileNotFoundError:
            return []

    def delete(self, key: str) -> None:
        """As Files."""
        path = self.local(key)
        with explained(path):
            for folder, folders, names in os.walk(path, topdown=False):
                for name in names:
                    (Path(folder) / name).unlink(missing_ok=True)
                for name in folders:
                    _remove_folder(Path(folder) / name)
            if path.is_dir() and not path.is_symlink():
                _remove_folder(path)
            else:
                path.unlink(missing_ok=True)


def _remove_folder(path: Path) -> None:
    """Remove an empty folder; one that has just got something new stays."""
    if path.is_symlink():
        path.unlink(missing_ok=True)
        return
    try:
        path.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise


def _make(folder: Path) -> None:
    """Make a folder and those above it, durably."""
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
