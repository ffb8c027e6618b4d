"""Moments at which a test ends, stops or fails a process: `SIKU_FAULT=<place>:<moment>[:n[:action]]`.

A place is a stage's kind (`dedupe`), one of its phases (`dedupe.edges`) or another part of a run (`lease`, `record`).
The n-th arrival of a process there, the first by default, does the action: `kill` sends SIGKILL to this process,
`parent` to the run's first process alone, `group` to that one's process group and to this process; `stop` sends SIGSTOP
to this process; `raise` raises FaultError, `full` the OSError of a full disk.

With `SIKU_FAULT_LOG=<file>` every arrival anywhere is a line of that file: `place:moment pid`. So a run itself lists
the moments at which it can be ended.
"""

import errno
import os
import signal
from collections import Counter

VARIABLE = "SIKU_FAULT"
LOG = "SIKU_FAULT_LOG"
_FIRST = "SIKU_FAULT_FIRST"  # the fault, and the first process to arrive anywhere: the run's own, which starts the rest
_arrivals: Counter[str] = Counter()


class FaultError(RuntimeError):
    """A failure that SIKU_FAULT asked for."""


def fault_point(name: str) -> None:
    """Nothing, unless SIKU_FAULT names this `place:moment`. Raises FaultError or OSError where it says so."""
    if log := os.environ.get(LOG):
        _note(log, name)
    fault = os.environ.get(VARIABLE)
    if not fault:
        return
    if not os.environ.get(_FIRST, "").startswith(f"{fault} "):
        os.environ[_FIRST] = f"{fault} {os.getpid()}"
    first = int(os.environ[_FIRST].rpartition(" ")[2])
    parts = fault.split(":")
    place, moment, number, action = parts + ["1", "kill"][len(parts) - 2 :]
    here, _, now = name.partition(":")
    if now != moment or place not in (here, here.partition(".")[0]):
        return
    _arrivals[fault] += 1
    if _arrivals[fault] == int(number):
        _act(action, first, name)


def _note(log: str, name: str) -> None:
    """One write a line: processes that arrive at once do not mix theirs."""
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, f"{name} {os.getpid()}\n".encode())
    finally:
        os.close(handle)


def _act(action: str, first: int, name: str) -> None:
    if action == "raise":
        raise FaultError(f"{VARIABLE} asked for a failure at {name}")
    if action == "full":
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}, as {VARIABLE} asked at {name}")
    if action == "group":
        os.killpg(os.getpgid(first), signal.SIGKILL)
    number = signal.SIGSTOP if action == "stop" else signal.SIGKILL
    os.kill(first if action == "parent" else os.getpid(), number)
