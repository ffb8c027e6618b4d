"""`siku gc` shows first, and removes nothing that a run needs."""

import subprocess
import sys
from dataclasses import replace

from pipelines.engine import lease
from pipelines.engine.files import Posix
from pipelines.engine.lease import this_process
from pipelines.engine.store import Store
from pipelines.past.garbage import collect_garbage
from tests.pipelines.fixtures import make_run


def said(function, *arguments, **named):
    lines = []
    status = function(*arguments, lines.append, **named)
    return status, "\n".join(lines)


def orphan(root, kind="filter", digest="0" * 24, below=""):
    folder = Store(root).directory(kind, digest) / below
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "commits" / "judge").mkdir(parents=True)
    (folder / "commits" / "judge" / "x.json").write_text("x" * 20_000)
    return folder


def contents(root):
    return {path: path.stat().st_size for path in sorted(root.rglob("*")) if path.is_file()}


def test_gc_shows_first_and_removes_only_what_no_run_reaches(tmp_path):
    history = make_run(tmp_path)
    before = contents(tmp_path)
    doomed = [
        orphan(tmp_path),
        orphan(tmp_path, "crawl", "1" * 24, "crawl-0001"),
        orphan(tmp_path, "train", "2" * 24),
    ]
    (tmp_path / "checksums").mkdir()
    (tmp_path / "checksums" / ("3" * 24)).mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("kept: no stage's folder")
    there = contents(tmp_path)
    status, text = said(collect_garbage, tmp_path)
    assert status == 0 and contents(tmp_path) == there
    for folder in doomed:
        assert f"0.02 MB  {folder.relative_to(tmp_path)}" in text
    assert f"0.06 MB in 3 of {len(history.stages) + 3} stage folders" in text
    status, text = said(collect_garbage, tmp_path, remove=True)
    assert status == 0 and "removed 0.06 MB" in text
    assert not any(folder.exists() for folder in doomed)
    assert contents(tmp_path) == {**before, tmp_path / "notes" / "mine.txt": 23}
    assert said(collect_garbage, tmp_path, remove=True)[1].endswith("nothing to remove")


def test_gc_leaves_a_folder_alone_that_a_process_holds(tmp_path):
    make_run(tmp_path)
    busy, other = orphan(tmp_path), orphan(tmp_path, "edit", "4" * 24)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        owner = replace(this_process(), pid=child.pid, started=lease._state(child.pid)[1])
        assert Posix(busy).swap(lease.KEY, lease._encode(owner, 0), None)
        there = contents(tmp_path)
        status, text = said(collect_garbage, tmp_path, remove=True)
        assert status == 0 and f"in use     {busy.relative_to(tmp_path)}, by process {child.pid}" in text
        assert not other.exists()
        assert contents(tmp_path) == {p: size for p, size in there.items() if not p.is_relative_to(other)}
    finally:
        child.kill()
        child.wait()
    status, text = said(collect_garbage, tmp_path, remove=True)
    assert status == 0 and not busy.exists()


def test_gc_of_a_store_without_runs(tmp_path):
    folder = orphan(tmp_path)
    assert list(Store(tmp_path).stage_folders()) == [folder]
    assert said(collect_garbage, tmp_path, remove=True)[0] == 0 and not folder.exists()
