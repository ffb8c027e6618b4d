"""One phase through Beam: the same bytes in one process and in several, and one traceback when an item fails."""

import json
import queue
from pathlib import Path
from types import SimpleNamespace

import pytest

from corpus import fault
from corpus.fault import VARIABLE
from pipelines.engine.progress import Progress
from pipelines.engine.runner import RUNNERS, ItemFailedError, RunnerError, Workers, run_phase
from pipelines.engine.stage import Item
from pipelines.engine.work import do_item, pending
from pipelines.graph.where import Site
from tests.pipelines.programs import ITEMS, What, build, context_of, scatters, stage_of
from tests.waiting import Pipe


def test_in_memory_multi_processing_and_plain_calls_make_the_same_bytes(tmp_path):
    plain = build(tmp_path / "a", "plain")
    assert build(tmp_path / "b", "beam", log=str(tmp_path / "log1")) == plain
    log = tmp_path / "log2"
    with Pipe(tmp_path / "meet") as meeting:
        more = {"meet": str(meeting.path), "log": str(log), "listening": str(tmp_path / "listening")}
        assert build(tmp_path / "c", "beam", workers=2, bytes=100 << 20, **more) == plain
    addresses = {line for path in tmp_path.glob("listening-*") for line in path.read_text().splitlines()}
    hosts = {address.partition(":")[0] for address in addresses}
    assert len(addresses) >= 4 and hosts <= {"0100007F", "0000000000000000FFFF00000100007F"}  # S7: 127.0.0.1
    assert len({line.split()[1] for line in (tmp_path / "log1").read_text().splitlines()}) == 1
    lines = log.read_text().splitlines()
    assert sorted(line.split()[0] for line in lines) == [f"{i:05d}" for i in range(ITEMS)]
    assert len({line.split()[1] for line in lines}) == 2  # two processes had a share
    assert build(tmp_path / "d", "plain", what=What(salt="other")) != plain


def test_only_pending_items_are_done(context):
    phase = scatters((context,))
    assert pending((context,), phase) == list(phase.items)
    for item in phase.items[:4]:
        do_item((context,), phase, item)
    assert [item.name for item in pending((context,), phase)] == ["00004", "00005"]
    before = {p: p.stat().st_mtime_ns for p in (context.directory / "commits/scatter").glob("*.json")}
    run_phase((context,), phase, Workers())
    assert pending((context,), phase) == []
    assert all(p.stat().st_mtime_ns == at for p, at in before.items()) and len(before) == 4
    run_phase((context,), phase, Workers())  # nothing to do


def test_an_item_is_pending_until_every_stage_of_the_job_has_it(context, tmp_path):
    other = context_of(stage_of(What(salt="b")), tmp_path / "other")
    other.directory.mkdir(parents=True)
    phase = scatters((context,))
    do_item((context,), phase, phase.items[0])
    assert phase.items[0] in pending((context, other), phase)
    assert phase.items[0] not in pending((context,), phase)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failing_item_gives_its_own_traceback_once(tmp_path, workers, capfd):
    stage = stage_of(What(fails="00003"))
    context = context_of(stage, tmp_path)
    context.directory.mkdir(parents=True)
    phase = scatters((context,))
    if workers > 1:
        phase = type(phase)(phase.name, [Item(i.name, 100 << 20) for i in phase.items], phase.function)
    with pytest.raises(ItemFailedError, match="squares scatter 00003: LookupError: 00003 失败") as caught:
        run_phase((context,), phase, Workers(workers))
    assert caught.value.trace.count("Traceback") == 1 and "scatter_item" in caught.value.trace
    assert "apache_beam" not in caught.value.trace
    assert caught.value.__cause__ is None and caught.value.__context__ is None
    assert "Traceback" not in "".join(capfd.readouterr())
    left = [path.name for path in context.directory.glob("rows-00003*")]
    assert left == []
    # Mended, it goes on from what is committed, and tells of no failure that is past.
    mended = type(context)(context.name, context.kind, What(), context.directory, {}, {})
    run_phase((mended,), phase, Workers())
    assert pending((mended,), phase) == [] and not list((context.directory / "failures").glob("*.json"))


def test_a_worker_that_is_killed_ends_the_run(tmp_path, capfd):
    """Beam itself would wait for it for ever."""
    with pytest.raises(RuntimeError, match=r"a worker process died, .*: lower site\.workers and run again") as caught:
        build(tmp_path, "beam", workers=2, bytes=100 << 20, what=What(fails="dies 00002"))
    log = str(caught.value).rpartition(" ")[2]
    assert log.endswith("worker.log") and "sdk_worker" in Path(log).read_text()
    assert "Traceback" not in "".join(capfd.readouterr())


