"""The kill campaign: `python -m tests.end_to_end.kill --rounds N --store DIR [--seed S]`.

A run is ended by SIGKILL again and again, in every stage and at the moments that hurt most, and begun anew at once,
while orphans may still live. What it leaves in the end must equal what an undisturbed run leaves.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from tests.end_to_end.support import (
    MADE,
    REPOSITORY,
    TINY,
    TO_DO,
    differing,
    environment,
    fingerprint,
    small_site,
    spoken,
)

How = Literal["group", "parent"]
Moment = Literal["random", "workers", "commit", "checkpoint write", "before its manifest"]
STAGES = (
    "source",
    "extract",
    "clean",
    "measure",
    "split",
    "filter",
    "detox",
    "dedupe",
    "decontaminate",
    "tokenizer",
    "tokens",
    "held_out",
    "train",
    "untrained",
    "evaluate",
)
WORKERS = ("extract", "measure")  # killed while Beam's worker processes are at work
MARK = "SIKU_KILL_CAMPAIGN"
STEPS = 12
PATIENCE_S = 180.0
GRACE_S = 15.0  # for orphans to notice that their parent is gone


@dataclass(frozen=True, slots=True)
class Kill:
    """Where and how a run is to be ended."""

    stage: str
    how: How
    moment: Moment = "random"


@dataclass(slots=True)
class Killed:
    """What happened: the stage it was in, what was on disk, whether the moment was met, what lived on for a while."""

    plan: Kill
    stage: str
    on_disk: str
    met: bool
    children: int  # processes below the parent when it was killed; not counted where the moment is aimed at
    orphans: int  # of them, alive right after


@dataclass(slots=True)
class Round:
    """One store, killed many times."""

    kills: list[Killed] = field(default_factory=list)
    reruns: int = 0
    differing: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Run:
    """A `siku run` in a process group of its own, watched line by line."""

    def __init__(self, arguments: Sequence[str], token: str, *, workers: bool = False) -> None:
        self.token = token
        more = {MARK: token, **({"SIKU_TEST_WORKERS": "2"} if workers else {})}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.end_to_end.launch", *spoken(("run", *arguments))],
            cwd=REPOSITORY,
            env=environment(**more),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        self.said = ""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(ValueError):  # closed: orphans may hold the other end
            for line in self.process.stderr or ():
                self.said += line

    @property
    def stage(self) -> str:
        """The stage that is being made, by the last line about one."""
        begun = [name.partition(".")[0] for name, _ in TO_DO.findall(self.said)]
        ended = {name.partition(".")[0] for name, _ in MADE.findall(self.said)}
        return begun[-1] if begun and begun[-1] not in ended else ""

    def children(self) -> int:
        """Processes that the run has started."""
        with suppress(psutil.NoSuchProcess):
            return len(psutil.Process(self.process.pid).children(recursive=True))
        return 0

    def kill(self, how: How) -> None:
        """SIGKILL to the whole group, or to the parent alone."""
        with suppress(ProcessLookupError):
            if how == "group":
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        self.process.wait()
        self._thread.join(timeout=0.5)

    def wait(self) -> int:
        """To its end; raises TimeoutExpired."""
        code = self.process.wait(PATIENCE_S)
        self._thread.join(timeout=5)
        return code


def arguments(store: Path, site: Path) -> list[str]:
    """The run that is killed: 40 pages, a model of one layer, a checkpoint every other step."""
    return [
        *TINY,
        f"site.store={store}",
        f"site.hosts.sample.serve={site}",
        "site.politeness.segment_pages=8",
        "site.checkpoint_every=2",
        "site.keep=100",
        "recipe.split.held_out=0.3",
        f"run.steps={STEPS}",
    ]


def plan(rng: random.Random) -> Iterator[Kill]:
    """Every stage once, in order, and the moments that are aimed at."""
    for stage in STAGES:
        how: How = rng.choice(("group", "parent"))
        if stage in WORKERS:
            yield Kill(stage, "parent", "workers")
        if stage in ("extract", "split", "tokens"):
            yield Kill(stage, rng.choice(("group", "parent")), "commit")
        if stage == "train":
            yield Kill(stage, rng.choice(("group", "parent")), "checkpoint write")
            yield Kill(stage, rng.choice(("group", "parent")), "before its manifest")
        yield Kill(stage, how)


def uncommitted(root: Path) -> list[str]:
    """Files of attempts that no record names yet, in folders without a manifest."""
    found = []
    for folder in (path for kind in root.glob("[!cr]*") if kind.name != "train" for path in kind.glob("*")):
        if not folder.is_dir() or (folder / "manifest.json").exists():
            continue
        with suppress(FileNotFoundError):
            records = "".join(path.read_text() for path in folder.glob("commits/*/*.json"))
            found += [path.name for path in folder.glob("*.*.arrow") if path.name not in records]
    return found


def unfinished_checkpoints(root: Path) -> list[Path]:
    """Checkpoints that are being written."""
    return [path for path in root.glob("train/*/*/step-*.tmp*") if path.is_dir()]


def before_manifest(root: Path) -> list[str]:
    """Checkpoints with bytes of their rank and no manifest."""
    names = []
    for folder in unfinished_checkpoints(root):
        with suppress(FileNotFoundError):  # it may be renamed between two looks
            if (folder / "rank-0.bin").stat().st_size and not (folder / "manifest.json").exists():
                names.append(folder.name)
    return names


AIMS: dict[Moment, Callable[[Path], list[str]]] = {
    "commit": uncommitted,
    "checkpoint write": lambda root: [path.name for path in unfinished_checkpoints(root)],
    "before its manifest": before_manifest,
}


def on_disk(root: Path, stage: str) -> str:
    """What a killed run left of the work it was at, in a few words."""
    if stage == "train" or unfinished_checkpoints(root):
        whole = sorted(int(path.name[5:]) for path in root.glob("train/*/*/step-*") if path.name[5:].isdigit())
        part = [f"{p.name} ({', '.join(sorted(q.name for q in p.iterdir()))})" for p in unfinished_checkpoints(root)]
        return f"checkpoints {whole[-1:] or 'none'}" + (f", {'; '.join(part)}" if part else "")
    if stage == "source":
        return f"{len(list(root.glob('crawl/*/*/*/warc/*.warc.gz')))} WARC segments, no manifest"
    open_folders = [path.parent for path in root.glob("*/*/lease.json")]
    records = sum(len(list(folder.glob("commits/*/*.json"))) for folder in open_folders)
    stray = len(uncommitted(root))
    sealed = sum((folder / "manifest.json").exists() for folder in open_folders)
    return f"{records} commit records, {stray} files without one" + (f", {sealed} manifests" if sealed else "")


def strike(run: Run, kill: Kill, root: Path, fraction: float, seconds: float) -> Killed | None:
    """End a run at the planned moment; None if it came to its end first."""
    due: float | None = None
    aim, deadline = AIMS.get(kill.moment), time.monotonic() + PATIENCE_S
    while run.process.poll() is None and time.monotonic() < deadline:
        inside = run.stage == kill.stage
        passed = STAGES.index(run.stage) > STAGES.index(kill.stage) if run.stage in STAGES else False
        if inside and due is None and (kill.moment != "workers" or run.children()):
            due = time.monotonic() + fraction * seconds
        now = inside and bool(aim(root)) if aim else due is not None and time.monotonic() >= due
        if now or passed:
            stage = run.stage or kill.stage
            children = 0 if aim else run.children()
            run.kill(kill.how)
            met = bool(aim(root)) if aim else stage == kill.stage and (children > 0 or kill.moment != "workers")
            return Killed(kill, stage, on_disk(root, stage), met, children, len(marked(run.token)))
        time.sleep(0 if aim and inside else 0.001)
    run.kill("group")
    return None


def marked(token: str) -> list[str]:
    """Processes that a campaign's runs left, by what their environment holds."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == token and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {' '.join(process.cmdline())[:120]}")
    return found


