"""Stores that cannot be written: a finished run is served, and anything else is told in one sentence."""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from corpus import fault
from pipelines import open_run
from pipelines.cli.main import main
from pipelines.graph.records import NoRunError
from tests.permissions import obey_permissions

HOME = Path(__file__).resolve().parents[3]
RECIPE = "recipe={source: {kind: jsonl, path: FILE}, extract: {kind: extract, input: source}}"
PROGRAM = """
import sys, json
from pipelines.cli.main import main
from pipelines.graph.records import NoRunError
for arguments in json.loads(sys.argv[1]):
    print("status", main(arguments), flush=True)
"""


@pytest.fixture
def given(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"id": 1, "text": "第一页"}\n{"id": 2, "text": "one page"}\n', "utf-8")
    os.utime(tmp_path / "in.jsonl", (1_600_000_000,) * 2)
    return [RECIPE.replace("FILE", str(tmp_path / "in.jsonl")), f"site.store={tmp_path / 'store'}"]


def siku(*arguments):
    out, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        status = main(list(arguments))
    return status, out.getvalue(), said.getvalue()


def one_sentence(said, *words):
    told = [line for line in said.splitlines() if line.startswith("siku: ")]
    assert len(told) == 1 and "Traceback" not in said, said
    assert all(word in told[0] for word in words), told


def test_a_read_only_store_serves_a_finished_run(given, tmp_path):
    """U9: a finished run failed in utime."""
    root = tmp_path / "store"
    assert siku("run", *given)[0] == 0
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    for path in root.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    root.chmod(0o555)
    try:
        verbs = [
            ["run", *given],
            ["plan", *given],
            ["ls", *given],
            ["explain", "--doc", "source:1", *given],
            ["gc", *given],
            ["run", *given, "recipe.source.max_file_bytes=9"],
        ]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(verbs)],
            cwd=HOME,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            encoding="utf-8",
            preexec_fn=obey_permissions,
            check=False,
        )
    finally:
        for path in folders:
            path.chmod(0o755)
    statuses = [line for line in done.stdout.splitlines() if line.startswith("status")]
    assert statuses == ["status 0"] * 5 + ["status 1"], done.stderr
    assert "nothing to do: all 2 stages are reused" in done.stderr and "reused" in done.stdout
    one_sentence(done.stderr, "cannot be written (Permission denied): make its folder writable, or set site.store")


def test_gc_of_no_store_is_a_mistake(tmp_path):
    status, _, said = siku("gc", f"site.store={tmp_path / 'nope'}")
    assert status == 2 and not (tmp_path / "nope").exists()
    one_sentence(said, f"site.store='{tmp_path / 'nope'}': there is no store: set site.store to the folder of one")


def test_a_plan_names_the_files_that_make_a_source_new(tmp_path):
    """A stray file made all new, and the plan said only that the source has changed."""
    folder, store = tmp_path / "in", tmp_path / "store"
    folder.mkdir()
    recipe = RECIPE.replace("FILE", str(folder))
    for name in ("a", "b", "c"):
        (folder / f"{name}.jsonl").write_text(f'{{"id": "{name}", "text": "{name} page"}}\n', "utf-8")
    given = [recipe, f"site.store={store}"]
    assert siku("run", *given)[0] == 0
    (folder / "游离.jsonl").write_text("{}\n")
    (folder / "b.jsonl").write_text('{"id": "b", "text": "another page"}\n')
    (folder / "c.jsonl").unlink()
    out = siku("plan", *given)[1]
    told = "new: input source changed: 1 file new (游离.jsonl), 1 file changed (b.jsonl), 1 file gone (c.jsonl)\n"
    assert told in out
    listings = store / "checksums" / "listings"
    assert len([*listings.iterdir()]) == 2 and siku("gc", "--yes", *given)[0] == 0
    assert len([*listings.iterdir()]) == 1 and siku("plan", *given)[0] == 0


def test_a_file_is_read_in_place_by_the_first_plan_and_the_next(given):
    for fate in ("new: first time", "reused"):
        status, out, _ = siku("plan", *given)
        lines = dict(line.split(maxsplit=1) for line in out.splitlines()[:2])
        assert status == 0 and lines["source"].endswith("  read in place") and lines["extract"].endswith(f"  {fate}")
        assert siku("run", *given)[0] == 0


@pytest.mark.parametrize("verb", ["run", "plan", "ls", "gc"])
def test_a_file_as_store(given, tmp_path, verb):
    (tmp_path / "store").write_text("mine")
    status, _, said = siku(verb, *given)
    assert status == 2
    one_sentence(said, f"{str(tmp_path / 'store')!r} is a file: set site.store to a folder")
    with pytest.raises(NoRunError, match="is a file"):
        open_run(store=tmp_path / "store")
    assert (tmp_path / "store").read_text() == "mine"


def test_a_store_that_cannot_be_made(given):
    for verb in ("plan", "run"):
        status, _, said = siku(verb, given[0], "site.store=/proc/x/y")
        assert status == 2
        one_sentence(said, "site.store='/proc/x/y' cannot be made", "set site.store to a folder that can be written")


@pytest.mark.parametrize("moment", ["extract.gather:write", "extract.scatter:commit"])
def test_a_full_disk(given, monkeypatch, moment):
    monkeypatch.setattr(fault, "_arrivals", fault.Counter())
    monkeypatch.setenv(fault._FIRST, "")
    monkeypatch.setenv(fault.VARIABLE, f"{moment}:1:full")
    status, _, said = siku("run", *given)
    assert status == 1
    one_sentence(said, "no space left to write", "MB free", "or set site.store to another disk, and run again")
    monkeypatch.delenv(fault.VARIABLE)
    assert siku("run", *given)[0] == 0