def test_workers_that_die_before_their_first_word_end_the_run(tmp_path, capfd, monkeypatch):
    """S6: nothing has been asked of them yet, so that there was nothing to fail."""
    monkeypatch.setenv(VARIABLE, "worker:start")
    monkeypatch.setenv(fault._FIRST, "")
    with pytest.raises(RuntimeError, match=r"a worker process died, .*: lower site\.workers and run again"):
        build(tmp_path, "beam", workers=2, bytes=100 << 20)
    assert "Traceback" not in "".join(capfd.readouterr())
    monkeypatch.delenv(VARIABLE)
    assert build(tmp_path, "plain") == build(tmp_path / "alone", "plain")


def test_a_plain_program_raises_what_its_item_raised(tmp_path):
    with pytest.raises(LookupError, match="失败"):
        build(tmp_path, "plain", what=What(fails="00001"))


OPTIONS = ["--direct_running_mode=multi_threading", "--direct_num_workers=3", "--x=multi_threading", "direct_y"]


@pytest.mark.parametrize("option", OPTIONS)
def test_multi_threading_cannot_be_configured(option):
    with pytest.raises(ValueError, match=r"loses GroupByKey data; set site\.workers"):
        Workers(2, options=(option,))
    with pytest.raises(ValueError, match="running_mode"):
        Site(running_mode="multi_threading")


@pytest.mark.parametrize("runner", ["DirectRunner", "direct", "SwitchingDirectRunner", "FnApiRunner", "DaskRunner"])
def test_engines_that_lose_or_change_are_refused(runner):
    with pytest.raises(ValueError, match=r"site\.runner="):
        Workers(runner=runner)
    Workers(runner="FlinkRunner", options=("--flink_master=h:1",))


def test_a_runner_that_there_is_not_is_refused_and_the_others_are_beams():
    from apache_beam.options.pipeline_options import StandardOptions

    with pytest.raises(RunnerError, match=r"^site.runner='zzz': there is no such runner: choose among local, Data"):
        Workers(runner="zzz")
    for name in ("local", "flink", "SPARKRUNNER", "my.package.Runner"):
        Workers(runner=name)
    beams = {name for name in StandardOptions.KNOWN_RUNNER_NAMES if not name.startswith("Test")}
    refused = {"BundleBasedDirectRunner", "DirectRunner", "SwitchingDirectRunner", "FnApiRunner"}
    assert {*RUNNERS} == beams - refused


def test_beam_is_told_its_mode(monkeypatch, context):
    """What the engine is asked for: never threads, whatever the size."""
    asked = []
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    def seen(self, pipeline, options):
        asked.append(options.get_all_options(drop_default=True))
        raise KeyboardInterrupt

    monkeypatch.setattr(FnApiRunner, "run_pipeline", seen)
    phase = scatters((context,))
    big = type(phase)(phase.name, [Item(i.name, 100 << 20) for i in phase.items], phase.function)
    for listed, workers in ((phase, 2), (big, 2), (big, 1)):
        with pytest.raises(KeyboardInterrupt):
            run_phase((context,), listed, Workers(workers))
    modes = [(o.get("direct_running_mode", "in_memory"), o.get("direct_num_workers", 1)) for o in asked]
    assert modes == [("in_memory", 1), ("multi_processing", 2), ("in_memory", 1)]


def test_progress_counts_items_and_bytes(context, monkeypatch):
    monkeypatch.setattr("pipelines.engine.progress.QUIET_S", 0.05)
    lines: queue.Queue[str] = queue.Queue()
    screen = SimpleNamespace(write=lines.put, flush=lambda: None, isatty=lambda: False)
    monkeypatch.setattr("pipelines.engine.progress.sys", SimpleNamespace(stderr=screen))
    items = [Item(f"{i:05d}", 1_000_000) for i in range(ITEMS)]
    phase = type(scatters((context,)))("scatter", items, scatters((context,)).function)
    with Progress("squares", (context,), phase), Progress("scatter", (context,), phase):
        for item in items[:2]:
            do_item((context,), phase, item)
        for title in ("squares scatter", "scatter"):  # a phase that is called as its stage is is named once
            told = f"  {title}: 2/6 items, 2.0/6.0 MB"
            assert any(lines.get(timeout=20).startswith(told) for _ in range(400))
    assert json.loads((context.directory / "commits/scatter/00000.json").read_text())["files"]


def test_what_follows_a_failure_is_not_begun(tmp_path):
    context = context_of(stage_of(What(fails="00000")), tmp_path, log=str(tmp_path / "log"))
    context.directory.mkdir(parents=True)
    with pytest.raises(ItemFailedError, match="squares scatter 00000: LookupError"):
        run_phase((context,), scatters((context,)), Workers())
    assert not (tmp_path / "log").exists() and len(pending((context,), scatters((context,)))) == ITEMS
