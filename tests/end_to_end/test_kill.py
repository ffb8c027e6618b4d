"""A short kill campaign; the long one is `python -m tests.end_to_end.kill`."""

import re
import subprocess
import sys
from pathlib import Path

from tests.end_to_end.kill import call_sites, unreached
from tests.end_to_end.support import REPOSITORY, environment


def test_killed_runs_end_like_an_undisturbed_one(tmp_path: Path) -> None:
    """A process of its own: orphans of its runs become its children."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.end_to_end.kill", "--store", str(tmp_path), "--brief", "--seed", "3"],
        cwd=REPOSITORY,
        env=environment(PYTHONPATH=str(REPOSITORY)),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0 and "wrong" not in done.stdout and "DIFFERS" not in done.stdout
    assert len(re.findall(r"^\S+:\w+ .* equal", done.stdout, re.M)) >= len(call_sites()) - 4
    assert len(re.findall(r"then left alone: equal", done.stdout)) == 2
    assert re.search(r"workers busy (kill|parent|group)", done.stdout)


def test_a_fault_point_that_no_moment_comes_from_is_named() -> None:
    sites = call_sites()
    assert len(sites) >= 15 and "crawl:record" in sites.values() and r"[\w.-]+:seal" in sites.values()
    moments = {"a.b:begin": False, "a.b:write": False, "a.b:commit": False, "a.b:committed": False, "a:seal": False}
    missing = unreached(moments)
    assert any(r"train\.checkpoint:manifest" in each and "checkpoint.py" in each for each in missing)
    assert len(missing) == len(sites) - len(moments)
