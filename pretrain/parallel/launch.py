"""One command starts its own ranks: loopback rendezvous, one traceback, and nobody left behind."""

import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LISTEN_FD = "SIKU_LISTEN_FD"  # rank 0's rendezvous socket, opened by the launcher: no port can be lost to a race
RENDEZVOUS = "SIKU_RENDEZVOUS"  # host:port of it
PARENT = "SIKU_PARENT_PID"
ERRORS = "SIKU_ERRORS"  # folder where a failing rank leaves its traceback
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_CONSEQUENCE = re.compile(r"Connection (closed|reset)|Broken pipe|[Tt]imed out|gloo|NCCL|recv.*peer|TCPStore")
_GRACE = "grace"  # in the folder of errors: seconds that a clean stop may take, as rank 0 last reckoned
_LEAST_GRACE_S = 60.0
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # what asks a run to end after its step, with a checkpoint
RESUMABLE = 85  # status of a run that a scheduler stopped and may start again (as ERESTART of Linux)


def stop_status(number: int) -> int:
    """Exit status of a clean stop: Ctrl-C is a user's, the others are a scheduler's."""
    return 128 + number if number == signal.SIGINT else RESUMABLE


STOPPED = frozenset(stop_status(number) for number in STOPS)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a rank ended."""

    rank: int
    when: float
    text: str
    own: bool  # not merely the consequence of another rank's end


def world_of_environment() -> int | None:
    """WORLD_SIZE where a launcher (ours or torchrun) has set the ranks, else None."""
    return int(os.environ["WORLD_SIZE"]) if "RANK" in os.environ and "WORLD_SIZE" in os.environ else None


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it ends, however it ends."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    expected = os.environ.get(PARENT)
    if expected is not None and os.getppid() != int(expected):
        sys.exit(f"the process that started this one ({expected}) is gone")


def keep_threads_passive() -> None:
    """Let idle OpenMP threads sleep; call before torch is imported.

    Spinning, two threads on two busy cores trained the tiny model at 460 tokens/s, sleeping at 6,800.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def report_failure(error: BaseException) -> None:
    """Leave this rank's traceback where the launcher looks, or print it when there is no launcher.

    Errors of our own say what is wrong and what to do: they need no traceback.
    """
    own = type(error).__module__.partition(".")[0] in ("pretrain", "corpus")
    text = f"{type(error).__name__}: {error}\n" if own else "".join(traceback.format_exception(error))
    folder = os.environ.get(ERRORS)
    if folder is None:
        os.write(2, text.encode("utf-8", "backslashreplace"))  # torch's own hook has sys.stderr redirected
        return
    path = Path(folder) / f"rank-{os.environ['RANK']}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"when": time.time(), "text": text}), encoding="utf-8")
    temporary.rename(path)


def report_grace(seconds: float) -> None:
    """Tell the launcher how long a clean stop may take: the step under way, and a checkpoint."""
    folder = os.environ.get(ERRORS)
    if folder is not None:
        temporary = Path(folder) / f"{_GRACE}.tmp"
        temporary.write_text(str(seconds), encoding="utf-8")
        temporary.rename(temporary.with_suffix(""))


def _grace(errors: Path) -> float:
    path = errors / _GRACE
    return max(_LEAST_GRACE_S, float(path.read_text(encoding="utf-8")) if path.exists() else 0.0)


def _environment(rank: int, world: int, address: str, errors: Path, listen: int) -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])  # where the packages lie
    environment = {
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")])),
        RENDEZVOUS: address,
        PARENT: str(os.getpid()),
        ERRORS: str(errors),
    }
    environment.setdefault("GLOO_SOCKET_IFNAME", "lo")
    if rank == 0:
        environment[LISTEN_FD] = str(listen)
    return environment


def _first_failure(ranks: list[subprocess.Popen[bytes]], errors: Path) -> Failure:
    """The failure that started it: an error of a rank's own, else a killed rank, else the earliest consequence."""
    failures = []
    for rank, process in enumerate(ranks):
        path = errors / f"rank-{rank}.json"
        if path.exists():
            left = json.loads(path.read_text(encoding="utf-8"))
            last_line = left["text"].rstrip().rsplit("\n", 1)[-1]
            failures.append(Failure(rank, left["when"], left["text"], not _CONSEQUENCE.search(last_line)))
        elif process.poll() is not None and process.returncode < 0:
            name = signal.Signals(-process.returncode).name
            failures.append(Failure(rank, float("inf"), f"rank {rank} was killed by {name}\n", True))
        elif process.poll():
            text = f"rank {rank} exited with status {process.returncode}: see its log\n"
            failures.append(Failure(rank, float("inf"), text, True))
    return min(failures, key=lambda failure: (not failure.own, failure.when))


def _end(ranks: list[subprocess.Popen[bytes]], number: signal.Signals) -> None:
    for process in ranks:
        if process.poll() is None:
            process.send_signal(number)


def launch(command: Sequence[str], world: int, logs: Path) -> int:
    """Run `world` ranks of a command on this machine; returns the exit status.

    SIGINT, SIGTERM and SIGUSR1 ask the ranks to stop after their step; a second one kills them. Rank 0 writes to this
    terminal, the others to `logs`.
    """
    asked: list[int] = []
    for number in STOPS:
        signal.signal(number, lambda received, _: asked.append(received))
    logs.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.TemporaryDirectory() as folder:
        address, errors = f"127.0.0.1:{listener.getsockname()[1]}", Path(folder)
        ranks = []
        for rank in range(world):
            with (logs / f"rank-{rank}.log").open("ab") as log:
                ranks.append(
                    subprocess.Popen(
                        command,
                        env=_environment(rank, world, address, errors, listener.fileno()),
                        pass_fds=(listener.fileno(),) if rank == 0 else (),
                        stdout=None if rank == 0 else log,
                        stderr=None if rank == 0 else log,
                    )
                )
        try:
            return _watch(ranks, errors, logs, asked)
        finally:
            _end(ranks, signal.SIGKILL)
            for process in ranks:
                process.wait()


def _watch(ranks: list[subprocess.Popen[bytes]], errors: Path, logs: Path, asked: list[int]) -> int:
    forwarded, deadline = 0, float("inf")
    while True:
        codes = [process.poll() for process in ranks]
        if any(code not in (None, 0) and code not in STOPPED for code in codes):
            time.sleep(0.5)  # let the rank that failed first finish its traceback
            failure = _first_failure(ranks, errors)
            sys.stderr.write(failure.text)
            sys.stderr.write(f"rank {failure.rank} of {len(ranks)} failed first; logs of the others: {logs}\n")
            return 1
        if all(code is not None for code in codes):
            return max(code or 0 for code in codes)
        if len(asked) > forwarded:
            _end(ranks, signal.Signals(asked[0]) if forwarded == 0 else signal.SIGKILL)
            forwarded, deadline = forwarded + 1, time.monotonic() + _grace(errors)  # one at a time: a next one kills
        if time.monotonic() > deadline:
            sys.stderr.write(f"the ranks have not stopped in {_grace(errors):.0f} s and are killed; logs: {logs}\n")
            _end(ranks, signal.SIGKILL)
            deadline = float("inf")
        time.sleep(0.05)
