"""How far a phase is: items and bytes committed, rate and time left; plain lines without a terminal."""

import sys
import threading
import time
from contextlib import ExitStack
from types import TracebackType

from pipelines.engine.stage import Job, Phase

QUIET_S = 10.0  # between plain lines
LIVE_S = 0.2  # between looks where there is a terminal
SHOWN_AFTER_S = 1.0  # a bar for less would only flicker


class Progress:
    """Watches a phase's commit records from a thread of the parent; workers report nothing."""

    def __init__(self, title: str, job: Job, phase: Phase) -> None:
        self._title = title if title == phase.name else f"{title} {phase.name}"
        self._job, self._phase = job, phase
        self._sizes = {item.name: item.bytes for item in phase.items}
        self._stop = threading.Event()
        watch = self._bar if sys.stderr.isatty() else self._lines
        self._thread = threading.Thread(target=watch, name="progress", daemon=True)

    def _done(self) -> tuple[int, int]:
        """Items that every stage of the job has committed, and their bytes."""
        names = set.intersection(*(set(context.log.names(self._phase.name)) for context in self._job))
        return len(names), sum(self._sizes.get(name, 0) for name in names)

    def _lines(self) -> None:
        started, total, first = time.monotonic(), sum(self._sizes.values()), self._done()[1]
        while not self._stop.wait(QUIET_S):
            items, size = self._done()
            rate = (size - first) / (time.monotonic() - started)
            line = f"  {self._title}: {items}/{len(self._sizes)} items"
            if total:
                line += f", {size / 1e6:.1f}/{total / 1e6:.1f} MB, {rate / 1e6:.1f} MB/s"
            if rate > 0:
                line += f", {(total - size) / rate:.0f} s left"
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    def _bar(self) -> None:
        if self._stop.wait(SHOWN_AFTER_S):
            return
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("  {task.description} {task.fields[items]}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with ExitStack() as stack:
            bar = stack.enter_context(Bar(*columns, console=Console(stderr=True), transient=True))
            task = bar.add_task(self._title, total=sum(self._sizes.values()) or None, items="")
            while not self._stop.wait(LIVE_S):
                items, size = self._done()
                bar.update(task, completed=size, items=f"{items}/{len(self._sizes)}")

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
