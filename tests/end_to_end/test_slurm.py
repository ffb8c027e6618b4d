"""Runs on a real Slurm of two virtual nodes, from PATH or Debian's packages; left out where neither can be had."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.launch.chain import FOLDER, attempts, submissions
from tests.end_to_end.support import TINY, apart, fingerprint, write_jsonl
from tests.slurm import NoSlurmError, Slurm, programs, slurm

LEFT_OUT = "left out, for want of Slurm or Debian's packages of it: tests/end_to_end/test_slurm.py"
FILES, SHARES = 12, 5


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm | None]:
    """Two nodes whose arrays have fewer than three tasks; None, and a line that says so, where there is no Slurm."""
    folder = tmp_path_factory.mktemp("slurm")
    try:
        found = programs(folder / "packages")
    except NoSlurmError as error:  # packages that can be had and do not work are a failure
        warnings.warn(f"{LEFT_OUT} ({error})", stacklevel=1)  # one line of what the suite says
        yield None
        return
    with slurm(folder / "cluster", found, array=3) as made:
        yield made


def source(folder: Path) -> Path:
    """A folder of JSON lines."""
    folder.mkdir()
    for number in range(FILES):
        rows = [
            {"id": f"{number}-{row}", "text": f"{number} 第 {row} 行。 This is row {row}. " * 40} for row in range(20)
        ]
        write_jsonl(folder / f"{number:02d}.jsonl", rows)
    return folder


def test_a_phase_as_arrays_over_the_limit_fails_blocks_and_is_resumed(cluster: Slurm | None, tmp_path: Path) -> None:
    """A share's failure bars what comes after it; the same command goes on from what is committed; the digests are
    those of a local run."""
    if cluster is None:
        return
    asked = [*TINY, "source=jsonl", f"recipe.source.path={source(tmp_path / 'in')}", "run.until=clean", "run.name=r"]
    sizes = [f"cluster.{job}.memory=100M" for job in ("link", "share")] + ["cluster.link.cpus=1"]
    chain = ["cluster=slurm", "cluster.large=20kB", f"cluster.shares={SHARES}", "cluster.array_limit=2", *sizes]
    root = tmp_path / "chain"
    folder = root / "runs" / "r" / FOLDER
    command = ("run", *asked, f"site.store={root}", *chain)

    first = apart(*command, **cluster.environment, SIKU_FAULT="extract.scatter:commit:2:raise")
    assert first.code == 0 and "the run is handed to Slurm job 1" in first.said, first.said
    cluster.settle(cluster.idle)
    shares = next(each for each in submissions(folder) if each.tasks)
    assert shares.script == "02-extract.scatter" and shares.tasks == SHARES and len(shares.jobs) == 3
    assert [(each["index"], each["status"]) for each in attempts(folder, shares.script)] == [
        (i, 1) for i in range(SHARES)
    ]
    told = apart("status", f"site.store={root}", **cluster.environment).out
    assert "5 failed with status 1" in told and "waits: DependencyNeverSatisfied" in told, told
    assert "SIKU_FAULT asked for a failure at extract.scatter:commit" in told
    waiting = apart("ls", f"site.store={root}", **cluster.environment).out
    assert "unfinished r" in waiting and "handed to Slurm jobs 2, 3, 4, 5" in waiting, waiting

    again = apart(*command, **cluster.environment)
    assert again.code == 0, again.said
    cluster.settle(cluster.idle)
    logs = {path.name: path.read_text() for path in sorted(folder.glob("*.log"))}
    assert (root / "runs/r/run.json").exists(), logs
    redone = [name for name in logs if name.startswith("05-extract.scatter")]
    assert sum(int(logs[name].split(": ")[1].split()[0]) for name in redone) == FILES - SHARES  # committed stayed
    done = apart(*command, **cluster.environment)
    assert done.code == 0 and "nothing to do" in done.said

    local = tmp_path / "local"
    assert apart("run", *asked, f"site.store={local}").code == 0
    assert fingerprint(root) == fingerprint(local) and fingerprint(local)
    assert json.loads((root / "runs/r/summary.json").read_text())["funnel"]
