"""Ranks on one machine: one traceback, clean stops, and nobody left behind. The ranks here are small stand-ins."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pretrain.tools import ROOT
from tests.waiting import Pipe, gone

LAUNCHER = """
import sys
from pathlib import Path
from pretrain.parallel.launch import die_with_parent, launch
die_with_parent()
sys.exit(launch([sys.executable, sys.argv[1]], int(sys.argv[2]), Path(sys.argv[3])))
"""
RANK = """
import os, signal, sys, time
from pathlib import Path
from pretrain.parallel.launch import die_with_parent, report_failure
rank, here = int(os.environ["RANK"]), Path(__file__).parent
def fail(kind, error, trace):
    report_failure(error)
    os._exit(1)
def say(*words):
    with (here / "said").open("w") as pipe:
        pipe.write(" ".join(map(str, (rank, *words))) + "\\n")
def ask(word):
    say(word)
    (here / f"answer-{rank}").read_text()
sys.excepthook = fail
die_with_parent()
say("started", os.getpid())
"""


@pytest.fixture(autouse=True)
def said(tmp_path: Path) -> Iterator[Pipe]:
    """What ranks say."""
    with Pipe(tmp_path / "said") as pipe:
        for rank in range(3):
            os.mkfifo(tmp_path / f"answer-{rank}")
        yield pipe


def answer(folder: Path, rank: int) -> None:
    """Let a rank go on that has asked."""
    (folder / f"answer-{rank}").write_text("")


def start(folder: Path, body: str, world: int = 2, least: float | None = None) -> subprocess.Popen[str]:
    (folder / "rank.py").write_text(RANK + body)
    shorter = "" if least is None else f"from pretrain.parallel import launch as l\nl._LEAST_GRACE_S = {least}\n"
    return subprocess.Popen(
        [sys.executable, "-c", shorter + LAUNCHER, str(folder / "rank.py"), str(world), str(folder / "logs")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def heard(said: Pipe, word: str, world: int = 2) -> list[str]:
    """What each rank says with this word, once all have said it."""
    lines: dict[str, str] = {}
    while len(lines) < world:
        rank, now, *more = said.line().split()
        if now == word:
            lines[rank] = " ".join(more)
    return [lines[str(rank)] for rank in range(world)]


def pids(said: Pipe) -> list[int]:
    """The ranks' processes, once all have started."""
    return [int(pid) for pid in heard(said, "started")]


def test_ranks_get_their_places_and_a_rendezvous(tmp_path: Path):
    body = """
import socket
sys.stdout.write(f"{rank} {os.environ['WORLD_SIZE']} {os.environ['LOCAL_RANK']}\\n")
if rank == 0:
    listener = socket.socket(fileno=int(os.environ["SIKU_LISTEN_FD"]))
    assert "%s:%d" % listener.getsockname() == os.environ["SIKU_RENDEZVOUS"]
    assert listener.getsockname()[0] == "127.0.0.1" and os.environ["GLOO_SOCKET_IFNAME"] == "lo"
"""
    body += f"assert os.environ['PYTHONPATH'].split(os.pathsep)[0] == {str(ROOT)!r}\n"  # ranks run the launcher's code
    process = start(tmp_path, body, 3)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out, error) == (0, "0 3 0\n", "")
    assert (tmp_path / "logs" / "rank-2.log").read_text() == "2 3 2\n"


@pytest.mark.parametrize("culprit", [0, 1])
def test_the_first_failing_rank_alone_is_printed_and_the_others_are_stopped(
    tmp_path: Path, said: Pipe, culprit: int
) -> None:
    # With culprit 0 the victims even raise earlier: an error of one's own still counts before a lost connection.
    body = f"""
def fail(kind, error, trace):
    ask("fails")
    report_failure(error)
    ask("reported")
    os._exit(1)
sys.excepthook = fail
if rank == {culprit}:
    raise ValueError("损坏的 shard 7")
raise RuntimeError("[gloo] Connection closed by peer [127.0.0.1]:4711")
"""
    process = start(tmp_path, body, 3)
    heard(said, "fails", 3)
    for rank in (1, 2, 0) if culprit == 0 else (1, 0, 2):
        answer(tmp_path, rank)
        assert said.line() == f"{rank} reported"
    for rank in range(3):
        answer(tmp_path, rank)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert error.count("Traceback") == 1 and "ValueError: 损坏的 shard 7" in error
    assert "Connection closed" not in error
    assert f"rank {culprit} of 3 failed first; logs of the others: {tmp_path / 'logs'}" in error


