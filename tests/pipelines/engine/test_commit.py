"""A phase's records: in order, summarized once, and passed over where they are damaged."""

import json

import pytest

from corpus.shard import ShardError
from pipelines.engine import commit as module
from pipelines.engine.commit import Commit
from pipelines.engine.files import Posix, StoreError, StoreWarning


def commit(context, item, phase="p"):
    with context.begin(phase, item) as attempt:
        path = attempt.path(f"file-{item}", ".bin")
        path.write_bytes(item.encode())
        attempt.add(f"file-{item}", path, 1)
        attempt.figure("n", int(item))


def test_items_come_in_the_order_of_their_numbers(context):
    for item in ("100000", "99999", "00003"):
        commit(context, item)
    wanted = ["00003", "99999", "100000"]
    assert list(context.commits("p")) == context.log.names("p") == wanted
    context.log.summarize("p")
    assert list(context.commits("p")) == wanted
    assert [path.read_text() for path in context.paths("p")] == wanted
    assert [path.name.partition(".")[0] for path in context.paths("p", "file-9")] == ["file-99999"]


def test_a_summary_is_read_once_a_process_instead_of_every_record(context, monkeypatch):
    """H10: each gather parsed all commits."""
    for item in range(20):
        commit(context, f"{item:05d}")
    before = context.commits("p")
    context.log.summarize("p")
    reads, real = [], Posix.read
    monkeypatch.setattr(Posix, "read", lambda self, key, *a: reads.append(key) or real(self, key, *a))
    for _ in range(5):
        assert context.commits("p") == before
    assert reads == ["commits/p.jsonl"]


DAMAGE = [
    ("torn", lambda text: text[:-20], "JSONDecodeError"),
    ("empty", lambda text: "", "JSONDecodeError"),
    ("other JSON", lambda text: "[]", "TypeError"),
    ("a figure", lambda text: text.replace('"n": 1', '"n": 7'), "not what it promises"),
    ("a size", lambda text: text.replace('"bytes": 5', '"bytes": 6'), "not what it promises"),
]


@pytest.mark.parametrize(("change", "says"), [pytest.param(*each[1:], id=each[0]) for each in DAMAGE])
def test_a_damaged_record_is_named_and_its_item_made_again(context, change, says):
    """S14."""
    for item in ("00001", "00002"):
        commit(context, item)
    path = context.files.local("commits/p/00001.json")
    path.write_text(change(path.read_text()))
    with pytest.raises(StoreError, match=rf"{path} is damaged .*{says}.*remove it and run again"):
        context.commits("p")
    with pytest.warns(StoreWarning, match=rf"{path} is passed over .*{says}"):
        context.log.check("p")
    assert list(context.commits("p")) == ["00002"] and not context.committed("p", "00001")


@pytest.mark.parametrize("damage", ["gone", "short"])
def test_an_item_whose_file_is_not_there_in_full_is_made_again(context, damage):
    for item in ("00001", "00002"):
        commit(context, item)
    context.log.summarize("p")
    path = context.file("file-00002", "p", "00002")
    path.unlink() if damage == "gone" else path.write_bytes(b"0")
    with pytest.warns(StoreWarning, match=rf"00002.json is passed over \(its file {path.name} is not there in full"):
        context.log.check("p")
    assert list(context.commits("p")) == ["00001"]
    commit(context, "00002")
    context.log.check("p")
    assert list(context.commits("p")) == ["00001", "00002"]


def test_a_committed_file_is_verified_as_it_is_opened(context):
    """S5: a flipped bit between two phases."""
    commit(context, "00001")
    path = context.file("file-00001", "p", "00001")
    path.write_bytes(b"00011")
    with pytest.raises(ShardError, match=rf"{path} does not hold the bytes that item p/00001 committed: remove {path}"):
        context.file("file-00001", "p", "00001")
    with pytest.raises(ShardError, match="run again, which makes item p/00001 again"):
        context.paths("p")


def test_what_a_sealed_stage_keeps_restores_the_items_whose_files_are_there(context):
    for item in ("00001", "00002", "00003"):
        commit(context, item)
    kept = context.commits("p")
    context.log.summarize("p")
    context.files.delete("commits/p")
    context.files.delete(kept["00002"].files["file-00002"].file)
    context.log.restore()
    assert context.commits("p") == {name: kept[name] for name in ("00001", "00003")}
    assert context.files.head("commits/p.jsonl") is None


def test_a_damaged_summary_costs_no_more_than_its_items(context):
    for item in ("00001", "00002"):
        commit(context, item)
    context.log.summarize("p")
    summary = context.files.local("commits/p.jsonl")
    first, second = summary.read_text().splitlines()
    summary.write_text(f"{first}\n{second[:-9]}")
    with pytest.raises(StoreError, match=rf"{summary}, line 2, is damaged"):
        context.commits("p")
    context.files.delete("commits/p")
    with pytest.warns(StoreWarning, match=r"line 2"):
        context.log.restore()
    assert context.log.names("p") == ["00001"]


def test_content_says_nothing_of_who_and_when(context):
    commit(context, "00001")
    record = json.loads(context.files.read("commits/p/00001.json"))
    read = context.commit("p", "00001")
    assert record["content_hash"] == read.content_hash()
    renamed = {name: module.Entry("other", e.rows, e.bytes, e.sha256, "made/by") for name, e in read.files.items()}
    assert Commit(renamed, read.tally, read.figures).content_hash() == read.content_hash()
    assert Commit({}, read.tally, read.figures).content_hash() != read.content_hash()
