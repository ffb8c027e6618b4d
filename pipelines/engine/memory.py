"""Memory that a worker may take, and the peak of a run: the summed proportional set size of all its processes."""

import contextlib
import threading
from pathlib import Path
from types import TracebackType

import psutil

SMALLEST_MEMORY = 128 << 20  # a merge of 300 files holds a frame of each, twice
USUAL_MEMORY = 1 << 30  # more saves passes over what is spilled, and little else
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container, v2 and v1


def machine_memory() -> int:
    """Bytes of this machine, or of the container that this process runs in."""
    limits = [psutil.virtual_memory().total]
    for name in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # no such container; v2 says `max` where there is no limit
            limits.append(int(Path(name).read_text()))
    return int(min(limits))


def worker_memory(workers: int) -> int:
    """Bytes a worker process may take where the configuration does not say."""
    return max(SMALLEST_MEMORY, min(USUAL_MEMORY, machine_memory() // 2 // workers))


_SAMPLE_S = 1.0


class PeakMemory:
    """Samples once a second; shared pages count once, divided among their processes (PSS)."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def _watch(self) -> None:
        while True:
            self.peak_mb = max(self.peak_mb, _pss() / 1e6)
            if self._stop.wait(_SAMPLE_S):
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
