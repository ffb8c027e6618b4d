"""Where a document lies: by URL in any spelling, `source:record`, a file's path as typed, hex id or its beginning."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urljoin

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.document import canonical_url, key_prefix, raw_ids
from pipelines.engine import roles
from pipelines.engine.store import Artifact
from pipelines.graph.records import named
from pipelines.past.history import History, Past, open_run
from pipelines.past.masked import masked
from pipelines.past.samples import documents, printable
from pipelines.stages.shard import shard_count_runs, shards_of_ids

_HEX = re.compile(r"[0-9a-fA-F]{6,32}")
_HOST = re.compile(r"[^\s/:]+\.[^\s/:]+(:\d+)?(/.*)?")


@dataclass(frozen=True, slots=True)
class Place:
    """A document's home shard and row."""

    id: bytes
    shard: int
    row: int


def urls(key: str) -> list[str]:
    """Canonical URLs that a user's word may mean; a host without a scheme is tried with both."""
    key = key.strip()
    out: list[str] = []
    for url in (key, f"http://{key}", f"https://{key}") if _HOST.fullmatch(key) else (key,):
        try:
            out.append(canonical_url(url))
        except ValueError:
            continue
    return out


def matches(raw: npt.NDArray[np.void], prefix: bytes, odd: int | None = None) -> npt.NDArray[np.int64]:
    """Rows whose id begins with whole bytes, and then with a half byte if `odd` is given."""
    octets = raw.view(np.uint8).reshape(-1, 16)
    mask = (octets[:, : len(prefix)] == np.frombuffer(prefix, np.uint8)).all(axis=1)
    if odd is not None:
        mask &= octets[:, len(prefix)] >> 4 == odd
    return np.flatnonzero(mask)


def paths(history: History, key: str) -> Iterator[tuple[str, Past, str]]:
    """Files that a word may mean: (name of the source, its stage, path within the source).

    As typed from the working folder, or as it is called within a source.
    """
    for extract in history.of_kind("extract"):
        name, source = extract.what["source"], history.stages[extract.inputs[roles.SOURCE]]
        if source.kind != "files" or not key:
            continue
        given = Path(key).expanduser().absolute()
        if given == source.directory and given.is_file():
            yield name, source, given.name
        elif given.is_relative_to(source.directory) and given != source.directory:
            yield name, source, given.relative_to(source.directory).as_posix()
        elif not Path(key).is_absolute():
            yield name, source, PurePosixPath(key).as_posix()


def wanted(history: History, key: str) -> list[tuple[bytes, int | None]]:
    """(whole bytes, half byte) beginnings that `key` stands for; a hex word is an id, or else a record's key."""
    key = key.strip()
    known = [*urls(key), key] if ":" in key else urls(key)
    for name, source, path in paths(history, key):
        base = source.what.get("base_url")
        known += urls(urljoin(base.rstrip("/") + "/", quote(path))) if base else [f"{name}:{path}"]
    out: list[tuple[bytes, int | None]] = [(key_prefix(name), None) for name in known]
    if _HEX.fullmatch(key):
        whole = len(key) // 2 * 2
        out.append((bytes.fromhex(key[:whole]), int(key[-1], 16) if len(key) % 2 else None))
    return list(dict.fromkeys(out))


def id_shards(history: History) -> tuple[Artifact, str]:
    """The smallest shards that hold every document's id: the split's, or the edition's before there is one."""
    lineage = history.lineage
    if lineage.sides is not None:
        return history.artifact(lineage.sides), "sides"
    return history.artifact(lineage.editions[-1]), "documents"


def find(history: History, key: str) -> list[Place]:
    """Documents of the last edition that a word means, in id order; several for several captures of one URL."""
    out: list[Place] = []
    if not history.lineage.editions:
        return out
    artifact, part = id_shards(history)
    names = artifact.names(part)
    for prefix, odd in wanted(history, key):
        for shard in shards_of_ids(_runs(history), prefix, prefix):
            raw = raw_ids(artifact.table(names[shard], ["id"])["id"])
            out += [Place(raw[row].tobytes(), shard, int(row)) for row in matches(raw, prefix, odd)]
    return sorted(set(out), key=lambda place: (place.id, place.shard, place.row))


def _runs(history: History) -> list[int]:
    return shard_count_runs(history.artifact(history.lineage.editions[-1]))


def places(history: History, ids: Iterable[bytes]) -> dict[bytes, Place]:
    """Where documents with known ids lie; ids that the run does not hold are left out."""
    import pyarrow.compute as pc

    artifact, part = id_shards(history)
    names, runs = artifact.names(part), _runs(history)
    by_shard: dict[int, list[bytes]] = {}
    for identifier in sorted(set(ids)):
        for shard in shards_of_ids(runs, identifier, identifier):
            by_shard.setdefault(shard, []).append(identifier)
    out: dict[bytes, Place] = {}
    for shard, group in by_shard.items():
        column = artifact.table(names[shard], ["id"])["id"]
        rows = pc.index_in(pa.array(group, pa.binary(16)), value_set=column.combine_chunks()).to_pylist()
        # A union's first part to hold a capture is the one that may keep it.
        out = {i: Place(i, shard, row) for i, row in zip(group, rows, strict=True) if row is not None} | out
    return out


def display_names(history: History, ids: Iterable[bytes], *, raw: bool = False) -> dict[bytes, str]:
    """What to call documents with known ids: this run's, and those of finished runs that it read on from."""
    found = places(history, asked := set(ids))
    edition = history.artifact(history.lineage.editions[-1])
    rows = documents(edition, [(p.shard, p.row) for p in found.values()], ["url", "source", "record"])
    out = {identifier: display_name(rows[place.shard, place.row], raw=raw) for identifier, place in found.items()}
    for run in dict.fromkeys(run for run, _ in history.earlier):
        missing = asked - out.keys()
        if missing and run in named(history.root):
            names = display_names(open_run(history.root, run), missing, raw=raw)
            out |= {identifier: f"{name}, of run {run}" for identifier, name in names.items()}
    return out


def display_name(document: Mapping[str, str | None], *, raw: bool = False) -> str:
    """What to call a document: its URL, or `source:record`; printable, and masked unless `raw`."""
    name = document["url"] or f"{document['source']}:{document['record']}"
    return printable(name if raw else masked(name))
