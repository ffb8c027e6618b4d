"""A run followed from outside: CPU seconds, memory and files of its process tree, stage by stage."""

import contextlib
import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.end_to_end.support import REPOSITORY, TO_DO

EVERY_S = 0.2  # at first; then a hundredth of the time that has passed, up to LATER_S
LATER_S = 1.0


@dataclass(slots=True)
class Usage:
    """CPU seconds, the highest summed anonymous PSS in MB, and the most files at a time."""

    cpu_s: float = 0.0
    peak_mb: float = 0.0
    files: int = 0


def followed(line: list[str], store: Path) -> dict[str, Usage]:
    """Usage by stage of a `siku run -v` into an empty store; what comes before the first stage is `start`.

    Raises RuntimeError where it fails.
    """
    usage, stage, spent, before = {"start": Usage()}, "start", 0.0, 0
    with tempfile.TemporaryFile() as said:
        ended, began, started = None, _ended(), time.monotonic()
        process = subprocess.Popen(line, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=said)
        tree = psutil.Process(process.pid)
        while ended is None:
            time.sleep(min(max(EVERY_S, (time.monotonic() - started) / 100), LATER_S))
            now, memory, files = _cpu(tree), anonymous(tree), sum(path.is_file() for path in store.rglob("*"))
            ended = process.poll()
            used = usage[stage]
            used.cpu_s, spent = used.cpu_s + max(now - spent, 0.0), max(now, spent)
            used.peak_mb, used.files = max(used.peak_mb, memory), max(used.files, files - before)
            text = os.pread(said.fileno(), os.fstat(said.fileno()).st_size, 0).decode()
            begun = TO_DO.findall(text)
            name = begun[-1][0].partition(".")[0] if begun else stage  # a recipe's measures, and its keys, are one
            if name != stage:
                stage, before = name, files
                usage[stage] = Usage()
        usage[stage].cpu_s += _ended() - began - spent  # what it did after the last look
    if process.returncode:
        raise RuntimeError(f"{' '.join(line)} ended in {process.returncode}:\n{text[-4000:]}")
    return usage


def anonymous(process: psutil.Process) -> float:
    """MB of a tree that its processes allocated (proc(5), smaps_rollup); those shared between them count once."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        for member in [process, *process.children(recursive=True)]:
            with contextlib.suppress(OSError):  # it ended between the two calls
                found = re.search(r"Pss_Anon: +(\d+)", Path(f"/proc/{member.pid}/smaps_rollup").read_text())
                total += int(found[1]) << 10 if found else 0
    return total / 1e6


def _ended() -> float:
    """CPU seconds of all children that have ended, and theirs."""
    times = os.times()
    return times.children_user + times.children_system


def _cpu(process: psutil.Process) -> float:
    """CPU seconds of a tree so far, those of its ended members too."""
    total = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        for member in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += sum(member.cpu_times()[:4])  # its own, and of children that it has waited for
    return total
