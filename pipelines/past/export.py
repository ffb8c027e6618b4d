"""`siku export`: documents, verdicts or tokens of a finished run as a folder of files that other tools open.

The folder is a data set as Hugging Face's `datasets` defines one: `load_dataset(folder)` gives its splits.
"""

import json
import math
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from corpus.shard import sha256_file
from corpus.usage import UsageError
from pipelines.engine.files import explained
from pipelines.past.history import History
from pipelines.past.tables import Rows, Side, documents, tokens, verdicts

What = Literal["documents", "verdicts", "tokens"]
Format = Literal["parquet", "jsonl"]


class ExportError(UsageError):
    """An export that cannot be made: names the run or folder and the way out."""


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


_WRITERS: dict[str, Callable[[Path, pa.Schema, Iterator[pa.RecordBatch]], int]] = {
    "parquet": _write_parquet,
    "jsonl": _write_jsonl,
}


def rows_of(history: History, what: What, side: Side, *, raw: bool) -> Rows:
    """The rows that an export holds."""
    if what == "documents":
        return documents(history, side, raw=raw)
    return verdicts(history, side) if what == "verdicts" else tokens(history, side, raw=raw)


@contextmanager
def new_folder(to: Path) -> Iterator[Path]:
    """A temporary folder that becomes `to` when all is written, and is removed when something fails."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise ExportError(f"--to {to} is there already and is not an empty folder: give another, or remove it")
    temporary = to.with_name(f".{to.name}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise ExportError(f"--to {to} cannot be made ({error.strerror}): give a folder that can be written") from None
    try:
        yield temporary
        temporary.replace(to)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def export(
    history: History,
    what: What,
    form: Format,
    to: Path,
    side: Side = "train",
    *,
    raw: bool = False,
) -> dict[str, Any]:
    """Write a folder of one file a side and shard, `README.md` and `export.json`; returns what the latter says.

    A shard without rows has no file. In JSON Lines a value that is no finite number is null. Raises ExportError,
    TooEarlyError, RestrictedError, StoreError.
    """
    to = to.expanduser().absolute()
    rows = rows_of(history, what, side, raw=raw)
    with new_folder(to) as folder, explained(folder / "export"):
        files: list[dict[str, Any]] = []
        for piece in rows.pieces():
            path = folder / f"{piece.side}-{piece.name}.{form}"
            count = _WRITERS[form](path, rows.schema, piece.batches)
            if not count:
                path.unlink()
                continue
            entry = {"file": path.name, "side": piece.side, "rows": count, "bytes": path.stat().st_size}
            files.append({**entry, "sha256": sha256_file(path)})
        body: dict[str, Any] = {
            "run": history.name,
            "what": what,
            "format": form,
            "side": side,
            "raw": raw,
            "command": history.record["command"],
            "sources": sources(history),
            "stages": {stage.name: stage.digest for stage in history.stages.values()},
            "columns": {field.name: str(field.type) for field in rows.schema},
            "rows": sum(file["rows"] for file in files),
            "files": files,
        }
        (folder / "export.json").write_text(json.dumps(body, indent=1, ensure_ascii=False, sort_keys=True), "utf-8")
        (folder / "README.md").write_text(card(body, rows.schema), "utf-8")
    return body


def sources(history: History) -> dict[str, str]:
    """Licence of each source as the recipe tells it, empty where it does not."""
    return {stage.what["source"]: stage.what["licence"] for stage in history.of_kind("extract")}


def card(body: Mapping[str, Any], schema: pa.Schema) -> str:
    """A data set card: in its YAML the splits, their files and the columns' types; below it what the data is."""
    import yaml

    sides = list(dict.fromkeys(file["side"] for file in body["files"]))
    splits = [{"split": side, "path": f"{side}-*.{body['format']}"} for side in sides]
    head = {
        "configs": [{"config_name": "default", "data_files": splits}],
        "dataset_info": {"features": [_feature(field) for field in schema]},
    }
    masks = "as collected, personal data included" if body["raw"] else "with personal data masked"
    lines = [
        f"{body['rows']:,} rows of {body['what']} of run `{body['run']}`, {masks}. What every stage was is in "
        "`export.json`; the command was",
        f"```\n{body['command']}\n```",
        *(f"- source `{name}`: licence {licence or 'not told'}" for name, licence in sorted(body["sources"].items())),
    ]
    front = yaml.safe_dump(head, allow_unicode=True, sort_keys=False)
    return f"---\n{front}---\n\n# {body['what']} of {body['run']}\n\n" + "\n".join(lines) + "\n"


def _feature(field: pa.Field) -> dict[str, Any]:
    """A column in the words of `datasets`."""
    if pa.types.is_list(field.type):
        return {"name": field.name, "list": str(field.type.value_type)}
    return {"name": field.name, "dtype": _DTYPES.get(str(field.type), str(field.type))}


_DTYPES: Mapping[str, str] = {"double": "float64", "bool": "bool"}
