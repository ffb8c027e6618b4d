"""`siku export`: documents, verdicts or tokens of a finished run in another format, streamed shard by shard."""

import json
import math
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.shard import sha256_file
from pipelines.engine.store import full_disk_explained, shard_name
from pipelines.past.history import History, Past
from pipelines.past.samples import languages
from pipelines.stages.shard import HELD_OUT, TRAIN, Shard

What = Literal["documents", "verdicts", "tokens"]
Format = Literal["parquet", "jsonl"]

DOCUMENTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # hex
        pa.field("url", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("record", pa.string()),
        pa.field("language", pa.string()),  # identified, not declared
        pa.field("side", pa.string(), nullable=False),  # train or held_out
        pa.field("tokens", pa.int64()),  # end-of-document included; null where the run made no tokens
        pa.field("text", pa.large_string(), nullable=False),
    ]
)
VERDICTS = pa.schema(
    [
        pa.field("stage", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("first", pa.bool_(), nullable=False),  # the reason counted in the funnel
        pa.field("value", pa.float64(), nullable=False),
        pa.field("threshold", pa.float64(), nullable=False),
        pa.field("keeper", pa.string()),
    ]
)


class ExportError(ValueError):
    """An export that cannot be made: names the run or folder and the way out."""


def _hex(ids: pa.Array) -> pa.Array:
    return pa.array([None if value is None else value.hex() for value in ids.to_pylist()], pa.string())


Part = tuple[str, Iterator[pa.RecordBatch]]  # a file's stem and its batches


def _documents(history: History, raw: bool) -> tuple[pa.Schema, Iterator[Part]]:
    trunk = history.trunk
    if not trunk.editions:
        raise ExportError(f"run {history.name} stopped before its documents: run it further, then export them")
    edition = history.artifact(trunk.editions[-1])

    def parts() -> Iterator[Part]:
        for name in edition.names("documents"):
            shard = int(name.rpartition("-")[2])
            batches = edition.batches(name)
            if raw:
                stage, number = history.route(shard).editions[0]
                batches = history.artifact(stage).batches(shard_name("documents", number))
            yield name, _shard_documents(history, batches, shard)

    return DOCUMENTS, parts()


def _shard_documents(history: History, batches: Iterator[pa.RecordBatch], shard: int) -> Iterator[pa.RecordBatch]:
    home = Shard(history.context(history.trunk.roles()), shard)
    train, held = home.came_in(TRAIN), home.came_in(HELD_OUT)
    language, base = languages(history, shard), 0
    counted = [s for s in (history.trunk.tokens, history.trunk.held_out) if s is not None]
    counts = [_counts(history, stage, shard) for stage in counted]
    for batch in batches:
        here = slice(base, base + batch.num_rows)
        base += batch.num_rows
        keep = train[here] | held[here]
        part = batch.filter(pa.array(keep))
        sides = np.where(held[here][keep], "held_out", "train")
        spoken = [None] * len(part) if language is None else language[here][keep].tolist()
        columns = {name: part[name] for name in ("url", "source", "record", "text")}
        columns |= {
            "id": _hex(part["id"]),
            "language": pa.array(spoken, pa.string()),
            "side": pa.array(sides, pa.string()),
            "tokens": _joined(part["id"], counts),
        }
        yield pa.record_batch([columns[name] for name in DOCUMENTS.names], schema=DOCUMENTS)


def _counts(history: History, stage: Past, shard: int) -> tuple[pa.Array, pa.Array]:
    """Ids of a home shard's tokenized documents, and their numbers of tokens."""
    artifact = history.artifact(stage)
    ids, sizes = [pa.array([], pa.binary(16))], [pa.array([], pa.int64())]
    for component in sorted(artifact.figures["components"]):
        name = f"{component}-{shard:05d}"
        if name in artifact.files:
            for batch in artifact.batches(name, ["id", "tokens"]):
                ids.append(batch["id"])
                sizes.append(pc.list_value_length(batch["tokens"]).cast(pa.int64()))
    return pa.concat_arrays(ids), pa.concat_arrays(sizes)


def _joined(ids: pa.Array, counts: list[tuple[pa.Array, pa.Array]]) -> pa.Array:
    found = pa.nulls(len(ids), pa.int64())
    for known, sizes in counts:
        found = pc.coalesce(found, sizes.take(pc.index_in(ids, value_set=known)))
    return found


def _verdicts(history: History, raw: bool) -> tuple[pa.Schema, Iterator[Part]]:
    stages = history.judges
    if not stages:
        raise ExportError(f"run {history.name} stopped before any verdict: run it further, then export")

    def batches(stage: Past, name: str) -> Iterator[pa.RecordBatch]:
        for batch in history.artifact(stage).batches(name):
            rest = [batch[column] for column in VERDICTS.names[2:-1]]
            named = pa.array([stage.name] * batch.num_rows, pa.string())
            yield pa.record_batch([named, _hex(batch["id"]), *rest, _hex(batch["keeper"])], schema=VERDICTS)

    def parts() -> Iterator[Part]:
        for stage in stages:
            for name in history.artifact(stage).names("verdicts"):
                yield f"{stage.name}-{name.rpartition('-')[2]}", batches(stage, name)

    return VERDICTS, parts()


def _tokens(history: History, raw: bool) -> tuple[pa.Schema, Iterator[Part]]:
    stages = [stage for stage in (history.trunk.tokens, history.trunk.held_out) if stage is not None]
    if not stages:
        raise ExportError(f"run {history.name} stopped before it tokenized: run it further, then export its tokens")
    artifacts = [history.artifact(stage) for stage in stages]
    names = sorted(artifacts[0].files)
    item = artifacts[0].table(names[0], ["tokens"]).schema.field("tokens").type if names else pa.list_(pa.uint16())
    schema = pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("component", pa.string(), nullable=False),
            pa.field("side", pa.string(), nullable=False),
            pa.field("tokens", item, nullable=False),
        ]
    )

    def batches(stage: Past, component: str, name: str) -> Iterator[pa.RecordBatch]:
        side = stage.what["side"]
        for batch in history.artifact(stage).batches(name, ["id", "tokens"]):
            told = [pa.array([word] * batch.num_rows, pa.string()) for word in (component, side)]
            yield pa.record_batch([_hex(batch["id"]), *told, batch["tokens"]], schema=schema)

    def parts() -> Iterator[Part]:
        for stage, artifact in zip(stages, artifacts, strict=True):
            for component in sorted(artifact.figures["components"]):
                for name in artifact.names(component):
                    yield f"{stage.name}-{name}", batches(stage, component, name)

    return schema, parts()


