"""Ranks on one machine: one traceback, clean stops, and nobody left behind. The ranks here are small stand-ins."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.pretrain.tools import ROOT

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
sys.excepthook = fail
die_with_parent()
(here / f"pid-{rank}.tmp").write_text(str(os.getpid()))
(here / f"pid-{rank}.tmp").rename(here / f"pid-{rank}")
"""


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


def pids(folder: Path, world: int = 2) -> list[int]:
    """The ranks' processes, once all have started."""
    files = [folder / f"pid-{rank}" for rank in range(world)]
    for _ in range(600):
        if all(file.exists() for file in files):
            return [int(file.read_text()) for file in files]
        time.sleep(0.05)
    raise AssertionError("ranks did not start")


def gone(pid: int) -> bool:
    """The process has ended (a zombie has)."""
    for _ in range(200):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


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
def test_the_first_failing_rank_alone_is_printed_and_the_others_are_stopped(tmp_path: Path, culprit: int):
    # With culprit 0 the victims even raise earlier: an error of one's own still counts before a lost connection.
    body = f"""
if rank == {culprit}:
    time.sleep(0.3)
    raise ValueError("损坏的 shard 7")
time.sleep({0.6 if culprit else 0.1})
raise RuntimeError("[gloo] Connection closed by peer [127.0.0.1]:4711")
"""
    process = start(tmp_path, body, 3)
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


def test_a_killed_rank_is_named_and_a_hanging_one_is_ended(tmp_path: Path):
    process = start(tmp_path, "time.sleep(600)\n")
    first, second = pids(tmp_path)
    os.kill(second, signal.SIGKILL)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1 and "rank 1 was killed by SIGKILL" in error
    assert gone(first)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 85), (signal.SIGUSR1, 85)])
def test_a_stop_is_passed_on_and_clean(tmp_path: Path, number: int, status: int):
    body = """
from pretrain.parallel.launch import STOPS, stop_status
def stop(received, frame):
    (here / f"stopped-{rank}").write_text("")
    sys.exit(stop_status(received))
for number in STOPS:
    signal.signal(number, stop)
(here / f"ready-{rank}").write_text("")
time.sleep(600)
"""
    process = start(tmp_path, body)
    pids(tmp_path)
    while not all((tmp_path / f"ready-{rank}").exists() for rank in range(2)):
        time.sleep(0.02)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == status and error == ""
    assert all((tmp_path / f"stopped-{rank}").exists() for rank in range(2))


@pytest.mark.parametrize(("told", "status"), [(600.0, 85), (0.0, 1)])
def test_a_stop_may_take_as_long_as_the_ranks_say(tmp_path: Path, told: float, status: int):
    """One that needs a second for its checkpoint is killed after .2 s, unless it has said so."""
    body = f"""
from pretrain.parallel.launch import report_grace
def stop(received, frame):
    time.sleep(1)
    sys.exit(85)
signal.signal(signal.SIGTERM, stop)
report_grace({told})
(here / f"ready-{{rank}}").write_text("")
time.sleep(600)
"""
    process = start(tmp_path, body, least=0.2)
    pids(tmp_path)
    while not all((tmp_path / f"ready-{rank}").exists() for rank in range(2)):
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode == status and ("have not stopped in 0 s and are killed" in error) == (status == 1)


def test_a_second_signal_kills(tmp_path: Path):
    body = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n(here / f'ready-{rank}').write_text('')\ntime.sleep(600)\n"
    process = start(tmp_path, body)
    ranks = pids(tmp_path)
    while not all((tmp_path / f"ready-{rank}").exists() for rank in range(2)):
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 1 and all(gone(pid) for pid in ranks)


def test_ranks_die_with_the_launcher_and_the_launcher_with_its_parent(tmp_path: Path):
    (tmp_path / "rank.py").write_text(RANK + "time.sleep(600)\n")
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time\n"
            f"p = subprocess.Popen([sys.executable, '-c', {LAUNCHER!r}, *sys.argv[1:]])\n"
            f"open({str(tmp_path / 'launcher')!r}, 'w').write(str(p.pid))\ntime.sleep(600)\n",
            *(str(tmp_path / "rank.py"), "2", str(tmp_path / "logs")),
        ],
        cwd=ROOT,
    )
    ranks = pids(tmp_path)
    launcher = int((tmp_path / "launcher").read_text())
    parent.kill()  # the parent alone
    parent.wait()
    assert all(gone(pid) for pid in [launcher, *ranks])
