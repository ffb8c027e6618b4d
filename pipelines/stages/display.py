"""What a trainer says: kept in its log, and shown as lines, or on a terminal as one bar that moves."""

import re
import sys
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_STEP = re.compile(r"step (\d+)/(\d+)  (loss .*)")


class Display:
    """Keeps every line, and shows it unless its level says that it is a detail. Lines without a level are tracebacks.

    On a terminal a step's figures replace those of the step before.
    """

    def __init__(self, log: TextIO, *, verbose: bool) -> None:
        self._log, self._verbose = log, verbose
        self._bar: Progress | None = None

    def __enter__(self) -> "Display":
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            columns = (TextColumn("  steps"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def line(self, line: str) -> None:
        """Take one, with its end."""
        level, _, rest = line.partition(" ")
        text = rest if level in _LEVELS else line
        self._log.write(text)
        self._log.flush()
        if level == "DEBUG" and not self._verbose:
            return
        if self._bar is None:
            sys.stderr.write(text)
        elif match := _STEP.match(text):
            if not self._bar.tasks:
                self._bar.add_task("")
            self._bar.update(
                self._bar.tasks[0].id, completed=int(match[1]), total=int(match[2]), description=match[3].rstrip()
            )
        else:
            self._bar.console.print(text, end="", markup=False, highlight=False, soft_wrap=True)