def test_own_errors_need_no_traceback(tmp_path: Path):
    body = "from pretrain.config import LayoutError\nraise LayoutError('layout.tp=3 does not divide: choose 2')\n"
    process = start(tmp_path, body, 1)
    _, error = process.communicate(timeout=60)
    assert error.startswith("LayoutError: layout.tp=3 does not divide: choose 2\n") and "Traceback" not in error


def test_a_killed_rank_is_named_and_a_hanging_one_is_ended(tmp_path: Path, said: Pipe):
    process = start(tmp_path, "time.sleep(600)\n")
    first, second = pids(said)
    os.kill(second, signal.SIGKILL)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1 and "rank 1 was killed by SIGKILL" in error
    assert gone(first)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 85), (signal.SIGUSR1, 85)])
def test_a_stop_is_passed_on_and_clean(tmp_path: Path, said: Pipe, number: int, status: int):
    body = """
from pretrain.parallel.launch import STOPS, stop_status
def stop(received, frame):
    (here / f"stopped-{rank}").write_text("")
    sys.exit(stop_status(received))
for number in STOPS:
    signal.signal(number, stop)
say("ready")
time.sleep(600)
"""
    process = start(tmp_path, body)
    heard(said, "ready")
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == status and error == ""
    assert all((tmp_path / f"stopped-{rank}").exists() for rank in range(2))


@pytest.mark.parametrize(("told", "status"), [(600.0, 85), (0.0, 1)])
def test_a_stop_may_take_as_long_as_the_ranks_say(tmp_path: Path, said: Pipe, told: float, status: int):
    """One that is still at its checkpoint when the least grace, here none, is over is killed, unless it has said so."""
    body = f"""
from pretrain.parallel.launch import report_grace
def stop(received, frame):
    ask("stops")
    sys.exit(85)
signal.signal(signal.SIGTERM, stop)
if rank == 0:  # who alone tells it, as in a trainer
    report_grace({told})
say("ready")
time.sleep(600)
"""
    process = start(tmp_path, body, least=0.0)
    heard(said, "ready")
    process.send_signal(signal.SIGTERM)
    if told:
        heard(said, "stops")
        for rank in range(2):
            answer(tmp_path, rank)
    _, error = process.communicate(timeout=60)
    assert process.returncode == status and ("have not stopped in 0 s and are killed" in error) == (status == 1)


@pytest.mark.parametrize("together", [False, True])
def test_a_second_signal_kills(tmp_path: Path, said: Pipe, together: bool):
    body = """
for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda *_: say("asked"))
say("ready", os.getpid())
while True:
    signal.pause()
"""
    process = start(tmp_path, body)
    ranks = [int(pid) for pid in heard(said, "ready")]
    process.send_signal(signal.SIGTERM)
    if not together:
        heard(said, "asked")
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=60)
    assert process.returncode == 1 and all(gone(pid) for pid in ranks)


def test_ranks_die_with_the_launcher_and_the_launcher_with_its_parent(tmp_path: Path, said: Pipe):
    (tmp_path / "rank.py").write_text(RANK + "time.sleep(600)\n")
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys\n"
            f"p = subprocess.Popen([sys.executable, '-c', {LAUNCHER!r}, *sys.argv[1:]])\n"
            "print(p.pid, flush=True)\np.wait()\n",
            *(str(tmp_path / "rank.py"), "2", str(tmp_path / "logs")),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    launcher, ranks = int(parent.stdout.readline()), pids(said)
    parent.kill()  # the parent alone
    parent.wait()
    parent.stdout.close()
    assert all(gone(pid) for pid in [launcher, *ranks])
