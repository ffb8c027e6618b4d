"""What a run's folder tells while it runs, after it, and when it is damaged; what a name protects."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from conf.load import load_cell, load_cells
from corpus import fault
from pipelines.cli.show import list_runs
from pipelines.engine.failures import ItemFailedError
from pipelines.engine.files import StoreError, StoreWarning
from pipelines.engine.lease import this_process
from pipelines.graph import records
from pipelines.graph.checks import PlanError
from pipelines.graph.keep_record import keep_record
from pipelines.graph.multirun import multirun
from pipelines.graph.plan import make_plan
from pipelines.graph.run import Request, run_plans
from pipelines.graph.stage_log import StageLog
from pipelines.graph.why_new import earlier_runs
from pipelines.past.garbage import collect_garbage
from pipelines.past.history import histories, open_run
from pipelines.stages import extract

SILENT = StageLog(lambda line: None)
RECIPE = "recipe={source: {kind: jsonl, path: FILE}, extract: {kind: extract, input: source}}"
TORN = ["", "{", "null", "[]", '{"stages": []}', '{"stages": [{"name": "a"}]}', '{"stages": 7}', "\xff"]
WRONG = [{"identity": {}}, {"view": None}, {"view": {"edition": "x"}}, {"inputs": {"edition": "x"}}, {"kind": 7}]


@pytest.fixture
def given(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"id": 1, "text": "第一页"}\n{"id": 2, "text": "one page"}\n', "utf-8")
    return [RECIPE.replace("FILE", str(tmp_path / "in.jsonl")), f"site.store={tmp_path / 'store'}", "run.name=甲"]


@pytest.fixture
def root(tmp_path):
    return tmp_path / "store"


def run(given, *more):
    cell = load_cell([*given, *more])
    (session,) = run_plans([Request(cell.config, "siku run x")], SILENT)
    return keep_record(session, ["siku", "run", "x"], cell.record(), 1.0, lambda *report: None)


def interrupted(given, *more):
    """A run that is gone at its seal without a word; its process is this one."""
    failed(given, *more)
    (path,) = Path(load_cell(given).config.site.store).glob(f"runs/*/{records.INTENT}")
    path.write_text(json.dumps({**json.loads(path.read_text()), "ended": ""}))


def failed(given, *more):
    """A run that fails at its seal."""
    os.environ[fault.VARIABLE] = "extract:seal:1:raise"
    try:
        with pytest.raises(fault.FaultError):
            run(given, *more)
    finally:
        del os.environ[fault.VARIABLE]
        fault._arrivals.clear()


def owned_by(root, name, owner):
    path = root / "runs" / name / records.INTENT
    path.write_text(json.dumps({**json.loads(path.read_text()), "owner": owner}))


def ended():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    me = this_process()
    return {name: getattr(replace(me, pid=child.pid), name) for name in me.__slots__}


def said(function, *arguments, **named):
    lines = []
    return function(*arguments, lines.append, **named), "\n".join(lines)


def test_a_run_writes_down_what_it_wants_before_any_work_and_takes_it_back(given, root):
    interrupted(given)
    (intent,) = records.intents(root)
    assert (intent.name, intent.command) == ("甲", "siku run x") and intent.state.startswith("in progress, by process")
    (folder,) = (root / "extract").glob("*/*")
    assert intent.wants == (folder.relative_to(root).as_posix(),) and not records.records(root)
    begun = said(list_runs, root)[1]
    assert re.search(r"unfinished 甲  begun \d{4}-.*, in progress, by process \d+ on .*: siku run x", begun)
    assert intent.what["recipe"]["source"]["kind"] == "jsonl" and "site" not in intent.what
    folder_of_run, new = run(given)
    assert new and records.intents(root) == [] and [path.name for path in folder_of_run.iterdir()] == ["run.json"]
    assert run(given) == (folder_of_run, False) and records.intents(root) == []


def test_gc_keeps_what_a_live_or_interrupted_run_wants_until_it_is_forgotten(given, root):
    """H3."""
    interrupted(given)
    (folder,) = (root / "extract").glob("*/*")
    for owner in (None, ended()):
        if owner:
            owned_by(root, "甲", owner)
        status, text = said(collect_garbage, root, remove=True)
        assert status == 0 and folder.exists() and "0.00 MB in 0 of 1 stage folders" in text
        state = "interrupted" if owner else "in progress, by process"
        assert f"kept for run 甲, {state}" in text and "(`siku gc --forget 甲 --yes`): siku run x" in text
    status, text = said(collect_garbage, root, forget="甲")
    assert status == 0 and "in 1 of 1 stage folders" in text and folder.exists() and len(records.intents(root)) == 1
    status, text = said(collect_garbage, root, remove=True, forget="甲")
    assert status == 0 and "forgot run 甲" in text and not folder.exists() and not (root / "runs" / "甲").exists()
    run(given)
    assert said(collect_garbage, root, remove=True)[0] == 0 and folder.exists()
    said(collect_garbage, root, remove=True, forget="甲")
    assert not folder.exists() and not records.named(root)


def test_how_a_run_ended_is_told_as_its_process_said_it(given, root, monkeypatch):
    """One that failed was told as in progress, or once its process was gone as interrupted."""
    failed(given)
    assert ", failed: siku run x" in said(list_runs, root)[1]
    monkeypatch.setattr("pipelines.graph.run.make", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(given)
    assert ", stopped: siku run x" in said(list_runs, root)[1]
    monkeypatch.setattr("pipelines.graph.run.make", Mock(side_effect=lambda *_: owned_by(root, "甲", ended()) or 1 / 0))
    with pytest.raises(ZeroDivisionError):  # another process has begun the run meanwhile: it is that one's
        run(given)
    assert ", interrupted: siku run x" in said(list_runs, root)[1]
    monkeypatch.undo()
    failed(given)
    assert said(collect_garbage, root, remove=True, forget="甲")[0] == 0 and not records.intents(root)


def test_gc_forgets_no_run_in_progress_and_none_that_there_is_not(given, root):
    interrupted(given)
    with pytest.raises(StoreError, match=r"--forget '甲': that run is in progress, by process \d+ .*: stop it first"):
        collect_garbage(root, print, forget="甲")
    with pytest.raises(StoreError, match=r"--forget '乙': .* holds no such run; it holds 甲"):
        collect_garbage(root, print, forget="乙")


def test_gc_forgets_no_run_that_jobs_go_on_with_until_they_are_cancelled(given, root):
    """Shares hold no lease: what they write would go from under them."""
    interrupted(given)
    owned_by(root, "甲", ended())
    records.hand(root, "甲", "Slurm job 7 (`siku status`, `siku cancel`)")
    with pytest.raises(StoreError, match=r"that run is handed to Slurm job 7 .*: stop it first"):
        collect_garbage(root, print, forget="甲")
    records.stop(root, "甲")
    assert ", stopped: siku run x" in said(list_runs, root)[1]
    assert said(collect_garbage, root, forget="甲")[0] == 0


def test_a_name_is_of_one_what(given, root):
    """H3: used twice, it orphaned the first run."""
    other = "recipe.source.max_file_bytes=99999"
    interrupted(given)
    told = r"run.name='甲' is the name of a run with another configuration \(recipe.source.max_file_bytes: 1073741824 "
    with pytest.raises(PlanError, match=told):
        make_plan(load_cell([*given, other]).config)
    run(given, "site.keep=7")  # WHERE
    assert not records.intents(root)
    with pytest.raises(PlanError, match=f"{told}there, 99999 here.*siku gc --forget 甲 --yes"):
        run(given, other)
    assert len(histories(root)) == 1
    run(given[:2], other, "run.name=乙")
    said(collect_garbage, root, remove=True, forget="甲")
    run(given, other)
    assert {each.name for each in histories(root)} == {"甲", "乙"}


def test_a_name_is_of_a_run_as_far_as_it_went(given, root):
    """U10: a run that stopped earlier took the name of a finished one, whose results gc then removed."""
    longer = given[0][:-1] + ", clean: {kind: edit, input: extract, edits: {n: {edit: normalize}}}}"
    more = [longer, *given[1:]]
    run(more, "run.until=extract")
    run(more)
    with pytest.raises(
        PlanError, match=r"run.name='甲' is the name of a run that went on to clean, .*--forget 甲 --yes"
    ):
        run(more, "run.until=extract")
    assert "clean" in {stage["name"] for stage in records.record_of(root, "甲").body["stages"]}


def test_a_sweep_s_cells_have_their_own_names(given, root):
    cells = load_cells([*given, "run.repeat=true", "site.keep=1,2"])
    left = multirun(cells, [["a"], ["b"]], SILENT, lambda *report: None)
    assert [folder.name for folder in left.runs] == ["甲-1", "甲-2"]
    make_plan(load_cell([*given, "recipe.source.max_file_bytes=99999"]).config)  # 甲 itself is free
    with pytest.raises(PlanError, match=r"run\.name='甲-2'"):
        make_plan(load_cell([*given, "recipe.source.max_file_bytes=99999"]).config, 2)


def test_a_source_that_changes_under_a_run_is_not_kept_under_its_old_name(given, root, tmp_path, monkeypatch):
    """H5."""
    real = extract._totals

    def sealing(context):
        (tmp_path / "in.jsonl").write_text('{"id": 1, "text": "另一页，长一些"}\n', "utf-8")
        return real(context)

    program = replace(extract.PROGRAM, totals=sealing)
    monkeypatch.setattr("pipelines.graph.run.program", lambda kind: program)
    with pytest.raises(StoreError, match=r"source: what path.* names has changed since it was planned: run again"):
        run(given)
    assert not list((root / "extract").glob("*/*/manifest.json"))


@pytest.mark.parametrize("body", [*TORN, *WRONG])
def test_a_torn_record_is_passed_over_and_named(given, root, body):
    """H7: it stopped plan, run, ls and gc."""
    run(given)
    run(given[:2], "run.name=乙")
    path = root / "runs" / "乙" / "run.json"
    if isinstance(body, dict):
        told = json.loads(path.read_text())
        told["stages"][1] |= body
        body = json.dumps(told)
    path.write_bytes(body.encode("latin-1"))
    for reader in (earlier_runs, histories):
        with pytest.warns(StoreWarning, match=r"a run is passed over: .*乙/run.json is damaged \(.*--forget 乙 --yes"):
            assert [getattr(each, "name", "甲") for each in reader(root)] == ["甲"]
    with pytest.warns(StoreWarning):
        assert open_run(root, "").name == "甲"
    with pytest.raises(StoreError, match=r"乙/run\.json is damaged"):
        open_run(root, "乙")
    with pytest.warns(StoreWarning):
        status, text = said(collect_garbage, root, remove=True)
    assert status == 1 and "nothing removed: what 乙 needs is not known" in text
    assert run(given[:2], "run.name=乙")[1]  # written anew
    assert {each.name for each in histories(root)} == {"甲", "乙"}


def test_a_damaged_intent_stops_gc(given, root):
    interrupted(given)
    (root / "runs" / "甲" / "intent.json").write_text("{")
    with pytest.raises(StoreError, match=r"甲/intent\.json is damaged .* so that what run 甲 wants is not known"):
        collect_garbage(root, print, remove=True)


def files_of(root):
    """What lies in the stage's folder, but for leases, which beat."""
    paths = [path for path in (root / "extract").rglob("*") if path.is_file() and "lease" not in path.parts]
    return {path: path.read_bytes() for path in paths}


