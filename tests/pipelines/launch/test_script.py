"""The text of jobs: one script for Slurm and for bash."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipelines.graph.where import Cluster, Resources
from pipelines.launch.chain import attempts
from pipelines.launch.script import Script, outside, text

BODIES = {"plain": 'run bash -c "exit $CODE"; status=$?\n'}


def written(folder: Path, cluster: Cluster, **of: object) -> Path:
    """A script in a chain's folder."""
    script = Script("01-特征.scatter", BODIES["plain"], Resources(minutes=7, options={"constraint": "a b"}), **of)
    path = folder / "job.sh"
    path.write_text(text(script, cluster, folder, "my run"), encoding="utf-8")
    return path


def run(path: Path, folder: Path, code: int, **more: str) -> subprocess.CompletedProcess[str]:
    """The script under bash, `srun` and `scontrol` being what the folder's `bin` holds."""
    environment = {
        **outside(dict(os.environ)),
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "CODE": str(code),
        **more,
    }
    return subprocess.run(["bash", str(path)], env=environment, capture_output=True, encoding="utf-8", check=False)


def test_what_the_scheduler_reads(tmp_path: Path) -> None:
    cluster = Cluster(
        kind="slurm", partition="gpu", account="me", exclude="n[1-2]", grace_s=30, environment=["module load x"]
    )
    lines = written(tmp_path, cluster, tasks=5).read_text("utf-8").splitlines()
    options = [line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")]
    assert lines[0] == "#!/usr/bin/env bash" and lines[1 : len(options) + 1] == [f"#SBATCH --{o}" for o in options]
    assert {"time=7", "signal=USR1@30", "requeue", "open-mode=append", "partition=gpu", "account=me"} <= {*options}
    assert {"exclude='n[1-2]'", "constraint='a b'", "comment='siku run my run'"} <= {*options}
    assert any(option.startswith("output=") and option.endswith("%A_%a.log'") for option in options)
    assert lines.index("module load x") > lines.index("set -u")
    told = written(tmp_path, Cluster(kind="slurm", requeue="none")).read_text("utf-8")
    assert "#SBATCH --no-requeue" in told and "scontrol requeue" not in told and "mem=" not in told


@pytest.mark.parametrize("how", ["scontrol", "chain", "none"])
def test_it_runs_under_bash_and_records_each_attempt(tmp_path: Path, how: Any) -> None:
    """A script that bash cannot read to its end fails here, whatever its requeueing."""
    path = written(tmp_path, Cluster(requeue=how))
    for number, code in enumerate((0, 3, 85), 1):
        done = run(path, tmp_path, code)
        assert (done.returncode, done.stderr) == (code, ""), number
    found = attempts(tmp_path, "01-特征.scatter")
    assert [(each["attempt"], each["status"], each["job"]) for each in found] == [(1, 0, ""), (2, 3, ""), (3, 85, "")]


def test_a_stopped_job_requeues_itself_so_often_and_a_failed_one_never(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, line in (("srun", 'shift; exec "$@"'), ("scontrol", f'echo "$@" >> {tmp_path / "asked"}; exit 1')):
        (programs / name).write_text(f"#!/usr/bin/env bash\n{line}\n")
        (programs / name).chmod(0o755)
    path = written(tmp_path, Cluster(kind="slurm", attempts=5))
    codes = [run(path, tmp_path, code, SLURM_JOB_ID="77").returncode for code in (85, 138, 143, 1)]
    assert codes == [85, 138, 143, 1]
    assert (tmp_path / "asked").read_text() == "requeue 77\n" * 3
    (tmp_path / "cancelled").touch()
    assert run(path, tmp_path, 85, SLURM_JOB_ID="77").returncode == 85
    assert (tmp_path / "asked").read_text() == "requeue 77\n" * 3  # `siku cancel` is no stop to go on from
    last = run(path, tmp_path, 0, SLURM_JOB_ID="77")
    assert last.returncode == 1 and "was started 5 times, as often as cluster.attempts allows" in last.stderr
    assert [each["status"] for each in attempts(tmp_path)] == [85, 138, 143, 1, 85]


def test_a_job_within_a_job_inherits_no_options() -> None:
    there = {"SLURM_NTASKS": "4", "SLURM_CONF": "/c", "HOME": "/h", "SLURM_JOB_ID": "1"}
    assert outside(there) == {"SLURM_CONF": "/c", "HOME": "/h"}