def survivors(token: str) -> list[str]:
    """What still lives after the grace."""
    deadline = time.monotonic() + GRACE_S
    while (found := marked(token)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def reference(folder: Path, site: Path) -> tuple[dict[str, object], dict[str, float]]:
    """An undisturbed run: its fingerprint, and the seconds of its stages."""
    run = Run(arguments(folder / "undisturbed", site), f"{folder}-undisturbed")
    if run.wait():
        raise SystemExit(f"the undisturbed run failed:\n{run.said}")
    seconds: dict[str, float] = {}
    for name, taken in MADE.findall(run.said):
        seconds.setdefault(name.partition(".")[0], float(taken))
    return fingerprint(folder / "undisturbed"), seconds


def one_round(
    kills: Sequence[Kill], store: Path, site: Path, seconds: dict[str, float], rng: random.Random, wanted: object
) -> Round:
    """A run killed at each moment in turn, then left alone, and compared."""
    told, token, started = Round(), f"{store}-{os.getpid()}", time.monotonic()
    for kill in kills:
        run = Run(arguments(store, site), token, workers=kill.moment == "workers")
        killed = strike(run, kill, store, rng.uniform(0.0, 0.5), seconds.get(kill.stage, 0.1))
        told.reruns += 1
        if killed is not None:
            told.kills.append(killed)
    while True:
        run = Run(arguments(store, site), token)
        if run.wait() == 0:
            break
        told.left.append(run.said[-2000:])
        if len(told.left) == 3:
            raise SystemExit(f"three reruns of {store} failed, the last with\n{run.said}")
    told.differing = differing(wanted, fingerprint(store))  # type: ignore[arg-type]
    told.left += survivors(token)
    told.seconds = time.monotonic() - started
    return told


def table(rounds: Sequence[Round], first: int = 1) -> str:
    """One line a kill; rounds are counted from `first`."""
    head = f"{'round':>5}  {'aimed at':<35}{'how':<8}{'killed in':<15}{'met':<5}{'children':<10}{'orphans':<9}"
    lines = [f"{head}{'equal':<7}on disk"]
    for number, told in enumerate(rounds, start=first):
        equal = "no" if told.differing else "yes"
        for killed in told.kills:
            aimed = f"{killed.plan.stage}, {killed.plan.moment}"
            met = "yes" if killed.met else "no"
            lines.append(
                f"{number:>5}  {aimed:<35}{killed.plan.how:<8}{killed.stage:<15}{met:<5}"
                f"{killed.children:<10}{killed.orphans:<9}{equal:<7}{killed.on_disk}"
            )
        lines.append(
            f"{number:>5}  {len(told.kills)} kills, {told.reruns} reruns, {told.seconds:.0f} s; "
            f"differing: {told.differing or 'nothing'}; left alive or failed: {told.left or 'nothing'}"
        )
    return "\n".join(lines)


def main() -> int:
    """The campaign; 1 if anything differs or lives on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="stores; each is killed in every stage")
    parser.add_argument("--store", type=Path, required=True, help="an empty folder to work in")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.store.mkdir(parents=True, exist_ok=True)
    site = small_site(options.store / "site.tar.xz")
    rng, rounds = random.Random(options.seed), []
    wanted, seconds = reference(options.store, site)
    for number in range(options.rounds):
        told = one_round(list(plan(rng)), options.store / f"round-{number}", site, seconds, rng, wanted)
        rounds.append(told)
        print(table([told], number + 1), flush=True)
    return int(any(told.differing or told.left for told in rounds))


if __name__ == "__main__":
    raise SystemExit(main())