@pytest.fixture
def beside(root, monkeypatch):
    """gc, run to its end at every fault point of a run in progress, has something to remove each time; the moments, and
    the run that it gives up at the first."""
    moments, deep, forget = [], [], {}
    left = root / "filter" / "00" / ("0" * 24)

    def collect(log, moment):
        if deep:  # gc's own
            return
        deep.append(moment)
        left.mkdir(parents=True)
        (left / "left.arrow").write_bytes(b"x")
        before = files_of(root)
        assert said(collect_garbage, root, remove=True, **forget)[0] == 0
        forget.clear()
        assert files_of(root) == before and not left.exists(), moment
        moments.append(deep.pop())

    monkeypatch.setattr(fault, "_note", collect)
    monkeypatch.setenv(fault.LOG, "log")
    return moments, forget


def test_gc_at_any_moment_of_a_run_takes_nothing_of_it_and_what_no_run_wants(given, root, beside):
    moments, _ = beside
    run(given)
    assert [moment for moment in moments if moment != "extract:sweep"] == [
        "record:begun", "lease:taken",
        "extract.scatter:begin", "extract.scatter:commit", "extract.scatter:committed",
        "extract.gather:begin", "extract.gather:write", "extract.gather:write",
        "extract.gather:commit", "extract.gather:committed",
        "extract:seal", "extract:sealed", "record:report",
    ]  # fmt: skip


def test_gc_takes_nothing_of_a_run_that_reuses_all_of_a_run_given_up_meanwhile(given, root, beside, monkeypatch):
    with monkeypatch.context() as patch:
        patch.delenv(fault.LOG)
        run(given)
    moments, forget = beside
    forget["forget"] = "甲"
    run(given, "run.name=乙")
    assert moments[-1] == "record:report"
    assert [each.name for each in histories(root)] == ["乙"] and files_of(root)


@pytest.mark.parametrize("moment", ["extract.gather:commit", "extract:sealed"])
def test_gc_leaves_an_interrupted_run_all_that_it_goes_on_from(given, root, monkeypatch, moment):
    monkeypatch.setenv(fault.VARIABLE, f"{moment}:1:raise")
    monkeypatch.setattr(fault, "_arrivals", Counter())
    with pytest.raises((fault.FaultError, ItemFailedError)):
        run(given)
    monkeypatch.delenv(fault.VARIABLE)
    owned_by(root, "甲", ended())
    before = files_of(root)
    assert said(collect_garbage, root, remove=True)[0] == 0
    assert before and files_of(root) == before
