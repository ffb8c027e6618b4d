"""Beam's worker process, which ends with the run that started it: `python -m pipelines.engine.worker PARENT_PID`.

Beam 2.77's own worker lives on, holding memory, when its parent is killed.
"""

import ctypes
import os
import signal
import sys

from corpus.fault import fault_point

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends, which waits for it all its life."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        raise SystemExit(f"the process that started this worker ({parent}) is gone")


def main() -> None:
    """As Beam's own entry point. A terminal's Ctrl-C reaches every process of its group: the run alone ends by it."""
    die_with_parent(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    fault_point("worker:start")
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv[:1])


if __name__ == "__main__":
    main()
