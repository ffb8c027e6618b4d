"""Ctrl-C in a corpus stage: no traceback, what is finished is kept, nobody is left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.engine.store import Store
from tests.pipelines.programs import What, stage_of

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import sys
from pathlib import Path
from tests.pipelines.programs import What, build
try:
    build(Path(sys.argv[1]), "beam", what=What(fails=sys.argv[2]), workers=int(sys.argv[3]), bytes=100 << 20)
except KeyboardInterrupt:
    print("stopped")
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_is_one_and_not_a_failed_item(tmp_path, workers):
    """A terminal's Ctrl-C reaches the run and its workers alike."""
    what = What(fails="interrupts 00003")
    run = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path), what.fails, str(workers)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    said, errors = run.communicate(timeout=120)
    assert (run.returncode, said) == (0, "stopped\n")
    assert [line for line in errors.splitlines() if " items" not in line] == []  # progress, and nothing else
    with pytest.raises(ProcessLookupError):
        os.killpg(run.pid, 0)
    directory = Store(tmp_path).directory("squares", stage_of(what).digest)
    done = {path.stem for path in (directory / "commits" / "scatter").glob("*.json")}
    assert not (directory / "manifest.json").exists() and not (directory / "failures").exists()
    assert workers > 1 or done == {"00000", "00001", "00002"}
