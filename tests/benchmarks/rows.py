"""What all benchmarks print: one row a tool, stage and language, as a table or as JSON lines."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One tool on one stage and language; None for what was not measured.

    MB are of input, seconds are CPU seconds, the median over repeats; `peak_mb` is the resident peak of a process that
    does the work once. Precision, recall and F1 where the truth is known.
    """

    tool: str
    stage: str
    language: str
    mb_per_cpu_s: float | None = None
    tokens_per_cpu_s: float | None = None
    peak_mb: float | None = None
    recall: float | None = None
    precision: float | None = None
    f1: float | None = None


def cpu_seconds(tools: Mapping[str, Callable[[T], object]], work: T, repeats: int) -> dict[str, float]:
    """Median CPU seconds of each tool on the same work, the tools in turn within each repeat."""
    seconds: dict[str, list[float]] = {name: [] for name in tools}
    for _ in range(repeats):
        for name, tool in tools.items():
            start = time.process_time()
            tool(work)
            seconds[name].append(time.process_time() - start)
    return {name: median(times) for name, times in seconds.items()}


def peak_mb(tool: Callable[[T], object], work: T) -> float:
    """Resident peak of a child process that runs the tool once; what the parent has loaded is in it."""
    child = os.fork()
    if child == 0:
        tool(work)
        os._exit(0)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise RuntimeError(f"{tool} ended with status {status}")
    return usage.ru_maxrss / 1024


_UNITS = {
    "mb_per_cpu_s": "MB/CPU-s",
    "tokens_per_cpu_s": "tokens/CPU-s",
    "peak_mb": "MB peak",
    "recall": "recall",
    "precision": "precision",
    "f1": "F1",
}


def show(row: Row, *, as_json: bool) -> None:
    """Print a row."""
    if as_json:
        print(json.dumps(asdict(row)))
        return
    cells = [
        f"{value:>12,.0f} {unit}" if name == "tokens_per_cpu_s" else f"{value:>9.4g} {unit}"
        for name, unit in _UNITS.items()
        if (value := getattr(row, name)) is not None
    ]
    print(f"{row.stage:10}{row.tool:28}{row.language:6}{''.join(cells)}")
