"""`siku export`: round trips of documents, verdicts and tokens."""

import dataclasses
import hashlib
import json
import math
import re
from types import SimpleNamespace
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
import pyarrow.parquet as pq
import pytest
import yaml

from corpus.shard import write_shard
from pipelines.engine.store import Artifact
from pipelines.past.export import ExportError, export
from pipelines.past.masked import masked
from pipelines.past.samples import take
from pipelines.past.tables import TooEarlyError, documents, token_shards, tokens, verdicts
from tests.pipelines.fixtures import make_run
from tests.pipelines.pages import STEPS, edits_of, pages


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("store"))


PLAIN = {"string": "string", "large_string": "large_string", "bool": "bool", "int64": "int64", "float64": "double"}


def loaded(folder, form):
    """Rows by split as `datasets.load_dataset(folder)` reads them: files and types are what the card's YAML says.

    Its JSON and Parquet readers are Arrow's, as here, and what a column is has to fit in every file.
    """
    head = yaml.safe_load((folder / "README.md").read_text("utf-8").split("---\n")[1])
    fields = []
    for feature in head["dataset_info"]["features"]:
        kind = pa.list_(pa.type_for_alias(feature["list"])) if "list" in feature else PLAIN[feature["dtype"]]
        fields.append(pa.field(feature["name"], kind if isinstance(kind, pa.DataType) else pa.type_for_alias(kind)))
    schema, (config,) = pa.schema(fields), head["configs"]
    options = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    out, seen = {}, set()
    for split in config["data_files"]:
        files = sorted(folder.glob(split["path"]))
        assert files and re.fullmatch(r"\w+", split["split"]) and not seen & set(files)
        seen |= set(files)
        tables = [pq.read_table(f) if form == "parquet" else pa.json.read_json(f, parse_options=options) for f in files]
        out[split["split"]] = [row for table in tables for row in table.cast(schema).to_pylist()]
    assert {path.name for path in folder.iterdir()} == {"README.md", "export.json", *(path.name for path in seen)}
    return out


