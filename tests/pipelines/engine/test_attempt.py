"""The first commit wins, its files count only then, and what is not committed leaves no file."""

import json
import os

import pyarrow as pa
import pytest

from corpus import fault
from corpus.verdict import Count, ReconciliationError, Tally
from pipelines.engine.commit import Commit
from pipelines.engine.files import StoreError

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
    assert context.commit("write", "00000") == commit
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


def test_a_commit_whose_reply_was_lost_keeps_its_files(context, monkeypatch):
    """H1: the attempt took its own record for another's, and removed the files that it names."""
    real = os.link

    def link(source, target):
        real(source, target)
        raise FileExistsError(17, "a file server was asked again")

    monkeypatch.setattr(os, "link", link)
    with context.begin("p", "0") as attempt:
        attempt.shard("documents-0", [table("一")], SCHEMA)
    assert context.file("documents-0", "p", "0").exists()
    with context.begin("q", "0"):  # without a file: records of two attempts differ all the same
        pass
    assert json.loads(context.files.read("commits/q/0.json"))["token"]


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


@pytest.mark.parametrize(("moment", "committed"), [("write", False), ("commit", False), ("committed", True)])
def test_an_interrupt_loses_no_committed_file_and_leaves_no_other(context, monkeypatch, moment, committed):
    monkeypatch.setenv(fault.VARIABLE, f"squares:{moment}:1:raise")
    monkeypatch.setattr(fault, "_arrivals", fault.Counter())
    with pytest.raises(fault.FaultError), context.begin("p", "0") as attempt:
        attempt.shard("documents-0", [table("一")], SCHEMA)
    assert names(context) == (["documents-0"] if committed else [])
    assert bool(context.commits("p")) == committed
    assert not committed or context.file("documents-0", "p", "0").exists()


def test_a_full_disk_is_one_sentence_with_the_way_out_and_no_half_file(context):
    attempt = context.begin("p", "0")
    (context.directory / f"documents-0.{attempt._token}.arrow").symlink_to("/dev/full")
    with pytest.raises(StoreError) as caught, attempt:
        attempt.shard("documents-0", [table("一" * 100_000)] * 50, SCHEMA)
    message = str(caught.value)
    assert "no space left to write" in message and "documents-0" in message and "MB free" in message
    assert "siku gc" in message and "site.store" in message and "\n" not in message
    assert context.commits("p") == {} and names(context) == []
