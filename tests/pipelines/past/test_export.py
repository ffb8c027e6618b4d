"""`siku export`: round trips of documents, verdicts and tokens."""

import hashlib
import json
import math
from types import SimpleNamespace
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.shard import write_shard
from pipelines.engine.store import Artifact
from pipelines.past.export import ExportError, export
from pipelines.past.samples import take
from tests.pipelines.fixtures import STEPS, edits_of, make_run, pages


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("store"))


def exported(history, what, form, to, **named):
    said = []
    export(history, what, form, to, said.append, **named)
    body = json.loads((to / "export.json").read_text())
    rows = []
    for file in body["files"]:
        path = to / file["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]
        found = pq.read_table(path).to_pylist() if form == "parquet" else list(map(json.loads, path.open()))
        assert len(found) == file["rows"]
        rows += found
    assert {path.name for path in to.iterdir()} == {"export.json", *(file["file"] for file in body["files"])}
    assert body["rows"] == len(rows) and body["run"] == "demo" and said[0].startswith(f"{len(rows)} {what}")
    return rows


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_documents(history, form, tmp_path):
    rows = exported(history, "documents", form, tmp_path / "out")
    kept = [page for page in pages() if page.fate in ("kept", "held_out")]
    assert [row["id"] for row in rows] == [page.id.hex() for page in kept]
    for row, page in zip(rows, kept, strict=True):
        assert row["text"] == edits_of(page.text, STEPS)[0]
        assert row["side"] == ("held_out" if page.fate == "held_out" else "train")
        assert row["language"] == page.language
        assert row["tokens"] == len(row["text"].encode()[::4]) + 1
        assert (row["url"] or f"web:{row['record']}").rsplit("/")[-1] == page.key.rsplit("/")[-1]
    assert "title" not in rows[0]  # edits mask text only


def test_text_is_masked_unless_raw(history, tmp_path):
    masked = exported(history, "documents", "jsonl", tmp_path / "masked")
    assert not any("@" in row["text"] for row in masked)
    raw = exported(history, "documents", "jsonl", tmp_path / "raw", raw=True)
    texts = {page.id.hex(): page.text for page in pages()}
    assert all(row["text"] == texts[row["id"]] for row in raw) and any(
        "zhang@example.com" in row["text"] for row in raw
    )


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_verdicts(history, form, tmp_path):
    rows = exported(history, "verdicts", form, tmp_path / "out")
    wanted = []
    for stage in history.of_kind("split", "filter", "dedupe", "decontaminate"):
        artifact = history.artifact(stage)
        for name in artifact.names("verdicts"):
            for row in artifact.table(name).to_pylist():
                wanted.append((stage.name, row["id"].hex(), row["rule"], row["reason"], row["first"], row["threshold"]))
    columns = ("stage", "id", "rule", "reason", "first", "threshold")
    assert [tuple(row[c] for c in columns) for row in rows] == wanted and len(rows) == 21
    (toxic,) = [row for row in rows if row["rule"] == "toxic@1"]
    assert toxic["value"] is None if form == "jsonl" else math.isnan(toxic["value"])
    (copy,) = [row for row in rows if row["reason"] == "near_duplicate"]
    assert copy["keeper"] == next(page.id.hex() for page in pages() if page.key.endswith("zh-CN/3.html"))


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_tokens(history, form, tmp_path):
    rows = exported(history, "tokens", form, tmp_path / "out")
    texts = {page.id.hex(): edits_of(page.text, STEPS)[0] for page in pages()}
    assert len(rows) == sum(page.fate in ("kept", "held_out") for page in pages())
    for row in rows:
        assert row["tokens"] == [1 + byte for byte in texts[row["id"]].encode()[::4]] + [0]
    assert {(row["component"], row["side"]) for row in rows} == {
        (c, s) for c in ("en", "zh") for s in ("train", "held_out")
    }


def test_an_existing_folder_is_refused_and_left_alone(history, tmp_path):
    to = tmp_path / "out"
    to.mkdir()
    (to / "mine.txt").write_text("mine")
    with pytest.raises(ExportError, match=f"--to {to} is there already"):
        export(history, "tokens", "jsonl", to, print)
    assert [path.name for path in to.iterdir()] == ["mine.txt"] and list(tmp_path.iterdir()) == [to]
    with pytest.raises(ExportError):
        export(history, "tokens", "jsonl", to / "mine.txt", print)
    (to / "mine.txt").unlink()
    assert exported(history, "tokens", "jsonl", to)


def test_a_failed_export_leaves_nothing(history, tmp_path, monkeypatch):
    def full(self, *arguments, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_batch", full)
    with pytest.raises(RuntimeError, match="no space left to write"):
        export(history, "documents", "parquet", tmp_path / "out", print)
    assert list(tmp_path.iterdir()) == []


def test_take_reads_only_what_it_is_asked_for(history):
    artifact = history.artifact(history.stages["clean"])
    whole = artifact.table("documents-00000").to_pylist()
    rows = [len(whole) - 1, 0, 3, 0]
    assert take(artifact, "documents-00000", rows, ["text", "id"]) == [
        {"text": whole[row]["text"], "id": whole[row]["id"]} for row in rows
    ]


def test_take_finds_rows_behind_batches_that_end_early(tmp_path, monkeypatch):
    """Long texts end a batch before its 4,096 rows."""
    monkeypatch.setattr("corpus.shard.BYTES_PER_BATCH", 10_000)
    texts = ["书" * 4000, "短", "b" * 20_000, "尾", "end"]
    schema = pa.schema([pa.field("id", pa.int64()), pa.field("text", pa.large_string())])
    path = tmp_path / "long.arrow"
    write_shard(path, [pa.table([pa.array(range(5)), pa.array(texts, pa.large_string())], schema=schema)], schema)
    artifact = cast(Artifact, SimpleNamespace(path=lambda name: path, directory=tmp_path))
    rows = [4, 1, 2, 0, 3]
    assert [row["text"] for row in take(artifact, "long", rows, ["text"])] == [texts[row] for row in rows]
