"""A forked command is what a started one is."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forked

SEEN = """
import json, os, pathlib, sys
print(json.dumps({"argv": sys.argv, "name": __name__, "cwd": os.getcwd(), "session": os.getsid(0) == os.getpid(),
    "environment": {key: os.environ.get(key) for key in ("LC_ALL", "HOME", "A")}, "said": sys.stdin.read(),
    "open": len(list(pathlib.Path("/proc/self/fd").iterdir()))}))
print("to stderr", file=sys.stderr)
"""


def both(tmp_path: Path, code: str, **options) -> list[tuple[int, str, str]]:
    """Status, output and errors of the code, started and forked."""
    command, ended = [sys.executable, "-c", code, "one", "two"], []
    for kind in (subprocess.Popen, forked.Served):
        with (tmp_path / "in").open("w+") as given:
            given.write("given")
            given.seek(0)
            process = kind(command, stdin=given, stdout=-1, stderr=-1, text=True, cwd=tmp_path, **options)
            out, error = process.communicate(timeout=60)
        ended.append((process.returncode, out, error))
    return ended


def test_it_sees_what_a_started_one_sees(tmp_path):
    started, served = both(tmp_path, SEEN, env={"A": "b"}, start_new_session=True)
    assert started == served
    assert json.loads(served[1])["environment"] == {"LC_ALL": None, "HOME": None, "A": "b"}


@pytest.mark.parametrize(
    "code", ["", "raise SystemExit(85)", "import sys; sys.exit('a sentence')", "import os; os.kill(os.getpid(), 9)"]
)
def test_it_ends_as_a_started_one_ends(tmp_path, code):
    started, served = both(tmp_path, code)
    assert started == served


def test_an_error_is_a_traceback_and_1(tmp_path):
    started, served = both(tmp_path, "1 / 0")
    assert started[:2] == served[:2] == (1, "") and served[2].endswith("ZeroDivisionError: division by zero\n")


def test_it_is_waited_for_and_signalled(tmp_path):
    code = "import os, sys, time; print(os.environ['SIKU_PARENT_PID'] == str(os.getppid()), flush=True); time.sleep(60)"
    with forked.Served([sys.executable, "-c", code], stdout=-1, env={forked.PARENT: str(os.getpid())}) as process:
        assert process.stdout.readline() == b"True\n" and process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == process.poll() == -signal.SIGTERM
