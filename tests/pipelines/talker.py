"""Stands in for the trainer: says lines with and without a level, and stops cleanly when interrupted.

`python -m tests.pipelines.talker JOB.json`: the job's `does` is `talk`, `fail`, or `interrupt`, which interrupts its
parent as a terminal would and then waits for the parent to pass that on.
"""

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

LINES = (
    "DEBUG adapted streams",
    "INFO step 1/2  loss 3.5",
    "Traceback (most recent call last):",
    "  DEBUG not a level",
)


@dataclass(frozen=True)
class Talk:
    """What the process does."""

    does: str


def main() -> int:
    """Entry point."""
    does = json.loads(Path(sys.argv[1]).read_text())["does"]
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # until it is waited for
    for line in LINES:
        print(line)
    signal.alarm(60)  # whatever the parent does, this ends
    if does == "interrupt":
        os.kill(os.getppid(), signal.SIGINT)
        signal.sigwait([signal.SIGINT])
        for number in range(2000):  # more than a pipe holds
            print(f"DEBUG {number} {'x' * 100}")
        print("INFO stopped by SIGINT; the same command goes on")
        return 130
    return 3 if does == "fail" else 0


if __name__ == "__main__":
    sys.exit(main())
