"""Rows of shards read where they lie, samples of what rules drop, and text that is safe to show."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from corpus.shard import ShardError
from pipelines.engine.store import Artifact, shard_name
from pipelines.past.history import History, Past

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """Text that cannot steer a terminal or a page: controls become their pictures, bidi marks U+FFFD."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if character in _BIDI or unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp"):
        return "\ufffd"
    return character


def excerpt(text: str, length: int = 200) -> str:
    """The first characters of a text on one line."""
    line = " ".join(text[: 4 * length].split())
    return printable(line[:length]) + ("…" if len(line) > length or len(text) > 4 * length else "")


def take(artifact: Artifact, name: str, rows: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Some rows of a shard, in the order asked for; only their batches and columns are decompressed."""
    path = artifact.path(name)
    try:
        return _take(path, rows, columns)
    except (pa.ArrowInvalid, OSError) as error:
        raise ShardError(
            f"shard {path} is not readable ({error}): remove {artifact.directory} and run again"
        ) from error


def _take(path: Path, rows: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
    source = pa.memory_map(str(path))
    schema = pa.ipc.open_file(source).schema
    fields = [schema.get_field_index(column) for column in columns]
    reader = pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(included_fields=fields))
    lengths = pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(included_fields=[0]))  # of the smallest column
    ends = np.cumsum([lengths.get_batch(index).num_rows for index in range(lengths.num_record_batches)])
    held: dict[int, pa.RecordBatch] = {}
    out: dict[int, dict[str, Any]] = {}
    for row in sorted(set(rows)):
        index = int(np.searchsorted(ends, row, "right"))
        inside = row - int(ends[index - 1] if index else 0)
        if index not in held:
            held = {index: reader.get_batch(index)}
        out[row] = {column: held[index].column(column)[inside].as_py() for column in columns}
    return [out[row] for row in rows]


def documents(
    artifact: Artifact, places: Sequence[tuple[int, int]], columns: Sequence[str]
) -> dict[tuple[int, int], dict[str, Any]]:
    """Columns of the documents at some (shard, row) places."""
    out: dict[tuple[int, int], dict[str, Any]] = {}
    for shard in sorted({shard for shard, _ in places}):
        rows = sorted({row for where, row in places if where == shard})
        found = take(artifact, shard_name("documents", shard), rows, columns)
        out |= {(shard, row): document for row, document in zip(rows, found, strict=True)}
    return out


@dataclass(frozen=True, slots=True)
class Drop:
    """One verdict row: a document and the rule it fails."""

    shard: int
    row: int
    id: bytes
    rule: str
    reason: str
    first: bool
    value: float
    threshold: float
    keeper: bytes | None
    language: str

    @property
    def margin(self) -> float:
        """How far the value is from its threshold; infinite for a value that is no number."""
        distance = abs(self.value - self.threshold)
        return distance if np.isfinite(distance) else float("inf")


def unwanted(stage: Past, rule: str, language: str) -> str:
    """What to say instead of a threshold where a rule asks for other languages; empty where it asks for a value."""
    rules: Mapping[str, Any] = stage.what.get("rules", {})
    spec = rules.get(rule.partition("@")[0], {})
    if spec.get("rule") != "language" or language in spec["languages"]:
        return ""
    return f"{language or 'unknown'} is none of the wanted {', '.join(spec['languages'])}"


Near = Literal["id", "margin"]


def dead_letters(history: History, stage: Past, reason: str) -> Iterator[dict[str, Any]]:
    """Captures that gave no document for one reason, in id order."""
    import pyarrow.compute as pc

    artifact = history.artifact(stage)
    for name in artifact.names("dead"):
        table = artifact.table(name)
        yield from table.filter(pc.equal(table["reason"], reason)).to_pylist()


def languages(history: History, shard: int) -> "np.ndarray[Any, np.dtype[Any]] | None":
    """Identified language of each row of a home shard, if the run measured it."""
    stage = history.lineage.measures.get("language")
    if stage is None:
        return None
    column = history.artifact(stage).table(shard_name("columns", shard), ["language"])["language"]
    found: np.ndarray[Any, np.dtype[Any]] = column.to_numpy()
    return found


def choose(
    history: History, stage: Past, count: int, by: Near, only: str | None = None
) -> dict[tuple[str, str], list[Drop]]:
    """Up to `count` verdicts by (rule, language): those with the smallest ids, a random draw, or nearest the threshold.

    `only` is a rule with or without its version, or a reason. Holds one shard of verdicts at a time.
    """
    held: dict[tuple[str, str], list[Drop]] = {}
    artifact = history.artifact(stage)
    for name, shard in history.verdict_shards(stage):
        table = artifact.table(name)
        found = languages(history, shard)
        rows = table["row"].to_numpy()
        language = np.full(len(rows), "", object) if found is None else found[rows]
        rule, reason = (table[c].to_numpy(zero_copy_only=False) for c in ("rule", "reason"))
        for wanted in sorted(set(rule)):
            mask = rule == wanted
            if only is not None and not named(wanted, str(reason[int(mask.argmax())]), only):
                continue
            for each in sorted(set(language[mask])):
                indices = np.flatnonzero(mask & (language == each))
                drops = _nearest(table, indices, shard, str(each), count, by)
                key = (str(wanted), str(each))
                held[key] = _sorted([*held.get(key, []), *drops], by)[:count]
    return held


def named(rule: str, reason: str, wanted: str) -> bool:
    """Whether a user's word means this rule."""
    return wanted in (rule, rule.partition("@")[0], reason)


def _sorted(drops: list[Drop], by: Near) -> list[Drop]:
    return sorted(drops, key=lambda drop: (drop.margin if by == "margin" else 0.0, drop.id))


def _nearest(
    table: pa.Table, indices: "np.ndarray[Any, np.dtype[Any]]", shard: int, language: str, count: int, by: Near
) -> list[Drop]:
    if by == "margin":
        value, threshold = (table[c].to_numpy()[indices] for c in ("value", "threshold"))
        with np.errstate(invalid="ignore"):
            indices = indices[np.argsort(np.nan_to_num(np.abs(value - threshold), nan=np.inf), kind="stable")]
    rows: list[Mapping[str, Any]] = table.take(pa.array(indices[:count])).to_pylist()
    return [Drop(shard=shard, language=language, **row) for row in rows]
