"""The kill campaign: `python -m tests.end_to_end.kill --store DIR [--rounds N] [--seed S] [--brief]`.

Nothing here waits for a moment. An undisturbed run lists all at which it can be ended (SIKU_FAULT_LOG), and every fault
point in the code must be among them. Then a run is ended at each in turn (SIKU_FAULT) and begun anew at once, in the
same store; what is finished there must always equal what the undisturbed run left.
"""

import argparse
import ast
import ctypes
import logging
import os
import random
import re
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from corpus.fault import LOG, VARIABLE
from pipelines.stages import train
from tests import forked
from tests.end_to_end import launch
from tests.end_to_end.support import REPOSITORY, TINY, differing, fingerprint, small_site, spoken

ACTIONS = ("kill", "parent", "group")
PACKAGES = ("corpus", "pipelines", "pretrain")
BUSY_UNTIL = "measure"  # with worker processes, which cost seconds to start, no further
PATIENCE_S = 180  # for a run; beyond it, it hangs
GRACE_S = 15  # for its children to end after it
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h: orphans become this process's children


@dataclass(frozen=True, slots=True)
class Kill:
    """A moment, and who is ended there: the process that is at it, the run's first (`parent`) or its `group`."""

    moment: str
    action: str
    workers: bool = False  # whether Beam's worker processes are at work

    def __str__(self) -> str:
        return f"{self.moment}:1:{self.action}"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: its status (-9 killed), what it said, the processes that outlived it, those that would not end,
    and the moments it reached: whether another process than the run's first was there."""

    status: int
    said: str
    orphans: int
    left: tuple[str, ...]
    moments: Mapping[str, bool]


