"""`siku work`: a phase done by shares in processes of their own is the phase that a local run does."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from corpus.fault import VARIABLE
from pipelines.engine.commit import Commits
from pipelines.engine.files import Posix
from pipelines.engine.runner import Workers, run_phase
from pipelines.engine.stage import Context, Stage
from pipelines.engine.store import StoreError, load
from pipelines.engine.work import PhasePlan
from pipelines.launch import share
from pipelines.launch.share import LaunchError, work
from tests.end_to_end.support import REPOSITORY, Ended, command, environment
from tests.pipelines.programs import ITEMS, What, build, context_of, gathers, scatters, stage_of

OF = 3


def worker(plan: Path, index: int, **more: str) -> Ended:
    """`siku work`, as a process of its own."""
    done = subprocess.run(
        command("work", str(plan), "--index", str(index), "--of", str(OF)),
        cwd=plan.parent,
        env=environment(PYTHONPATH=str(REPOSITORY), **more),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def committed(context: Context) -> dict[str, str]:
    """Content of what is committed, by phase and item."""
    log, names = Commits(Posix(context.directory)), ("scatter", "gather")
    return {f"{name}/{item}": c.content_hash() for name in names for item, c in log.read(name).items()}


def test_three_shares_one_of_them_killed_make_what_a_local_run_makes(tmp_path: Path, stage: Stage) -> None:
    local = context_of(stage, tmp_path / "local")
    local.directory.mkdir(parents=True)
    context = context_of(stage, tmp_path / "shared", log=str(tmp_path / "log"))
    context.directory.mkdir(parents=True)
    for phase_of in (scatters, gathers):
        run_phase((local,), phase_of((local,)), Workers())
    plan = PhasePlan((context,), scatters((context,))).save()
    faults = {1: "squares.scatter:commit:2"}  # its second item is written and not committed
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda index: worker(plan, index, **{VARIABLE: faults.get(index, "")}), range(OF)))
    assert [each.code for each in ended] == [0, -9, 0], [each.said for each in ended]
    assert ended[0].said == "squares scatter: 2 of 2 items done, 0 were committed already\n"
    assert sorted(context.log.names("scatter")) == ["00000", "00001", "00002", "00003", "00005"]
    assert "lease" not in {each.key for each in context.files.list()}  # the stage is its run's

    again = [worker(plan, index) for index in (1, 0)]
    assert [each.said.partition(": ")[2] for each in again] == [
        "1 of 2 items done, 1 were committed already\n",
        "0 of 2 items done, 2 were committed already\n",
    ]
    lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert sorted(name for name, _ in lines) == ["00000", "00001", "00002", "00003", "00004", "00004", "00005"]
    assert len({pid for _, pid in lines}) == OF + 1

    context.log.summarize("scatter")
    plan = PhasePlan((context,), gathers((context,))).save()
    for index in range(OF):
        work(plan, index, OF)
    assert committed(context) == committed(local) and len(committed(local)) == ITEMS + 4
    assert build(tmp_path / "shared") == build(tmp_path / "local", "beam")
    sealed = load(stage.kind, stage.digest, context.directory)
    assert sealed is not None and not plan.exists()
    shards = {entry.file for entry in sealed.files.values()}
    assert {each.key for each in context.files.list() if each.key.endswith(".arrow")} == shards
    assert str(work(plan, 0, OF)) == "gather: nothing to do in this share"


def test_a_share_ends_with_its_first_failure(tmp_path: Path) -> None:
    context = context_of(stage_of(What(fails="00001")), tmp_path, log=str(tmp_path / "log"))
    context.directory.mkdir(parents=True)
    plan = PhasePlan((context,), scatters((context,))).save()
    with pytest.raises(LookupError, match="00001 失败"):
        work(plan, 1, OF)
    assert context.log.names("scatter") == [] and not (tmp_path / "log").exists()
    assert work(plan, 0, OF).done == 2
    ended = worker(plan, 1)
    assert ended.code == 1 and ended.said.count("Traceback") == 1 and "00001 失败" in ended.said


def test_a_stage_sealed_meanwhile_has_no_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run beside the workers did their items, sealed and swept: what they were writing is gone with the rest."""
    context = context_of(stage_of(What()), tmp_path)
    context.directory.mkdir(parents=True)
    plan = PhasePlan((context,), scatters((context,))).save()

    def swept(*_: object) -> None:
        build(tmp_path)
        raise StoreError("00000.x.rows: not there")

    monkeypatch.setattr(share, "do_item", swept)
    assert work(plan, 0, OF).done == 0 and not plan.exists()


def test_what_is_no_share_is_refused(tmp_path: Path, context: Context) -> None:
    plan = PhasePlan((context,), scatters((context,))).save()
    for index, of in ((3, 3), (-1, 3), (0, 0)):
        with pytest.raises(LaunchError, match=f"--index {index} --of {of}: shares are numbered from 0 to {of - 1}"):
            work(plan, index, of)
    (tmp_path / "other").write_text(json.dumps({}))
    for path, why in (
        (tmp_path / "none.plan", "none.plan does not exist: give the file that a run"),
        (tmp_path / "other", "other is no plan file of this installation"),
    ):
        with pytest.raises(LaunchError, match=why):
            work(path, 0, 1)
    assert context.log.names("scatter") == []