def _write_parquet(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    import pyarrow.parquet as pq

    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            if batch.num_rows:
                writer.write_batch(batch)
                rows += batch.num_rows
    return rows


def _write_jsonl(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    rows = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for batch in batches:
            for row in batch.to_pylist():
                file.write(json.dumps({name: _finite(value) for name, value in row.items()}, ensure_ascii=False) + "\n")
            rows += batch.num_rows
    return rows


def _finite(value: object) -> object:
    """JSON has no NaN and no infinity: they become null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


_PARTS: dict[str, Callable[[History, bool], tuple[pa.Schema, Iterator[Part]]]] = {
    "documents": _documents,
    "verdicts": _verdicts,
    "tokens": _tokens,
}
_WRITERS: dict[str, Callable[[Path, pa.Schema, Iterator[pa.RecordBatch]], int]] = {
    "parquet": _write_parquet,
    "jsonl": _write_jsonl,
}


@contextmanager
def _folder(to: Path) -> Iterator[Path]:
    """A temporary folder that becomes `to` when all is written, and is removed when something fails."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise ExportError(f"--to {to} is there already and is not an empty folder: give another, or remove it")
    to.parent.mkdir(parents=True, exist_ok=True)
    temporary = to.with_name(f".{to.name}.{uuid.uuid4().hex[:8]}")
    temporary.mkdir()
    try:
        yield temporary
        temporary.replace(to)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def export(
    history: History, what: What, form: Format, to: Path, out: Callable[[str], None], raw: bool = False
) -> Mapping[str, Any]:
    """Write a folder of one file a shard and `export.json`; returns what that says. Raises ExportError, StoreError.

    Text is that of the last edition, masks applied; `raw` takes the first edition's. In JSON Lines a value that is
    no finite number is null.
    """
    to = to.expanduser().absolute()
    schema, parts = _PARTS[what](history, raw)
    with _folder(to) as folder, full_disk_explained(folder / "export"):
        files = []
        for stem, batches in parts:
            path = folder / f"{stem}.{form}"
            rows = _WRITERS[form](path, schema, batches)
            files.append({"file": path.name, "rows": rows, "bytes": path.stat().st_size, "sha256": sha256_file(path)})
        body = {
            "run": history.name,
            "what": what,
            "format": form,
            "raw": raw,
            "command": history.record["command"],
            "stages": {stage.name: stage.digest for stage in history.stages.values()},
            "columns": {field.name: str(field.type) for field in schema},
            "rows": sum(int(str(file["rows"])) for file in files),
            "files": files,
        }
        (folder / "export.json").write_text(json.dumps(body, indent=1, ensure_ascii=False, sort_keys=True))
    out(f"{body['rows']} {what} in {len(files)} {form} files: {to}")
    return body
