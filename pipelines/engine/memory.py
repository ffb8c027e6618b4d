"""Peak memory of a run: the summed proportional set size of this process and all it started."""

import contextlib
import threading
from types import TracebackType

import psutil

EVERY_S = 1.0


class PeakMemory:
    """Samples once a second; shared pages count once, divided among their processes (PSS)."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def _watch(self) -> None:
        while True:
            self.peak_mb = max(self.peak_mb, _pss() / 1e6)
            if self._stop.wait(EVERY_S):
                return

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()


def _pss() -> int:
    me = psutil.Process()
    total = 0
    for process in [me, *me.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):  # it ended between the two calls
            total += process.memory_full_info().pss
    return total
