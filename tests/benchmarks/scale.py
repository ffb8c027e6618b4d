"""Linear work in level memory: `python -m tests.benchmarks.scale [--documents 10000 100000 1000000] [--json]`.

JSON lines of planted clusters become token shards; a row a stage, and one for all: CPU seconds of the process tree, its
peak memory, and the most files that the stage's folder held. `missed` and `wrong` count planted clusters
that split, dedupe or decontaminate did not find, and documents of none that they took for one. Ends in 1 where ten
times the documents take more than 11 times the CPU, or 1.25 times the memory of a run of 100,000 or more.

Memory is anonymous: pages of files are left out. Those of the libraries are shared with whatever else runs on the
machine, and their part in a PSS with it: of one stage of one run it was 39 MB beside others and 130 MB alone
(libllvmlite.so 22 to 75). Those of a mapped index or shard are the kernel's to take back: the held-out index, 85 MB at
100,000 held-out documents, is bounded by recipe.split.max_held_out.
"""

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from tests.benchmarks.clusters import Findings, findings, write
from tests.benchmarks.tree import Usage, followed
from tests.end_to_end.support import command

# Memory is to be bounded by what is set, so as little is set as a merge can do with, and a small sample for BPE, whose
# training takes 25 times of it. One process: what a second one holds would tell of the machine, not of the documents.
SETTINGS = (
    "source=jsonl",
    "run.until=tokens",
    "site.workers=1",
    "site.memory=128MiB",
    "recipe.tokenizer.max_bytes=2000000",
)
MOST_CPU, MOST_MEMORY = 11.0, 1.25
FULL = 100_000  # documents from which on no buffer is waiting to be filled


@dataclass(frozen=True, kw_only=True)
class Row:
    """One stage, or all, on so many documents; None for what was not looked at."""

    documents: int
    stage: str
    cpu_s: float
    peak_mb: float
    files: int
    missed: int | None = None
    wrong: int | None = None


def rows(folder: Path, documents: int) -> Iterator[Row]:
    """A run in a store of its own."""
    path, store = folder / f"{documents}.jsonl", folder / f"store-{documents}"
    write(path, documents)
    line = command("run", "-v", f"site.store={store}", f"recipe.source.path={path}", *SETTINGS)
    usage = followed(line, store)
    found = findings(store, documents)
    for stage, used in usage.items():
        yield _row(documents, stage, used, found.get(stage))
    everything = Usage(
        sum(used.cpu_s for used in usage.values()),
        max(used.peak_mb for used in usage.values()),
        sum(used.files for used in usage.values()),
    )
    total = Findings(sum(each.missed for each in found.values()), sum(each.wrong for each in found.values()))
    yield _row(documents, "all", everything, total)


def _row(documents: int, stage: str, used: Usage, found: Findings | None) -> Row:
    figures = {"cpu_s": round(used.cpu_s, 1), "peak_mb": round(used.peak_mb), "files": used.files}
    return Row(documents=documents, stage=stage, **figures, **(asdict(found) if found else {}))  # type: ignore[arg-type]


def broken(totals: Sequence[Row]) -> list[str]:
    """What grows faster than it may, from one size to the next."""
    out = []
    for less, more in pairwise(totals):
        tens = math.log10(more.documents / less.documents)
        cpu, memory = more.cpu_s / less.cpu_s, more.peak_mb / less.peak_mb
        if cpu > MOST_CPU**tens:
            out.append(f"{more.documents:,} documents take {cpu:.1f} times the CPU seconds of {less.documents:,}")
        if less.documents >= FULL and memory > MOST_MEMORY**tens:
            out.append(f"{more.documents:,} documents take {memory:.2f} times the memory of {less.documents:,}")
    return out


def main() -> int:
    """Print each row as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--json", action="store_true", help="one object a row")
    chosen = parser.parse_args()
    totals: list[Row] = []
    for documents in sorted(chosen.documents):
        with tempfile.TemporaryDirectory() as folder:
            for row in rows(Path(folder), documents):
                print(json.dumps(asdict(row)) if chosen.json else _line(row), flush=True)
                totals += [row] if row.stage == "all" else []
    said = broken(totals)
    for each in said:
        print(each, file=sys.stderr)
    return 1 if said else 0


def _line(row: Row) -> str:
    told = "" if row.missed is None else f"{row.missed:>9,} missed{row.wrong:>7,} wrong"
    used = f"{row.cpu_s:>9,.1f} CPU s{row.peak_mb:>7,.0f} MB{row.files:>7,} files"
    return f"{row.documents:>9,}  {row.stage:<14}{used}{told}"


if __name__ == "__main__":
    sys.exit(main())