@contextmanager
def patience(seconds: int) -> Iterator[None]:
    """Raises TimeoutError in what takes longer."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run(arguments: Sequence[str], folder: Path, *, fault: str = "", workers: bool = False) -> Ended:
    """`siku run`, in a process group of its own, forked from this process, which has read the modules."""
    said, log = folder / "said", folder / "moments"
    for path in (said, log):
        path.write_bytes(b"")
    child = os.fork()
    if not child:
        _become_siku(arguments, said, {VARIABLE: fault, LOG: str(log)}, workers)
    try:
        with patience(PATIENCE_S):
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except TimeoutError:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        status = 124
    orphans, left = _reap()
    moments: dict[str, bool] = {}
    for line in log.read_text().splitlines():
        name, _, pid = line.rpartition(" ")
        moments.setdefault(name, int(pid) != child)
    return Ended(status, said.read_text("utf-8", "replace"), orphans, left, moments)


def _become_siku(arguments: Sequence[str], said: Path, environment: Mapping[str, str], workers: bool) -> None:
    os.setsid()
    os.environ |= {**environment, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    handle = os.open(said, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(handle, stream)
    code = 1
    try:
        code = launch.main(spoken(("run", *arguments)), workers=workers)
    finally:
        os._exit(code)


def _reap() -> tuple[int, tuple[str, ...]]:
    """Wait for the processes that a run left: how many they were, and those that had to be killed."""
    orphans = 0
    try:
        with patience(GRACE_S):
            while True:
                os.waitpid(-1, 0)
                orphans += 1
    except ChildProcessError:
        return orphans, ()
    except TimeoutError:
        left = psutil.Process().children(recursive=True)
        names = tuple(f"{process.pid} {' '.join(process.cmdline())[:120]}" for process in left)
        for process in left:
            process.kill()
        return orphans, names


def arguments(store: Path, site: Path) -> list[str]:
    """The run that is killed: 40 pages, a model of one layer, a checkpoint every other step, of which few are kept."""
    return [
        *TINY,
        f"site.store={store}",
        f"site.hosts.sample.serve={site}",
        "site.politeness.segment_pages=8",
        "site.checkpoint_every=2",
        "site.keep=2",
        "recipe.split.held_out=0.3",
        "run.steps=20",
    ]


def call_sites() -> dict[str, str]:
    """Every `fault_point(...)` of the code: its place, and a pattern of the moments it makes."""
    found: dict[str, str] = {}
    for path in (path for package in PACKAGES for path in sorted((REPOSITORY / package).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("fault_point"):
                (name,) = node.args
                parts = name.values if isinstance(name, ast.JoinedStr) else [name]
                pattern = "".join(re.escape(p.value) if isinstance(p, ast.Constant) else r"[\w.-]+" for p in parts)
                found[f"{path.relative_to(REPOSITORY)}:{node.lineno}"] = pattern
    return found


def unreached(moments: Mapping[str, bool]) -> list[str]:
    """Fault points that no moment comes from: a campaign that leaves them out says nothing of them."""
    return [f"{at} ({p})" for at, p in call_sites().items() if not any(re.fullmatch(p, name) for name in moments)]


def one_a_site(moments: Mapping[str, bool], rng: random.Random) -> dict[str, bool]:
    """One moment, drawn, of every fault point; three of those in a trainer, which takes seconds to start."""
    each = ([name for name in moments if re.fullmatch(pattern, name)] for pattern in call_sites().values())
    drawn = {rng.choice(names) for names in each if names}
    in_trainer = sorted(name for name in drawn if moments[name])
    drawn -= {*in_trainer} - {*rng.sample(in_trainer, 3)}
    return {name: child for name, child in moments.items() if name in drawn}


def kills(moments: Mapping[str, bool]) -> Iterator[Kill]:
    """Ends of a run, in the order in which it reaches them. A process alone is its own parent and group."""
    for name, child in moments.items():
        yield from (Kill(name, action) for action in (ACTIONS if child else ACTIONS[:1]))


def busy_kills(moments: Mapping[str, bool], number: int) -> Iterator[Kill]:
    """Ends of a run while its workers are at it: of the parent and of the group in turn, the other in the next round;
    before a commit of the worker alone as well."""
    for index, name in enumerate(name for name, child in moments.items() if child):
        if name.endswith((":commit", ":start")):
            yield Kill(name, "kill", workers=True)
        yield Kill(name, ACTIONS[1:][(index + number) % 2], workers=True)


def on_disk(root: Path) -> str:
    """What a killed run left unfinished, in a few words."""
    begun = [path.parent for path in root.glob("*/*/*/commits") if not (path.parent / "manifest.json").exists()]
    records = {path.read_text() for folder in begun for path in folder.glob("commits/*/*.json")}
    stray = sum(path.name not in "".join(records) for folder in begun for path in folder.glob("*.*.arrow"))
    checkpoints = [
        f"{path.name} ({', '.join(sorted(each.name for each in path.iterdir()))})"
        for path in root.glob("train/*/*/step-*.tmp*")
    ]
    segments = len([*root.glob("crawl/*/*/*/warc/*.warc.gz"), *root.glob("crawl/*/*/*/warc/.*.part")])
    crawled = [*root.glob("crawl/*/*/*/manifest.json")]
    told = [f"{len(records)} records"] if records else []
    told += [f"{stray} files without one"] if stray else []
    told += [f"{segments} WARC segments"] if segments and not crawled else []
    return ", ".join([*told, *checkpoints])


def so_far(store: Path, wanted: Mapping[str, Any]) -> list[str]:
    """What is finished in a store and differs from the undisturbed run's."""
    there = fingerprint(store)
    steps = set(differing(wanted, there)) & {name for name in there if not name.endswith(" journal")}
    return sorted(name for name in steps if name in wanted or "/step-" not in name)  # an older checkpoint, to be pruned


