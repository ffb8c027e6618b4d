"""The manifest comes last, nothing else than it says is read, and a killed or damaged stage goes on from its items."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from corpus import fault
from corpus.shard import ShardError
from corpus.verdict import Count, ReconciliationError, Tally
from pipelines.engine.execute import make
from pipelines.engine.files import Posix, StoreWarning
from pipelines.engine.runner import Workers
from pipelines.engine.stage import Program, Totals
from pipelines.engine.store import Artifact, Entry, Store, StoreError, load, seal, shard_name
from tests.permissions import obey_permissions
from tests.pipelines.programs import BUCKETS, PLAIN, What, build, context_of, stage_of

HOME = Path(__file__).resolve().parents[3]
SCHEMA = pa.schema([("text", pa.large_string())])


def table(*texts):
    return pa.table([list(texts)], schema=SCHEMA)


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
    assert here == {"manifest.json", "lease", "commits", *(e["file"] for e in manifest["files"].values())}
    assert [path.name for path in (directory / "commits").iterdir()] == ["gather.jsonl"]
    assert {name: entry["item"] for name, entry in manifest["files"].items()} == {
        f"documents-{i:05d}": f"gather/{i:05d}" for i in range(BUCKETS)
    }
    artifact = load(stage.kind, stage.digest, directory)
    assert artifact.names("documents") == sorted(manifest["files"]) and artifact.tally.kept.documents == 240
    with pytest.raises(StoreError, match=r"holds no documents-9; it holds \['documents-00000'"):
        artifact.path("documents-9")


def test_content_is_compared_and_the_record_is_not(tmp_path):
    assert build(tmp_path / "a") == build(tmp_path / "b", log=str(tmp_path / "log"))
    records = [json.loads(path.read_text())["record"] for path in sorted(tmp_path.glob("*/squares/*/*/manifest.json"))]
    assert records[0] != records[1]
    assert build(tmp_path / "c", what=What(salt="b")) != build(tmp_path / "a")


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("how", ["short", "long"])
def test_a_shard_of_another_size_is_found_without_reading_it(made, how):
    stage, directory = made
    path = Artifact.load(stage.kind, stage.digest, directory).path("documents-00001")
    path.write_bytes(path.read_bytes()[:-1] if how == "short" else path.read_bytes() + b"x")
    way_out = rf"for documents-00001: remove {path} and run again, which makes only item gather/00001 again"
    with pytest.raises(StoreError, match=way_out) as caught:
        load(stage.kind, stage.digest, directory)
    assert str(directory / "manifest.json") in str(caught.value)


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
def test_a_manifest_that_is_not_itself_is_passed_over_and_made_again(made, change, message):
    """S14: from the items that are there; the scratch that a seal swept is done again."""
    stage, directory = made
    path = directory / "manifest.json"
    before = json.loads(path.read_text())
    path.write_text(change(before))
    with pytest.raises(StoreError, match=message):
        Artifact.load(stage.kind, stage.digest, directory)
    with pytest.warns(StoreWarning, match=rf"manifest {path} {message}") as caught:
        assert load(stage.kind, stage.digest, directory) is None
    assert len(caught) == 1
    with pytest.warns(StoreWarning):
        build(directory.parents[2])
    assert json.loads(path.read_text())["files"] == before["files"]


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
        (context.directory / "commits/gather.jsonl").unlink()
        return PLAIN.totals(made_of)

    program = Program("squares", 1, (), PLAIN.phases, losing, beam=False)
    with pytest.raises(StoreError, match=r"phase gather has 4 items and 3 commits; \['00001'\]"):
        make(program, [stage], (context,), Workers(), print)
    assert not (context.directory / "manifest.json").exists()


# A sealed stage that has lost something.


def test_a_lost_shard_costs_its_item_and_not_the_stage(tmp_path, made):
    """H9."""
    stage, directory = made
    before = json.loads((directory / "manifest.json").read_text())
    kept = {name: entry for name, entry in before["files"].items() if name != "documents-00001"}
    (directory / before["files"]["documents-00001"]["file"]).unlink()
    with pytest.warns(StoreWarning, match=r"documents-00001\..*\.arrow is gone: item gather/00001 is made again"):
        assert load(stage.kind, stage.digest, directory) is None
    with pytest.warns(StoreWarning):
        assert build(tmp_path) == before["content_hash"]
    after = json.loads((directory / "manifest.json").read_text())
    assert {name: entry for name, entry in after["files"].items() if name in kept} == kept
    assert after["files"]["documents-00001"]["file"] != before["files"]["documents-00001"]["file"]
    assert not (directory / "reopened.json").exists()
    (directory / after["files"]["documents-00000"]["file"]).unlink()  # and once more
    with pytest.warns(StoreWarning):
        assert build(tmp_path) == before["content_hash"]


def test_an_item_that_comes_out_otherwise_than_before_is_not_sealed(tmp_path, made):
    stage, directory = made
    path = directory / "manifest.json"
    body = json.loads(path.read_text())
    (directory / body["files"]["documents-00001"]["file"]).unlink()
    context = context_of(stage, tmp_path)

    def other(made_of):
        sealed = PLAIN.totals(made_of)
        return Totals(sealed.tally, {**sealed.figures, "bytes": 0})

    program = Program("squares", 1, (), PLAIN.phases, other, beam=False)
    with pytest.warns(StoreWarning), pytest.raises(StoreError, match="made again have other bytes than before"):
        make(program, [stage], (context,), Workers(), print)
    assert not path.exists()


def test_what_no_item_makes_again_is_an_error(context):
    """A crawl's segments: the web is not repeatable."""
    stage = stage_of(What())
    with context.begin("p", "0") as attempt:
        attempt.shard("documents-0", [table("一")], SCHEMA)
    seal(context.directory, stage.identity, context.commits("p"), {}, Tally(), {}, repeatable=False)
    artifact = load(stage.kind, stage.digest, context.directory)
    artifact.path("documents-0").unlink()
    with pytest.raises(StoreError, match=r"is missing, but .* restore it from a copy, or remove .* and run again"):
        load(stage.kind, stage.digest, context.directory)