def exported(history, what, form, to, **named):
    told = export(history, what, form, to, **named)
    body = json.loads((to / "export.json").read_text())
    assert told == body
    rows = []
    for file in body["files"]:
        path = to / file["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]
        found = pq.read_table(path).to_pylist() if form == "parquet" else list(map(json.loads, path.open()))
        assert len(found) == file["rows"]
        rows += found
    names = {file["file"] for file in body["files"]}
    assert {path.name for path in to.iterdir()} == {"export.json", "README.md", *names}
    card, sides = loaded(to, form), {file["side"] for file in body["files"]}
    assert {side: len(found) for side, found in card.items()} == {
        side: sum(file["rows"] for file in body["files"] if file["side"] == side) for side in sides
    }
    assert all(row.keys() == body["columns"].keys() for found in card.values() for row in found)
    assert body["rows"] == len(rows) and body["run"] == "demo"
    return rows


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_documents(history, form, tmp_path):
    rows = exported(history, "documents", form, tmp_path / "out", side="all")
    kept = [page for fate in ("kept", "held_out") for page in pages() if page.fate == fate]
    assert [row["id"] for row in rows] == [page.id.hex() for page in kept]
    for row, page in zip(rows, kept, strict=True):
        assert row["text"] == edits_of(page.text, STEPS)[0]
        assert row["side"] == ("held_out" if page.fate == "held_out" else "train")
        assert row["language"] == page.language
        assert row["tokens"] == len(row["text"].encode()[::4]) + 1
        assert (row["url"] or f"web:{row['record']}").rsplit("/")[-1] == masked(page.key).rsplit("/")[-1]
        assert row["title"] == masked(f"title of {page.text[:60]}")
        assert row["author"] == "<EMAIL>" and row["published"] == "2026-03-05"


@pytest.mark.parametrize("what", ["documents", "verdicts", "tokens"])
def test_a_side_is_training_unless_asked_otherwise(history, what, tmp_path):
    rows = {side: exported(history, what, "jsonl", tmp_path / side, side=side) for side in ("train", "held_out", "all")}
    assert rows["train"] == exported(history, what, "jsonl", tmp_path / "default")
    assert rows["all"] == [*rows["train"], *rows["held_out"]]
    for side in ("train", "held_out"):
        assert {row["side"] for row in rows[side]} == {side}
        held = {page.id.hex() for page in pages() if page.fate in ("held_out", "unfit")}
        assert {row["id"] in held for row in rows[side]} == {side == "held_out"}


def test_each_document_has_the_licence_of_its_source(history, tmp_path):
    assert {row["licence"] for row in exported(history, "documents", "parquet", tmp_path / "out")} == {"CC-BY-4.0"}
    body = json.loads((tmp_path / "out" / "export.json").read_text())
    assert body["sources"] == {"web": "CC-BY-4.0"}
    assert "source `web`: licence CC-BY-4.0" in (tmp_path / "out" / "README.md").read_text()


def test_urls_and_records_are_masked_unless_raw(history, tmp_path):
    """S15."""
    hidden = {page.key for page in pages() if page.fate == "kept" and masked(page.key) != page.key}
    assert len(hidden) == 2
    shown = exported(history, "documents", "jsonl", tmp_path / "masked", side="all")
    names = {row["url"] or f"web:{row['record']}" for row in shown}
    assert {masked(key) for key in hidden} <= names and not hidden & names
    raw = exported(history, "documents", "jsonl", tmp_path / "raw", side="all", raw=True)
    assert hidden <= {row["url"] or f"web:{row['record']}" for row in raw}
    titles = {f"title of {page.text[:60]}" for page in pages()}
    assert {row["title"] for row in raw} <= titles and not {row["title"] for row in shown} <= titles
    assert {row["author"] for row in raw} == {"ada@example.org"}


def test_rows_are_streamed_and_read_again(history):
    found = documents(history, "all")
    assert found.table().num_rows == len(list(pages())) - sum(page.fate not in ("kept", "held_out") for page in pages())
    assert found.reader().read_all() == found.table() and all(batch.num_rows for batch in found)
    assert verdicts(history, "all").table().num_rows == 21
    shards = token_shards(history)
    table = tokens(history).table()
    for component, mapped in shards.items():
        mine = table.filter(pc.equal(table["component"], component))
        assert mine["tokens"].to_pylist() == mapped["tokens"].to_pylist()
        assert [each.hex() for each in mapped["id"].to_pylist()] == mine["id"].to_pylist()
    values = shards["zh"]["tokens"].chunk(0).values.to_numpy(zero_copy_only=True)
    assert values.dtype == np.uint16 and not values.flags.owndata


def test_a_run_that_stopped_too_early_says_so(history):
    names = list(history.stages)

    def stopped(last):
        record = {**history.record, "stages": history.record["stages"][: names.index(last) + 1]}
        return dataclasses.replace(history, record=record, _loaded={})

    for read, last in ((documents, "source"), (verdicts, "measure.length"), (tokens, "decontaminate")):
        with pytest.raises(TooEarlyError, match=r"run demo stopped before .*: run it further"):
            read(stopped(last))
    assert documents(stopped("clean")).table()["tokens"].null_count == len(pages())


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
    rows = exported(history, "verdicts", form, tmp_path / "out", side="all")
    wanted = []
    for stage in history.of_kind("filter", "dedupe", "decontaminate") + history.of_kind("split"):
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
    rows = exported(history, "tokens", form, tmp_path / "out", side="all")
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
        export(history, "tokens", "jsonl", to)
    assert [path.name for path in to.iterdir()] == ["mine.txt"] and list(tmp_path.iterdir()) == [to]
    with pytest.raises(ExportError):
        export(history, "tokens", "jsonl", to / "mine.txt")
    (to / "mine.txt").unlink()
    assert exported(history, "tokens", "jsonl", to)


def test_a_failed_export_leaves_nothing(history, tmp_path, monkeypatch):
    def full(self, *arguments, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_batch", full)
    with pytest.raises(RuntimeError, match="no space left to write"):
        export(history, "documents", "parquet", tmp_path / "out")
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
