"""A whole run: `python -m tests.benchmarks.run [--only demo|overhead|memory] [--json] [--documents 2500] [--times 20]`.

demo      `siku run` in a new store, and the same command again: wall and CPU seconds, peak memory, each stage's share.
overhead  JSON lines of 1 and of 40 documents up to token shards: what a stage costs that has little to do.
memory    JSON lines of N and of `times` x N documents up to token shards: peak memory, its stage, and their ratio.

Memory is the summed PSS of the process tree, sampled every 0.2 s; siku's own figure (each second) stands beside it.
"""

import argparse
import contextlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import psutil

from tests.benchmarks.extract import sample, siku
from tests.end_to_end.support import MADE, REPOSITORY, TO_DO, command

EVERY_S = 0.2
WORDS = re.compile("[A-Za-z]+|[\u4e00-\u9fff]")
Row = dict[str, str | float]


@dataclass(slots=True)
class Ran:
    """A run that ended: wall and CPU seconds of the tree, peak PSS in MB by the stage it was seen in, what was said."""

    wall: float = 0.0
    cpu: float = 0.0
    pss: dict[str, float] = field(default_factory=dict)
    said: str = ""
    reported: float = 0.0  # MB, summary.json's peak

    @property
    def stages(self) -> dict[str, float]:
        """Seconds of each pass over the corpus that made something."""
        return {one_pass(name): float(seconds) for name, seconds in MADE.findall(self.said)}

    @property
    def peak(self) -> tuple[str, float]:
        """The stage in which memory was highest, and how high."""
        return max(self.pss.items(), key=lambda pair: pair[1])


def one_pass(stage: str) -> str:
    """Measures are made in one pass, and every one's line tells the time of all."""
    return "measures" if stage.startswith("measure.") else stage


def pss(process: psutil.Process) -> float:
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        for member in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += member.memory_full_info().pss
    return total / 1e6


def _follow(stream: TextIO, said: list[str]) -> None:
    said.extend(stream)


def _stage(said: Sequence[str]) -> str:
    """The stage begun last."""
    begun = TO_DO.findall("".join(said))
    return one_pass(begun[-1][0]) if begun else "start"


def run(store: Path, *arguments: str) -> Ran:
    """`siku run` as a process of its own. Raises RuntimeError where it fails."""
    before, began, said = os.times(), time.perf_counter(), list[str]()
    line = command("run", "-v", f"site.store={store}", *arguments)  # a line a stage
    process = subprocess.Popen(
        line, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8"
    )
    if process.stderr is None:
        raise RuntimeError("no pipe to read the run's progress from")
    reader = threading.Thread(target=_follow, args=(process.stderr, said))
    reader.start()
    tree, ran = psutil.Process(process.pid), Ran()
    while process.poll() is None:
        stage, now = _stage(said), pss(tree)
        ran.pss[stage] = max(ran.pss.get(stage, 0.0), now)
        time.sleep(EVERY_S)
    reader.join()
    ran.wall, after, ran.said = time.perf_counter() - began, os.times(), "".join(said)
    if process.returncode:
        raise RuntimeError(f"{' '.join(line)} ended in {process.returncode}:\n{ran.said[-4000:]}")
    ran.cpu = after.children_user + after.children_system - before.children_user - before.children_system
    if ran.stages:  # otherwise the summary that stands is of an earlier run
        summary = max(store.glob("runs/*/summary.json"), key=lambda path: path.stat().st_mtime)
        ran.reported = float(json.loads(summary.read_text()).get("peak_pss_mb", 0.0))
    return ran


def _row(name: str, ran: Ran) -> Row:
    stage, peak = ran.peak
    figures = {"wall_s": ran.wall, "cpu_s": ran.cpu, "peak_pss_mb": peak}
    figures |= {"summary_peak_pss_mb": ran.reported} if ran.reported else {}
    return {"run": name, **{key: round(value, 1) for key, value in figures.items()}, "peak_in": stage}


