"""How far a phase is: items and bytes committed, rate and time left; plain lines without a terminal."""

import sys
import threading
import time
from types import TracebackType

from pipelines.stage import Job, Phase

QUIET_S = 10.0  # between plain lines


class Progress:
    """Watches a phase's commit records from a thread of the parent; workers report nothing."""

    def __init__(self, title: str, job: Job, phase: Phase) -> None:
        self._title, self._job, self._phase = title, job, phase
        self._sizes = {item.name: item.bytes for item in phase.items}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def _done(self) -> tuple[int, int]:
        folder = self._job[0].directory / "commits" / self._phase.name
        names = {path.stem for path in folder.glob("*.json")}
        return len(names), sum(self._sizes.get(name, 0) for name in names)

    def _watch(self) -> None:
        started, total = time.monotonic(), sum(self._sizes.values())
        first = self._done()[1]
        while not self._stop.wait(QUIET_S):
            items, size = self._done()
            rate = (size - first) / (time.monotonic() - started)
            left = f", {(total - size) / rate:.0f} s left" if rate > 0 else ""
            print(  # noqa: T201
                f"  {self._title}: {items}/{len(self._sizes)} items, {size / 1e6:.1f}/{total / 1e6:.1f} MB, "
                f"{rate / 1e6:.1f} MB/s{left}",
                file=sys.stderr,
                flush=True,
            )

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
