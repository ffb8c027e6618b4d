"""The first commit wins, the manifest comes last, and nothing that does not match it is read."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from corpus.shard import ShardError
from corpus.verdict import Count, ReconciliationError, Tally
from pipelines.engine import execute, store
from pipelines.engine.execute import load, make
from pipelines.engine.runner import Workers
from pipelines.engine.stage import Program
from pipelines.engine.store import Artifact, Commit, StoreError, full_disk_explained, seal, write_durably
from tests.pipelines import programs
from tests.pipelines.programs import BUCKETS, PLAIN, What, build, context_of, stage_of

HOME = Path(__file__).resolve().parents[3]
SCHEMA = pa.schema([("text", pa.large_string())])


def table(*texts):
    return pa.table([list(texts)], schema=SCHEMA)


def names(context):
    return sorted(path.name.partition(".")[0] for path in context.directory.iterdir() if path.is_file())


def test_an_item_is_committed_once_and_its_files_count_only_then(context):
    attempt = context.begin("write", "00000")
    with attempt:
        attempt.shard("documents-00000", [table("中文", "b")], SCHEMA)
        path = attempt.path("词表", ".json")
        path.write_text("[]")
        attempt.add("words", path, 1)
        attempt.tally(Tally(born=Count(2, 5), kept=Count(2, 5)))
        attempt.figure("n", [1, 2.5])
        assert context.commits("write") == {}
    commit = context.commits("write")["00000"]
    assert context.begin("write", "00000") is None
    assert {n: (e.rows, e.bytes) for n, e in commit.files.items()}["words"] == (1, 2)
    assert commit.figures == {"n": [1, 2.5]} and commit.tally.kept.documents == 2
    assert Commit.load(context.directory / "commits/write/00000.json") == commit
    assert context.file("documents-00000", "write", "00000").exists()
    assert (
        commit.content_hash()
        == Commit(dict(reversed(commit.files.items())), commit.tally, commit.figures).content_hash()
    )


def test_a_second_attempt_with_equal_bytes_is_silent_and_leaves_one_copy(context):
    first, second = context.begin("p", "0"), context.begin("p", "0")
    for attempt in (first, second):
        with attempt:
            attempt.shard("documents-0", [table("一")], SCHEMA)
            attempt.figure("a", {"x": 1})
    (entry,) = context.commits("p")["0"].files.values()
    assert entry.file == f"documents-0.{first._token}.arrow"
    assert names(context) == ["documents-0"]


@pytest.mark.parametrize("what", ["text", "tally", "figure", "file"])
def test_a_second_attempt_with_other_bytes_fails_the_stage(context, what):
    first, second = context.begin("p", "0"), context.begin("p", "0")
    with first:
        first.shard("documents-0", [table("一")], SCHEMA)
    kept = context.commits("p")
    with pytest.raises(StoreError, match=r"other bytes than the first.*bump the stage's version"), second:
        second.shard("documents-0", [table("二" if what == "text" else "一")], SCHEMA)
        if what == "tally":
            second.tally(Tally(born=Count(1, 1), kept=Count(1, 1)))
        if what == "figure":
            second.figure("n", 1)
        if what == "file":
            second.shard("more", [table()], SCHEMA)
    assert context.commits("p") == kept and names(context) == ["documents-0"]


@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt, SystemExit])
def test_an_aborted_attempt_leaves_no_file(context, error):
    with pytest.raises(error), context.begin("p", "0") as attempt:
        attempt.shard("documents-0", [table("一")], SCHEMA)
        attempt.path("more", ".json").write_text("x")
        raise error
    assert context.commits("p") == {} and names(context) == []
    with pytest.raises(LookupError), context.begin("p", "0") as attempt:  # the stream of rows breaks half-way
        attempt.shard("documents-0", (table("x") if i < 2 else {}["gone"] for i in range(3)), SCHEMA)
    assert names(context) == []


def test_a_tally_that_does_not_balance_is_not_committed(context):
    with pytest.raises(ReconciliationError, match="p/0: in 2"), context.begin("p", "0") as attempt:
        attempt.shard("documents-0", [table("一")], SCHEMA)
        attempt.tally(Tally(came=Count(2, 3), kept=Count(1, 3)))
    assert context.commits("p") == {} and names(context) == []


def test_what_an_item_may_not_do(context):
    with pytest.raises(StoreError, match="writes documents-0 twice"), context.begin("p", "0") as attempt:
        attempt.shard("documents-0", [table("一")], SCHEMA)
        attempt.shard("documents-0", [table("二")], SCHEMA)
    for bad in (float("nan"), {1, 2}, b"x"):
        with pytest.raises(StoreError, match=r"figure n = .* is not JSON"), context.begin("p", "0") as attempt:
            attempt.figure("n", bad)
    assert names(context) == []


def test_an_interrupt_after_the_link_loses_no_file(context, monkeypatch):
    real = store._sync
    record = context.directory / "commits/p"

    def interrupted(path):
        if path == record:
            raise KeyboardInterrupt
        real(path)

    monkeypatch.setattr(store, "_sync", interrupted)
    with pytest.raises(KeyboardInterrupt), context.begin("p", "0") as attempt:
        attempt.shard("documents-0", [table("一")], SCHEMA)
    assert context.file("documents-0", "p", "0").exists()


# A full disk.


def full(context, name, attempt):
    (context.directory / f"{name}.{attempt._token}.arrow").symlink_to("/dev/full")


def test_a_full_disk_is_one_sentence_with_the_way_out_and_no_half_file(context):
    attempt = context.begin("p", "0")
    full(context, "documents-0", attempt)
    with pytest.raises(StoreError) as caught, attempt:
        attempt.shard("documents-0", [table("一" * 100_000)] * 50, SCHEMA)
    message = str(caught.value)
    assert "no space left to write" in message and "documents-0" in message and "MB free" in message
    assert "siku gc" in message and "site.store" in message and "\n" not in message
    assert context.commits("p") == {} and names(context) == []


def test_a_full_disk_at_the_record_or_the_manifest(tmp_path, context, monkeypatch):
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(StoreError, match="no space left"):
        write_durably(tmp_path / "full", "{}")

    def no_room(path, text):
        write_durably(tmp_path / "full", text)

    monkeypatch.setattr(store, "write_durably", no_room)
    with pytest.raises(StoreError, match="no space left"), context.begin("p", "0") as attempt:
        attempt.shard("documents-0", [table("一")], SCHEMA)
    assert context.commits("p") == {} and names(context) == []
    with pytest.raises(StoreError, match="no space left"):
        seal(context.directory, stage_of(What()).identity, {}, {}, Tally(), {})
    assert not (context.directory / "manifest.json").exists()


def test_other_errors_of_the_disk_stay_what_they_are(tmp_path):
    with pytest.raises(PermissionError), full_disk_explained(tmp_path / "x"):
        raise PermissionError(13, "no")
    with pytest.raises(StoreError, match="no space left"), full_disk_explained(tmp_path / "gone" / "x"):
        raise OSError(122, "quota")


# The manifest.


@pytest.fixture
def made(tmp_path):
    """A finished stage: its stage, its folder."""
    build(tmp_path)
    stage = stage_of(What())
    return stage, context_of(stage, tmp_path).directory


def test_the_manifest_is_last_and_scratch_goes(made):
    stage, directory = made
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest["digest"] == stage.digest and manifest["identity"] == stage.identity
    assert {"host", "seconds", "python"} <= manifest["record"].keys()
    assert sorted(manifest["files"]) == [f"documents-{i:05d}" for i in range(BUCKETS)]
    here = {path.name for path in directory.iterdir()}
    assert here == {"manifest.json", "lease.lock", *(entry["file"] for entry in manifest["files"].values())}
    artifact = load(stage.kind, stage.digest, directory)
    assert artifact.names("documents") == sorted(manifest["files"]) and artifact.tally.kept.documents == 240
    with pytest.raises(StoreError, match=r"holds no documents-9; it holds \['documents-00000'"):
        artifact.path("documents-9")


def test_content_is_compared_and_the_record_is_not(tmp_path):
    assert build(tmp_path / "a") == build(tmp_path / "b", pause=0.01)
    records = [json.loads(path.read_text())["record"] for path in sorted(tmp_path.glob("*/squares/*/manifest.json"))]
    assert records[0] != records[1]
    assert build(tmp_path / "c", what=What(salt="b")) != build(tmp_path / "a")


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("how", ["short", "long", "missing"])
def test_a_shard_of_another_size_is_found_without_reading_it(made, how):
    stage, directory = made
    path = Artifact.load(stage.kind, stage.digest, directory).path("documents-00001")
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] if how == "short" else path.read_bytes() + b"x")
    with pytest.raises(StoreError, match=r"for documents-00001: remove .* and run again") as caught:
        load(stage.kind, stage.digest, directory)
    assert str(path) in str(caught.value) and str(directory / "manifest.json") in str(caught.value)


@pytest.mark.parametrize("reader", ["table", "batches"])
def test_a_flipped_byte_is_found_on_reading(made, reader):
    stage, directory = made
    artifact = load(stage.kind, stage.digest, directory)
    path = artifact.path("documents-00002")
    flip(path, path.stat().st_size // 2)
    with pytest.raises(ShardError, match="does not hold the bytes") as caught:
        list(getattr(artifact, reader)("documents-00002"))
    assert str(path) in str(caught.value) and "manifest.json promises for documents-00002" in str(caught.value)
    assert artifact.table("documents-00001").num_rows > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda body: "", "is not readable"),
        (lambda body: json.dumps(body)[:-20], "is not readable"),
        (lambda body: "[]", "is not readable"),
        (lambda body: json.dumps({k: v for k, v in body.items() if k != "tally"}), "is not readable"),
        (lambda body: json.dumps({**body, "files": {"a": {"file": "a"}}}), "is not readable"),
        (lambda body: json.dumps({**body, "digest": "0" * 24}), "is of digest 0000"),
        (lambda body: json.dumps({**body, "identity": {}}), "is of digest"),
        (lambda body: json.dumps({**body, "figures": {"bytes": 1}}), "has content"),
        (lambda body: json.dumps({**body, "files": dict(list(body["files"].items())[1:])}), "has content"),
        (lambda body: json.dumps({**body, "tally": {**body["tally"], "bytes_in": 1}}), "has content"),
    ],
)
def test_a_manifest_that_is_not_itself_is_refused(made, change, message):
    stage, directory = made
    path = directory / "manifest.json"
    path.write_text(change(json.loads(path.read_text())))
    with pytest.raises(StoreError, match=f"{message}.*remove .* and run again") as caught:
        load(stage.kind, stage.digest, directory)
    assert str(path) in str(caught.value)


def test_a_second_seal_keeps_the_first(context, monkeypatch):
    stage = stage_of(What())
    for text, says in (("一", None), ("一", None), ("二", "made twice, with other content")):
        with context.begin("p", "0") as attempt:
            attempt.shard("documents-0", [table(text)], SCHEMA)
        commits = context.commits("p")
        with pytest.raises(StoreError, match=says) if says else contextlib.nullcontext():
            seal(context.directory, stage.identity, commits, {}, Tally(), {})
        artifact = Artifact.load(stage.kind, stage.digest, context.directory)
        assert artifact.table("documents-0")["text"].to_pylist() == ["一"]


def test_two_items_of_one_name_and_tallies_that_do_not_balance_are_not_sealed(context):
    identity = stage_of(What()).identity
    for item in "ab":
        with context.begin("p", item) as attempt:
            attempt.shard("documents-0", [table(item)], SCHEMA)
    with pytest.raises(StoreError, match=r"two items wrote \['documents-0'\]"):
        seal(context.directory, identity, context.commits("p"), {}, Tally(), {})
    with pytest.raises(ReconciliationError):
        seal(context.directory, identity, {}, {}, Tally(kept=Count(1, 1)), {})
    assert not (context.directory / "manifest.json").exists()


def test_a_phase_with_a_lost_commit_is_not_sealed(tmp_path):
    """The ledger of what is left would balance."""
    stage = stage_of(What())
    context = context_of(stage, tmp_path)

    def losing(made_of):
        (context.directory / "commits/gather/00001.json").unlink()
        return PLAIN.seal(made_of)

    program = Program("squares", 1, (), PLAIN.phases, losing, beam=False)
    with pytest.raises(StoreError, match=r"phase gather has 4 items and 3 commits; \['00001'\]"):
        make(program, [stage], (context,), Workers(), print)
    assert not (context.directory / "manifest.json").exists()


# Kills.


def run(root, mode, pause, workers=1):
    code = f"from tests.pipelines.programs import main; main({str(root)!r}, {mode!r}, '{pause}', '{workers}')"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=HOME,
        start_new_session=True,
    )


@pytest.mark.parametrize(("mode", "workers", "kills"), [("plain", 1, 2), ("beam", 1, 1), ("beam", 2, 1)])
def test_killed_at_any_moment_it_goes_on_to_the_same_content(tmp_path, mode, workers, kills):
    expected = build(tmp_path / "whole")
    root, rng = tmp_path / "s", random.Random(mode + str(workers))
    for kill in range(kills):
        process = run(root, mode, 0.05, workers)
        before = len(list(root.glob("squares/*/commits/*/*.json")))
        wanted = before + 1 + kill % 2
        while process.poll() is None and len(list(root.glob("squares/*/commits/*/*.json"))) < wanted:
            time.sleep(0.002)
        time.sleep(rng.random() * 0.06)
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if kill % 2 else os.kill)(process.pid, signal.SIGKILL)  # the group; the parent alone
        last = process
    done = run(root, mode, 0, workers)
    assert done.communicate(timeout=90)[0].strip() == expected and done.returncode == 0
    last.wait()
    assert build(root) == expected
    (directory,) = root.glob("squares/*")
    assert len(list(directory.glob("documents-*"))) == BUCKETS and not list(directory.glob("rows-*"))


POINTS = ["write_durably", "os.link", "_sync", "sweep"]


@pytest.mark.parametrize("point", POINTS)
def test_killed_before_and_after_each_step_of_a_commit(tmp_path, point):
    """Every call of a step, in turn, is the last thing a process does; the next one starts at once."""
    expected = build(tmp_path / "whole")
    root = tmp_path / "s"
    code = (
        "import os, sys; from pathlib import Path\n"
        "from pipelines.engine import store; from tests.pipelines import programs\n"
        "owner, name = (os, 'link') if sys.argv[2] == 'os.link' else (store, sys.argv[2])\n"
        "real, after = getattr(owner, name), sys.argv[3] == 'after'\n"
        "def last(*arguments):\n"
        "    if after: real(*arguments)\n"
        "    os.kill(os.getpid(), 9)\n"
        "calls = iter(range(10 ** 6)); at = int(sys.argv[4])\n"
        "setattr(owner, name, lambda *a: last(*a) if next(calls) == at else real(*a))\n"
        "programs.build(Path(sys.argv[1]))"
    )
    killed = 0
    for call, when in ((0, "before"), (1, "after"), (0, "after")):
        command = [sys.executable, "-c", code, str(root), point, when, str(call)]
        killed += subprocess.run(command, cwd=HOME, capture_output=True, check=False).returncode == -signal.SIGKILL
    assert killed >= 1
    assert build(root) == expected
    (directory,) = root.glob("squares/*")
    assert {path.name.partition("-")[0] for path in directory.iterdir()} == {"manifest.json", "lease.lock", "documents"}


def test_what_a_kill_before_the_sweep_left_is_swept(made, monkeypatch):
    stage, directory = made
    for path in directory.glob("manifest.json"):
        path.unlink()
    monkeypatch.setattr(store, "sweep", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        build(directory.parents[1])
    assert (directory / "manifest.json").exists() and (directory / "commits").exists()
    assert load(stage.kind, stage.digest, directory) is not None
    assert not (directory / "commits").exists() and not list(directory.glob("rows-*"))
    assert execute.Store(directory.parents[1]).find(stage) is not None and programs.ITEMS == 6