def _by_stage(name: str, ran: Ran) -> Iterator[Row]:
    for stage, seconds in ran.stages.items():
        seen = {"peak_pss_mb": round(ran.pss[stage], 1)} if stage in ran.pss else {}  # too short to be sampled
        yield {"run": f"{name}: {stage}", "wall_s": seconds, **seen}


def texts() -> list[str]:
    """Texts of the sample's pages that have some, languages in turn."""
    pages = sample()
    pairs = zip(pages["en"], pages["zh"], strict=False)
    return [text for pair in pairs for page in pair if len(text := siku(page)) > 200]


def salted(text: str, salt: int) -> str:
    """The text with its words and ideographs in an order of its own: as long, and no near-duplicate of another."""
    words = WORDS.findall(text)
    random.Random(salt).shuffle(words)
    order = iter(words)
    return WORDS.sub(lambda _: next(order), text)


def write(path: Path, known: Sequence[str], documents: int) -> Path:
    """JSON lines of so many documents, each salted with its number."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(documents):
            text = salted(known[number % len(known)], number)
            file.write(json.dumps({"id": str(number), "text": text}, ensure_ascii=False) + "\n")
    return path


def demo(folder: Path) -> Iterator[Row]:
    """The demo, once cold and once warm."""
    cold = run(folder / "demo")
    yield _row("demo", cold)
    yield from _by_stage("demo", cold)
    yield _row("demo again", run(folder / "demo"))


def overhead(folder: Path, known: Sequence[str]) -> Iterator[Row]:
    """One document, and forty: stages without work. Nothing is held out or dropped, for there is nothing to spare."""
    kept = ("filters=none", "recipe.split.held_out=0.000000001")
    for documents in (1, 40):
        path = write(folder / f"{documents}.jsonl", known, documents)
        ran = run(folder / f"overhead-{documents}", *_to_tokens(path), *kept, "recipe.tokenizer.vocabulary=300")
        yield _row(f"{documents} documents", ran)
        yield from _by_stage(f"{documents} documents", ran)


def memory(folder: Path, known: Sequence[str], documents: int, times: int) -> Iterator[Row]:
    """Peak memory at N documents and at `times` as many; then with the tokenizer's sample kept at N documents.

    BPE training holds every distinct piece of its sample, and a Chinese text brings as many as it has clauses.
    """
    many, same = documents * times, f"recipe.tokenizer.sample={1 / times}"
    peaks: list[float] = []
    for name, count, extra in (
        (f"{documents} documents", documents, []),
        (f"{many} documents", many, []),
        (f"{many} documents, sampled for BPE", many, [same]),
    ):
        path = write(folder / f"{count}.jsonl", known, count)
        ran = run(folder / f"memory-{len(peaks)}", *_to_tokens(path), *extra)
        peaks.append(ran.peak[1])
        yield {**_row(name, ran), "input_mb": round(path.stat().st_size / 1e6, 1)}
        yield from _by_stage(name, ran)
        if len(peaks) > 1:
            yield {"run": f"{name}: peak over that of {documents}", "ratio": round(peaks[-1] / peaks[0], 3)}


def _to_tokens(path: Path) -> tuple[str, ...]:
    return ("source=jsonl", f"recipe.source.path={path}", "run.until=tokens", "site.workers=2")


def main() -> int:
    """Print each row as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("demo", "overhead", "memory"))
    parser.add_argument("--json", action="store_true", help="one object a row")
    parser.add_argument("--documents", type=int, default=2500)
    parser.add_argument("--times", type=int, default=20)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        known = [] if chosen.only == "demo" else texts()
        parts = {
            "demo": demo(folder),
            "overhead": overhead(folder, known),
            "memory": memory(folder, known, chosen.documents, chosen.times),
        }
        for name, rows in parts.items():
            for row in rows if chosen.only in (None, name) else ():
                told = json.dumps(row, ensure_ascii=False)
                print(told if chosen.json else _line(row), flush=True)
    return 0


def _line(row: Row) -> str:
    figures = "  ".join(f"{key} {value}" for key, value in row.items() if key != "run")
    return f"{row['run']:<52} {figures}"


if __name__ == "__main__":
    sys.exit(main())