def test_a_seal_promises_no_file_that_is_not_there(context):
    """H9: the record named a file that was gone, and the stage was sealed."""
    identity = stage_of(What()).identity
    with context.begin("p", "0") as attempt:
        attempt.shard("documents-0", [table("一")], SCHEMA)
    path = context.file("documents-0", "p", "0")
    data = path.read_bytes()
    for damage in (path.unlink, lambda: path.write_bytes(data[:-1])):
        damage()
        with pytest.raises(StoreError, match=rf"{path} is not there in full, though its item is committed: run again"):
            seal(context.directory, identity, {"p/0": context.commit("p", "0")}, {}, Tally(), {})
        assert context.files.head("manifest.json") is None


def test_files_of_other_stages_are_referred_to_and_looked_at(tmp_path, made):
    """A union's manifest names its parts' shards by their path from its own folder."""
    _, directory = made
    part = load("squares", stage_of(What()).digest, directory)
    union, identity = Store(tmp_path).directory("union", "ab" * 12), {"kind": "union"}
    entry = part.files["documents-00001"]
    file = f"{'../' * 3}{part.path('documents-00001').relative_to(tmp_path)}"
    referred = {"documents-00000": Entry(file, entry.rows, entry.bytes, entry.sha256, entry.item)}
    union.mkdir(parents=True)
    seal(union, identity, {}, {}, Tally(), {}, referred)
    digest = json.loads((union / "manifest.json").read_text())["digest"]
    assert load("union", digest, union).table("documents-00000").equals(part.table("documents-00001"))
    part.path("documents-00001").unlink()
    with pytest.warns(StoreWarning, match="is gone"):
        assert load("union", digest, union) is None
    with pytest.raises(StoreError, match="not there in full"):
        seal(Store(tmp_path).directory("union", "cd" * 12), identity, {}, {}, Tally(), {}, referred)