def strike(kill: Kill, store: Path, base: Sequence[str], wanted: Mapping[str, Any]) -> str:
    """End a run; prints what came of it. Returns what is wrong, or nothing."""
    ended = run(base, store.parent, fault=str(kill), workers=kill.workers)
    differs = so_far(store, wanted)
    print(
        f"{kill.moment:<28} {'workers busy' if kill.workers else '':<13}{kill.action:<7} status {ended.status:>3}  "
        f"{ended.orphans} orphans  {'equal' if not differs else 'DIFFERS'}  {on_disk(store)}",
        flush=True,
    )
    wrong = [*differs, *ended.left]
    if kill.moment not in ended.moments or ended.status in (0, 124):
        wrong.append(f"ended with {ended.status} and not there: {ended.said[-1500:]}")
    return f"{kill}: {wrong}" if wrong else ""


def campaign(store: Path, base: Sequence[str], planned: Sequence[Kill], wanted: Mapping[str, Any]) -> list[str]:
    """A store's run ended again and again, then left alone; what is wrong."""
    wrong = [found for kill in planned if (found := strike(kill, store, base, wanted))]
    last = run(base, store.parent)
    if last.status or last.left:
        return [*wrong, f"left alone it ended with {last.status}, {last.left}: {last.said[-3000:]}"]
    differs = differing(wanted, fingerprint(store))
    print(f"{len(planned)} kills, then left alone: {f'DIFFERS: {differs}' if differs else 'equal'}", flush=True)
    return wrong + differs


def undisturbed(base: Sequence[str], *, workers: bool = False) -> tuple[dict[str, Any], Mapping[str, bool]]:
    """A run left alone: its fingerprint and its moments."""
    store = Path(next(each for each in base if each.startswith("site.store=")).partition("=")[2])
    ended = run(base, store.parent, workers=workers)
    if ended.status:
        raise SystemExit(f"the undisturbed run failed:\n{ended.said}")
    return fingerprint(store), ended.moments


def main() -> int:
    """The campaign; 1 if anything differs, lives on or was not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="an empty folder to work in")
    parser.add_argument("--rounds", type=int, default=1, help="stores; each is killed at every moment")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--brief", action="store_true", help="one moment of every fault point, drawn by the seed")
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    read_modules()
    options.store.mkdir(parents=True, exist_ok=True)
    wrong = rounds(options.store, random.Random(options.seed), options.rounds, brief=options.brief)
    for each in wrong:
        print(f"wrong: {each}")
    return int(bool(wrong))


def read_modules() -> None:
    """Once, in the process that every run is forked from."""
    logging.disable(logging.WARNING)  # Beam warns of clients for clouds that are not used
    from apache_beam.runners.portability import fn_api_runner  # noqa: F401

    logging.disable(logging.NOTSET)
    forked.read_modules()
    train.subprocess = forked.here  # type: ignore[misc]


def rounds(folder: Path, rng: random.Random, count: int, *, brief: bool) -> list[str]:
    """Every moment in each of `count` stores, then those while workers are at it; what is wrong."""
    site, wrong = small_site(folder / "site.tar.xz"), list[str]()
    wanted, moments = undisturbed(arguments(folder / "alone", site))
    base = [*arguments(folder / "busy", site), f"run.until={BUSY_UNTIL}"]
    busy_wanted, busy_moments = undisturbed(base, workers=True)
    if missing := unreached({**moments, **busy_moments}):
        return [f"fault points that no run reaches: {missing}"]
    print(f"{len(moments)} moments of {len(call_sites())} fault points, {len(busy_moments)} with workers", flush=True)
    for number in range(count):
        store, busy = folder / f"round-{number}", folder / f"busy-{number}"
        planned = list(kills(one_a_site(moments, rng) if brief else moments))
        wrong += campaign(store, arguments(store, site), planned, wanted)
        planned = list(busy_kills(busy_moments, number))
        base = [*arguments(busy, site), f"run.until={BUSY_UNTIL}"]
        wrong += campaign(busy, base, rng.sample(planned, 1) if brief else planned, busy_wanted)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
