"""One owner a stage: a lease that its owner beats, whole states that replace each other. The dead are taken over.

No clock is compared with another's: a lease is stale when its beat stood still while it was watched. Where the owner's
processes can be seen from here, one that has ended is known at once.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from corpus.fault import fault_point
from pipelines.engine.files import Files, StoreError

HEARTBEAT_S = 5.0
STALE_S = 60.0
KEY = "lease"
FREE = b""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lease. `started` tells a process from a later one with the same pid, `token` one hold from another.

    `place` is where a pid means this process: a system since its start, and a namespace of pids there.
    """

    host: str
    place: str
    pid: int
    started: int  # clock ticks since the system's start, as /proc tells
    job: str
    token: str

    def __str__(self) -> str:
        if not self.pid:
            return "someone whose lease is damaged"
        return f"process {self.pid} on {self.host}" + (f" (job {self.job})" if self.job else "")


UNKNOWN = Owner("", "", 0, 0, "", "")


def this_process() -> Owner:
    """The owner that this process would be."""
    _, started = _state(os.getpid())
    return Owner(
        socket.gethostname(), _place(), os.getpid(), started, os.environ.get("SLURM_JOB_ID", ""), uuid.uuid4().hex
    )


def _place() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}"


def _state(pid: int) -> tuple[str, int]:
    """State and start of a process (proc(5), fields 3 and 22). Raises FileNotFoundError, ProcessLookupError."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], int(fields[19])


def runs(owner: Owner) -> bool | None:
    """Whether an owner's process runs; None where that cannot be seen from here."""
    if owner.place != _place():
        return None
    try:
        state, started = _state(owner.pid)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX" and started == owner.started


def _encode(owner: Owner, beat: int) -> bytes:
    return json.dumps({"owner": asdict(owner), "beat": beat}).encode()


def _decode(data: bytes) -> Owner:
    """The owner that a lease names, UNKNOWN for a damaged one."""
    try:
        owner = Owner(**json.loads(data)["owner"])
        whole = all(type(value) is type(getattr(UNKNOWN, name)) for name, value in asdict(owner).items())
    except (ValueError, TypeError, KeyError):
        return UNKNOWN
    return owner if whole and 0 < owner.pid < 1 << 31 else UNKNOWN


def holder(files: Files) -> Owner | None:
    """Who holds the lease of a folder, unless that process is seen to have ended."""
    current = files.tagged(KEY)
    if current is None or current[0] == FREE:
        return None
    owner = _decode(current[0])
    return None if runs(owner) is False else owner


class Lease:
    """A held lease; its heartbeat runs until `release`."""

    def __init__(self, files: Files, owner: Owner, tag: str) -> None:
        self._files, self._owner, self._tag, self._stop = files, owner, tag, threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        beat = 0
        while not self._stop.wait(HEARTBEAT_S):
            beat += 1
            with suppress(StoreError, OSError):  # a disk that is full now takes the next one
                tag = self._files.swap(KEY, _encode(self._owner, beat), self._tag)
                if tag is None:  # taken over: commits are guarded by their own records
                    return
                self._tag = tag

    def held(self) -> bool:
        """Whether the lease is still this owner's; one that slept past STALE_S may have lost it."""
        current = self._files.tagged(KEY)
        return current is not None and _decode(current[0]) == self._owner

    def release(self) -> None:
        """Stop the heartbeat and free the lease, if it is still this owner's."""
        self._stop.set()
        self._thread.join()
        if self.held():
            try:
                self._files.swap(KEY, FREE, self._tag)
            except StoreError:  # a full disk lets nothing be written, but things be taken away
                self._files.delete(KEY)


class Watch:
    """Tries to get a lease, again and again, and notices when its beat stands still meanwhile."""

    def __init__(self, files: Files, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._files, self._name, self._clock = files, name, clock
        self._seen: tuple[bytes, str] | None = None
        self._since = 0.0

    def try_acquire(self, say: Callable[[str], None]) -> Lease | Owner:
        """The lease, or the owner that holds it."""
        current = self._files.tagged(KEY)
        if current is None or current[0] == FREE:
            return self._take(current[1] if current else None)
        if current != self._seen:
            self._seen, self._since = current, self._clock()
        owner, still = _decode(current[0]), self._clock() - self._since
        running = runs(owner)
        if running or (running is None and still < STALE_S):
            return owner
        taken = self._take(current[1])
        if isinstance(taken, Lease):
            why = "which has ended" if running is False else f"whose heart has not beaten for {still:.0f} s"
            say(f"took over the lease of {self._name} from {owner}, {why}")
        return taken

    def _take(self, tag: str | None) -> Lease | Owner:
        me = this_process()
        taken = self._files.swap(KEY, _encode(me, 0), tag)
        if taken is None:
            current = self._files.tagged(KEY)
            return _decode(current[0]) if current else UNKNOWN
        fault_point("lease:taken")
        return Lease(self._files, me, taken)