def test_stages_are_fanned_out_and_found_again(tmp_path, made):
    stage, directory = made
    store = Store(tmp_path)
    assert directory == tmp_path / "squares" / stage.digest[:2] / stage.digest
    crawl = store.directory("crawl", "0a" * 12)
    for path in (crawl / "crawl-0002", crawl / "crawl-0010", store.directory("train", "ff" * 12)):
        Posix(path).put("x", b"")
    (tmp_path / "runs" / "ab" / "cd").mkdir(parents=True)
    assert set(store.stage_folders()) == {
        directory,
        crawl / "crawl-0002",
        crawl / "crawl-0010",
        tmp_path / "train" / "ff" / ("ff" * 12),
    }
    assert store.find(stage.kind, stage.digest).directory == directory
    assert store.find(stage.kind, "0" * 24) is None


def test_shards_come_in_the_order_of_their_numbers(context):
    """H16."""
    numbers = [100_000, 99_999, 3]
    with context.begin("p", "0") as attempt:
        for number in numbers:
            attempt.shard(shard_name("documents", number), [table(str(number))], SCHEMA)
    seal(context.directory, stage_of(What()).identity, context.commits("p"), {}, Tally(), {})
    artifact = load("squares", stage_of(What()).digest, context.directory)
    assert artifact.names("documents") == ["documents-00003", "documents-99999", "documents-100000"]


# Kills.


def run(root, mode, aim="", workers=1):
    code = f"from tests.pipelines.programs import main; main({str(root)!r}, {mode!r}, '{workers}')"
    environment = {**os.environ, fault.VARIABLE: aim}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=HOME,
        env=environment,
        start_new_session=True,
        timeout=120,
        check=False,
    )


KILLS = [
    "squares.scatter:begin:2",
    "squares.scatter:commit:2",
    "squares.scatter:committed:2",
    "squares.gather:begin",
    "squares.gather:write",
    "squares.gather:commit:2",
    "squares.gather:committed",
    "squares:seal",
    "squares:sealed",
]


def whole(root, expected):
    (directory,) = root.glob("squares/*/*")
    assert build(root) == expected
    here = {path.name.partition("-")[0] for path in directory.iterdir()}
    assert here - {"lease"} == {"manifest.json", "documents", "commits"}
    assert len(list(directory.glob("documents-*"))) == BUCKETS


def test_killed_at_every_moment_it_goes_on_to_the_same_content(tmp_path):
    """Each process goes on where the one before it was killed."""
    expected, root = build(tmp_path / "whole"), tmp_path / "s"
    for aim in KILLS:
        assert run(root, "plain", aim).returncode == -signal.SIGKILL, aim
    done = run(root, "plain")
    assert done.stdout.strip() == expected, done.stderr
    whole(root, expected)


@pytest.mark.parametrize("aim", ["squares.scatter:commit:2:parent", "squares.gather:commit:1:group"])
def test_killed_while_workers_are_at_it(tmp_path, aim):
    """The parent alone, whose workers may live a moment longer, and the whole group."""
    expected, root = build(tmp_path / "whole"), tmp_path / "s"
    assert run(root, "beam", aim, 2).returncode == -signal.SIGKILL
    done = run(root, "plain")
    assert done.stdout.strip() == expected, done.stderr
    whole(root, expected)


def test_what_a_kill_before_the_sweep_left_is_swept_where_it_can_be(tmp_path):
    root, stage = tmp_path / "s", stage_of(What())
    assert run(root, "plain", "squares:sealed").returncode == -signal.SIGKILL
    directory = context_of(stage, root).directory
    assert (directory / "commits/scatter").exists()
    for folder in (directory, directory / "commits"):
        folder.chmod(0o555)
    code = (
        "from tests.pipelines.programs import *; import sys; stage = stage_of(What())\n"
        "assert load(stage.kind, stage.digest, context_of(stage, Path(sys.argv[1])).directory) is not None"
    )
    command = [sys.executable, "-c", code, str(root)]
    subprocess.run(command, cwd=HOME, check=True, preexec_fn=obey_permissions)  # a read-only store serves it
    for folder in (directory, directory / "commits"):
        folder.chmod(0o755)
    assert load(stage.kind, stage.digest, directory) is not None
    assert not (directory / "commits/scatter").exists() and not list(directory.glob("rows-*"))
