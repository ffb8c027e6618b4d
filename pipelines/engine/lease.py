"""One owner a stage: a lease with host, pid, job and heartbeat. A dead owner's lease is taken over."""

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from corpus.fault import fault_point

HEARTBEAT_S = 5.0
STALE_S = 60.0  # for owners on other hosts, whose processes cannot be asked


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lease. `started` tells a process from a later one with the same pid."""

    host: str
    pid: int
    started: float
    job: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" + (f" (job {self.job})" if self.job else "")


def this_process() -> Owner:
    """The owner that this process would be."""
    job = os.environ.get("SLURM_JOB_ID", "")
    return Owner(socket.gethostname(), os.getpid(), psutil.Process().create_time(), job)


def _read(path: Path) -> Owner | None:
    try:
        return Owner(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):  # torn: the machine went down in the middle of its write
        return Owner("unknown", 0, 0.0, "")


def _alive(owner: Owner, path: Path) -> bool:
    """Whether the owner still runs: here by its process, elsewhere by its heartbeat."""
    try:
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False
    if owner.host != socket.gethostname():
        return age < (HEARTBEAT_S if owner.pid == 0 else STALE_S)
    try:
        process = psutil.Process(owner.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        # Start times move when the clock is set: a process that beats is not taken for a later one with its pid.
        return abs(process.create_time() - owner.started) < 1.0 or age < STALE_S
    except psutil.NoSuchProcess:
        return False


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Serialises reading and taking a lease; the lock ends with its process."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Lease:
    """A held lease; its heartbeat runs until `release`."""

    def __init__(self, path: Path, owner: Owner) -> None:
        self._path, self._owner, self._stop = path, owner, threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            if not self.held():  # taken over: commits are guarded by their own records
                return
            with suppress(FileNotFoundError):
                os.utime(self._path)

    def held(self) -> bool:
        """Whether the lease is still this owner's; one that slept past STALE_S may have lost it."""
        return _read(self._path) == self._owner

    def release(self) -> None:
        """Stop the heartbeat and remove the lease, if it is still this owner's."""
        self._stop.set()
        self._thread.join()
        with _exclusive(self._path.with_suffix(".lock")):
            if self.held():
                self._path.unlink()


def try_acquire(directory: Path, say: Callable[[str], None]) -> Lease | Owner:
    """The lease of a stage's folder, or the living owner that holds it."""
    path, me = directory / "lease.json", this_process()
    with _exclusive(path.with_suffix(".lock")):
        holder = _read(path)
        if holder is not None and _alive(holder, path):
            return holder
        if holder is not None:
            say(f"took over the lease of {directory.name} from {holder}, which has ended")
        temporary = path.with_suffix(f".{me.pid}.tmp")
        temporary.write_text(json.dumps(asdict(me)))
        temporary.replace(path)
    fault_point("lease:taken")
    return Lease(path, me)
