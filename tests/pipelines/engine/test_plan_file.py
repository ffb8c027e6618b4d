"""H10: a phase is listed once. What an item opens beside its own files does not grow with the items."""

import contextlib
import json
import sys
from collections import Counter
from dataclasses import replace
from fnmatch import fnmatch
from functools import partial

import pytest

from corpus.configuration import FileRef
from corpus.sources.jsonl import JsonlSource
from corpus.verdict import Tally
from pipelines.engine import commit, shuffle, stage
from pipelines.engine.execute import external, make
from pipelines.engine.runner import Workers
from pipelines.engine.stage import Context, Program, Stage, Totals
from pipelines.engine.store import load as finished_stage
from pipelines.engine.work import PhasePlan, do_item, load
from pipelines.stages.extract import PROGRAM, ExtractStage
from pipelines.stages.shard import shard_phase

STAGE = Stage("extract", "extract", 1, ExtractStage(input="web", source="web"), {}, ("pyarrow",), str)
KINDS = ("*.plan", "*/manifest.json", "*/commits/*.jsonl", "*/commits/*/*.json")  # of what is read of other items
seen: list[Counter[str]] = []


def note(event, arguments):
    """An audit hook, which stays for as long as the process: it counts while someone asks."""
    if seen and event in ("os.scandir", "os.listdir"):
        seen[-1][f"list {arguments[0]}"] += 1
    elif seen and event == "open" and isinstance(arguments[0], str) and arguments[1] in ("r", "rb"):
        kind = next((kind for kind in KINDS if fnmatch(arguments[0], kind)), None)
        if kind is not None:
            seen[-1][kind] += 1


sys.addaudithook(note)


@contextlib.contextmanager
def counted():
    """Listings by folder, and readings by kind of file."""
    seen.append(Counter())
    try:
        yield seen[-1]
    finally:
        seen.pop()


def source_of(folder, files):
    """A folder of JSON lines."""
    folder.mkdir(parents=True)
    for number in range(files):
        lines = (json.dumps({"id": f"{number}-{row}", "text": f"第 {row} row of {number}"}) for row in range(20))
        (folder / f"{number:03d}.jsonl").write_text("\n".join(lines))
    return JsonlSource(path=FileRef(folder))


def context_of(root, files):
    """Extract over so many files."""
    source = source_of(root / "in", files)
    artifact = external("files", "0" * 24, root / "in", {})
    return Context("extract", "extract", STAGE.what, root / "out", {"source": artifact}, {"source": source})


def worked(context, program, *, afresh=True):
    """A stage's phases as the engine runs them, their items through plan files as a worker does: one of its own each
    (`afresh`), or one for all."""
    job, read = (context,), Counter()
    for number, phase_of in enumerate(program.phases):
        phase = phase_of(job)
        path = PhasePlan(job, phase).save() if phase.items else None
        if afresh or number == 0:
            for cached in (load, commit._read_summary, stage._loaded):
                cached.cache_clear()  # a worker begins with none
        with counted() as found:
            for item in phase.items:
                plan, items = load(path)
                do_item(plan.job, plan.phase, items[item.name])
        read += found
        context.log.summarize(phase.name)
    return read


@pytest.mark.parametrize("files", [6, 24])
def test_the_source_is_walked_once_a_stage(tmp_path, files):
    context = context_of(tmp_path, files)
    with counted() as found:
        make(replace(PROGRAM, beam=False), [STAGE], (context,), Workers(), print)
    assert found[f"list {tmp_path / 'in'}"] == 1


def test_items_read_the_plan_and_the_phase_before_once(tmp_path, monkeypatch):
    monkeypatch.setattr(shuffle, "TARGET", 400)  # some fifty home shards, so that gathers are many too
    found = {}
    for files in (6, 24):
        context = context_of(tmp_path / str(files), files)
        context.directory.mkdir()
        found[files] = worked(context, PROGRAM)
        assert len(context.commits("scatter")) == files and len(context.commits("gather")) >= files // 2
    assert found[24] == found[6] == {"*.plan": 2, "*/commits/*.jsonl": 1}


def count_documents(shard, attempt):
    attempt.figure("documents", len(shard.ids))


def _counting(name, job):
    return shard_phase(name, job[0], count_documents)


def test_a_manifest_is_read_once_a_worker_however_many_shards_it_names(tmp_path, monkeypatch):
    monkeypatch.setattr(shuffle, "TARGET", 400)
    phases = tuple(partial(_counting, name) for name in ("count", "recount"))
    counting = Program("count", 1, (), phases, lambda context: Totals(Tally()))
    found = {}
    for files in (6, 24):
        before = context_of(tmp_path / str(files), files)
        make(replace(PROGRAM, beam=False), [STAGE], (before,), Workers(), print)
        artifact = finished_stage("extract", STAGE.digest, before.directory)
        context = Context("count", "count", None, tmp_path / str(files) / "count", {"edition": artifact}, {})
        context.directory.mkdir()
        found[files] = worked(context, counting, afresh=False)
        for phase in ("count", "recount"):
            assert sum(each.figures["documents"] for each in context.commits(phase).values()) == 20 * files
    assert found[24] == found[6] == {"*.plan": 2, "*/manifest.json": 1}
