"""Waiting for what another process says or does, never for a moment to pass: each wait ends with its event, or fails.

`Pipe` hears lines of any process that opens its path to write, `gone` the kernel's word that a process has ended.
`until` looks again and again: only for what tells nobody, as a clock that goes on.
"""

import os
import select
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

DEADLINE_S = 60.0  # for a busy machine; an event that comes ends the wait at once


class Pipe:
    """A named pipe with this process at its end: no writer waits for a reader, and no line is lost before it is read.

    `SIKU_FAULT_LOG` may name it: then each arrival at a fault point is a line.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._handle, self._left = os.open(path, os.O_RDWR), b""

    def line(self, seconds: float = DEADLINE_S) -> str:
        """The next line. Raises TimeoutError where none comes."""
        while b"\n" not in self._left:
            if not select.select([self._handle], [], [], seconds)[0]:
                raise TimeoutError(f"{self.path}: no line in {seconds} s")
            self._left += os.read(self._handle, 1 << 16)
        line, _, self._left = self._left.partition(b"\n")
        return line.decode()

    def rest(self) -> list[str]:
        """Lines that were written by now."""
        lines = []
        while self._left or select.select([self._handle], [], [], 0)[0]:
            lines.append(self.line())
        return lines

    def __enter__(self) -> "Pipe":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)


def gone(pid: int) -> bool:
    """Whether a process, anybody's child, has ended within the deadline (pidfd_open(2))."""
    try:
        handle = os.pidfd_open(pid, 0)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], DEADLINE_S)[0])
    finally:
        os.close(handle)


def until(condition: Callable[[], bool]) -> None:
    """Look until it is so. Raises TimeoutError."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so in {DEADLINE_S} s")
