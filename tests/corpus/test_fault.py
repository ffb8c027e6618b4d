"""A fault is reached where it is aimed at, the n-th time, and does what it is asked."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from corpus import fault
from corpus.fault import VARIABLE, FaultError, fault_point

HOME = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    monkeypatch.setattr(fault, "_arrivals", fault.Counter())
    for name in (VARIABLE, fault._FIRST):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("setting", "reached"),
    [
        ("dedupe:seal:1:raise", ["dedupe:seal"]),
        ("dedupe:commit:1:raise", ["dedupe.keys:commit"]),  # any phase of the kind
        ("dedupe.edges:commit:1:raise", ["dedupe.edges:commit"]),
        ("dedupe:commit:3:raise", ["dedupe.edges:commit"]),
        ("dedup:commit:1:raise", []),
        ("edges:commit:1:raise", []),
        ("dedupe:committed:1:raise", []),
        ("", []),
    ],
)
def test_where_a_fault_strikes(monkeypatch, setting, reached):
    monkeypatch.setenv(VARIABLE, setting)
    struck = []
    for name in ("dedupe.keys:commit", "dedupe.keys:commit", "dedupe.edges:commit", "dedupe:seal"):
        try:
            fault_point(name)
        except FaultError as error:
            assert name in str(error)
            struck.append(name)
    assert struck == reached


CHILD = """
import os, sys
from corpus.fault import fault_point
fault_point("lease:taken")  # the first process to arrive anywhere
child = os.fork()
if child == 0:
    fault_point("x.y:commit")
    os.write(1, b"lived on ")
    os._exit(0)
os.write(1, b"child %d; " % os.waitpid(child, 0)[1])
"""


@pytest.mark.parametrize(
    ("action", "code", "said"),
    [
        ("", 0, f"child {signal.SIGKILL:d}; "),
        (":1:kill", 0, f"child {signal.SIGKILL:d}; "),
        (":1:parent", -signal.SIGKILL, "lived on "),
        (":1:group", -signal.SIGKILL, ""),
        (":2:group", 0, "lived on child 0; "),
    ],
)
def test_whom_a_fault_ends(action, code, said):
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        cwd=HOME,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, VARIABLE: f"x:commit{action}"},
    )
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, said)


def test_a_stopped_process_waits_there_to_be_woken():
    code = 'from corpus.fault import fault_point; fault_point("x:seal"); print("woken")'
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=HOME,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, VARIABLE: "x:seal:1:stop"},
    )
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=60)[0] == "woken\n"


def test_a_first_process_is_that_of_its_own_fault(monkeypatch):
    """What another fault has left in the environment is nobody to be killed."""
    monkeypatch.setenv(fault._FIRST, f"y:commit:1:raise {os.getppid()}")
    monkeypatch.setenv(VARIABLE, "x:commit:9")
    fault_point("x:commit")
    assert os.environ[fault._FIRST] == f"x:commit:9 {os.getpid()}"


def test_a_run_lists_its_moments(monkeypatch, tmp_path):
    log = tmp_path / "log"
    monkeypatch.setenv(fault.LOG, str(log))
    fault_point("x.y:commit")
    child = os.fork()
    if child == 0:
        fault_point("x:seal")
        os._exit(0)
    os.waitpid(child, 0)
    assert log.read_text().splitlines() == [f"x.y:commit {os.getpid()}", f"x:seal {child}"]


def test_a_full_disk(monkeypatch):
    monkeypatch.setenv(VARIABLE, "x:commit:1:full")
    with pytest.raises(OSError, match="No space left on device, as SIKU_FAULT asked at x:commit") as error:
        fault_point("x:commit")
    assert error.value.errno == errno.ENOSPC
