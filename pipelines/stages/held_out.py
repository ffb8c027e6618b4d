"""The index of what held-out documents say: hashes in order, memory-mapped, searched by bisection.

It is built once, by an item of its own, whatever the number of shards that ask it. A hash that documents of many groups
share, such as a licence or a menu, is left out: it tells of no one of them.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.segment import shingle_hashes
from kernels.dispatch import simplified
from pipelines.engine import roles
from pipelines.engine.attempt import Attempt
from pipelines.engine.shuffle import Rows, Shuffle, bucket_of_key
from pipelines.engine.stage import Context, Item, Job, Phase, Work
from pipelines.stages.shard import HELD_OUT, Shard, shard_phase

Hashes = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]

HASHES = pa.schema(
    [
        pa.field("hash", pa.uint64(), nullable=False),
        pa.field("shard", pa.uint32(), nullable=False),
        pa.field("document", pa.uint32(), nullable=False),  # among the held-out ones of its shard
    ]
)
DOCUMENTS = pa.schema(
    [pa.field("group", pa.binary(16), nullable=False), pa.field("shingles", pa.uint32(), nullable=False)]
)
INDEX, ITEM = "index", "all"
PARTS = ("shingles", "sentences")
_MEETINGS = 1 << 22  # of hashes with documents, expanded at a time: 100 MB
_SENTENCE = re.compile(r"[^。！？.!?\n]+")


def _by_hash(batch: pa.RecordBatch, buckets: int) -> Ints:
    return bucket_of_key(batch["hash"], buckets)


SHUFFLE = Shuffle("held", {part: Rows(HASHES, ("hash", "shard", "document"), _by_hash) for part in PARTS})


@dataclass(frozen=True, slots=True)
class Pieces:
    """Distinct hashes of texts, in order of hash: the text that each is of, its weight, and what each text weighs."""

    hashes: Hashes
    texts: Ints
    weights: Ints
    total: Ints

    @classmethod
    def of(cls, hashes: Hashes, texts: Ints, weights: Ints, count: int) -> "Pieces":
        """From (hash, text, weight) triples, repeats included, of `count` texts."""
        order = np.lexsort((texts, hashes))
        hashes, texts, weights = hashes[order], texts[order], weights[order]
        first = np.ones(len(hashes), bool)
        first[1:] = (hashes[1:] != hashes[:-1]) | (texts[1:] != texts[:-1])
        hashes, texts, weights = hashes[first], texts[first], weights[first]
        total = np.bincount(texts, weights, minlength=count).astype(np.int64)
        return cls(hashes, texts, weights, total)


def shingles(text: pa.Array, words: int, characters: int) -> Pieces:
    """Shingles of each text, each of weight 1."""
    hashes, offsets = shingle_hashes(text, words, characters)
    owner = np.repeat(np.arange(len(text)), np.diff(offsets))
    return Pieces.of(hashes, owner, np.ones(len(hashes), np.int64), len(text))


def sentences(text: pa.Array, least: int) -> Pieces:
    """Sentences of `least` characters or more of each text, by their UTF-8 bytes."""
    hashes: list[bytes] = []
    owners: list[int] = []
    sizes: list[int] = []
    for row, value in enumerate(text.to_pylist()):
        for found in _SENTENCE.findall(value or ""):
            if len(piece := found.strip()) >= least:
                data = piece.encode("utf-8", "surrogatepass")
                hashes.append(hashlib.blake2b(data, digest_size=8).digest())
                owners.append(row)
                sizes.append(len(data))
    hashed = np.frombuffer(b"".join(hashes), "<u8")
    return Pieces.of(hashed, np.array(owners, np.int64), np.array(sizes, np.int64), len(text))


def pieces(context: Context, text: pa.Array) -> Mapping[str, Pieces]:
    """Texts cut as the stage says, for each part of the index; traditional and simplified Chinese are one."""
    what, text = context.what, simplified(text)
    return {"shingles": shingles(text, what.words, what.characters), "sentences": sentences(text, what.sentence)}


def scatter_held_out(shard: Shard, attempt: Attempt) -> None:
    """Hashes of a home shard's held-out documents, and their groups."""
    held, seen = shard.side() == HELD_OUT, 0
    if not held.any():
        return  # of many shards few have any
    groups = shard.context.inputs[roles.SIDES].table(shard.named("sides"), ["group"])["group"].combine_chunks()
    sizes = [np.empty(0, np.int64)]
    with SHUFFLE.scatter(shard, attempt, 1) as sorters:
        for base, batch in shard.text_batches():
            text = batch["text"].filter(pa.array(held[base : base + batch.num_rows]))
            for part, found in pieces(shard.context, text).items():
                number = pa.array(np.full(len(found.hashes), shard.number), pa.uint32())
                columns = [pa.array(found.hashes), number, pa.array(found.texts + seen, pa.uint32())]
                sorters[part].add(pa.record_batch(columns, schema=HASHES))
                sizes += [found.total] if part == "shingles" else []
            seen += len(text)
    columns = [groups.filter(pa.array(held)), pa.array(np.concatenate(sizes), pa.uint32())]
    attempt.shard(shard.named("documents"), [pa.table(columns, schema=DOCUMENTS)], DOCUMENTS, compressed=False)


@dataclass(frozen=True, slots=True)
class _Numbered:
    """Held-out documents of all shards as one row of numbers: a shard's first, groups (as numbers) and sizes."""

    bases: Ints
    groups: Ints
    sizes: Ints

    @classmethod
    def of(cls, context: Context) -> "_Numbered":
        """From what the shards left."""
        tables = {}
        for item, commit in context.commits(SHUFFLE.phase).items():
            if commit.files:
                path = context.file(f"documents-{item}", SHUFFLE.phase, item)
                tables[int(item)] = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        counts = np.zeros(max(tables, default=0) + 1, np.int64)
        for shard, table in tables.items():
            counts[shard] = table.num_rows
        everything = (
            pa.concat_tables([tables[shard] for shard in sorted(tables)]) if tables else DOCUMENTS.empty_table()
        )
        groups = everything["group"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
        return cls(np.cumsum(counts) - counts, groups, everything["shingles"].to_numpy().astype(np.int64))


def build_index(work: Work, attempt: Attempt) -> None:
    """Merge all shards' hashes, streamed, and write those that few groups share."""
    numbered, most = _Numbered.of(work.context), work.context.what.groups
    for part in PARTS:
        hash_path, document_path = (attempt.path(f"{part}-{column}", ".raw") for column in ("hashes", "documents"))
        of_all = rows = 0
        with hash_path.open("wb") as hash_file, document_path.open("wb") as document_file:
            for hashes, documents in _whole_runs(_gathered(work, part, numbered.bases)):
                few = few_groups(hashes, numbered.groups[documents], most)
                hash_file.write(hashes[few].astype("<u8").tobytes())
                document_file.write(documents[few].astype("<u4").tobytes())
                of_all, rows = of_all + len(hashes), rows + int(few.sum())
        attempt.add(f"{part}-hashes", hash_path, rows)
        attempt.add(f"{part}-documents", document_path, rows)
        attempt.figure(part, {"held_out": of_all, "of_many_groups": of_all - rows})
    path = attempt.path("sizes", ".raw")
    path.write_bytes(numbered.sizes.astype("<u4").tobytes())
    attempt.add("sizes", path, len(numbered.sizes))


def _gathered(work: Work, part: str, bases: Ints) -> Iterator[tuple[Hashes, Ints]]:
    """Hashes in order, and the numbers of their documents among those of all shards."""
    for batch in SHUFFLE.gather(work, part, 0, 1):
        yield batch["hash"].to_numpy(), bases[batch["shard"].to_numpy()] + batch["document"].to_numpy()


def _whole_runs(batches: Iterable[tuple[Hashes, Ints]]) -> Iterator[tuple[Hashes, Ints]]:
    """Sorted rows, cut so that rows of one hash come together."""
    waiting: list[tuple[Hashes, Ints]] = []
    for batch in batches:
        waiting.append(batch)
        if batch[0][-1] != waiting[0][0][0]:
            hashes, documents = _joined(waiting)
            end = int(np.searchsorted(hashes, hashes[-1]))
            yield hashes[:end], documents[:end]
            waiting = [(hashes[end:], documents[end:])]
    if waiting:
        yield _joined(waiting)


def _joined(batches: Iterable[tuple[Hashes, Ints]]) -> tuple[Hashes, Ints]:
    hashes, documents = zip(*batches, strict=True)
    return np.concatenate(hashes), np.concatenate(documents)


def few_groups(hashes: Hashes, groups: Ints, most: int) -> npt.NDArray[np.bool_]:
    """Which rows, in order of hash, have a hash that documents of at most `most` groups share."""
    order = np.lexsort((groups, hashes))
    groups = groups[order]
    new = np.ones(len(hashes), bool)
    new[1:] = hashes[1:] != hashes[:-1]
    run, pair = np.cumsum(new) - 1, new.copy()
    pair[1:] |= groups[1:] != groups[:-1]
    few: npt.NDArray[np.bool_] = np.bincount(run, pair)[run] <= most if len(hashes) else new
    return few


@dataclass(frozen=True, slots=True)
class Index:
    """Hashes in order, and the number of the document that each row is of."""

    hashes: Hashes
    documents: npt.NDArray[np.uint32]

    @classmethod
    def open(cls, context: Context, part: str) -> "Index":
        """What `build_index` wrote, memory-mapped."""
        return cls(_mapped(context, f"{part}-hashes", "<u8"), _mapped(context, f"{part}-documents", "<u4"))

    def meetings(self, mine: Pieces) -> "Meetings":
        """Every two, of the given texts and the held-out documents, that share a hash."""
        left = np.searchsorted(self.hashes, mine.hashes, "left")
        there = np.flatnonzero(left < len(self.hashes))
        hit = there[self.hashes[left[there]] == mine.hashes[there]]
        left, texts, weights = left[hit], mine.texts[hit], mine.weights[hit]
        counts = np.searchsorted(self.hashes, mine.hashes[hit], "right") - left
        parts = [_summed(*(np.empty(0, np.int64),) * 3)]
        for some in _slices(counts, _MEETINGS):
            begin = np.cumsum(counts[some]) - counts[some]
            at = np.arange(counts[some].sum()) + np.repeat(left[some] - begin, counts[some])
            row, weight = (np.repeat(each[some], counts[some]) for each in (texts, weights))
            parts.append(_summed(row, self.documents[at].astype(np.int64), weight))
        columns = (np.concatenate(column) for column in zip(*parts, strict=True))
        here = np.bincount(texts, weights, minlength=len(mine.total)).astype(np.int64)
        return Meetings(*_summed(*columns), here)


@dataclass(frozen=True, slots=True)
class Meetings:
    """Text, held-out document and their common weight, of every two that have one; and how much of each text the
    index has at all."""

    texts: Ints
    documents: Ints
    common: Ints
    held_out: Ints

    def largest(self, share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Each text's largest of a value of its meetings; 0 where it has none."""
        out = np.zeros(len(self.held_out))
        np.maximum.at(out, self.texts, share)
        return out


def _summed(texts: Ints, documents: Ints, weights: Ints) -> tuple[Ints, Ints, Ints]:
    """Distinct (text, document) in order, with the sum of their weights."""
    order = np.lexsort((documents, texts))
    texts, documents, weights = texts[order], documents[order], weights[order]
    first = np.ones(len(texts), bool)
    first[1:] = (texts[1:] != texts[:-1]) | (documents[1:] != documents[:-1])
    starts = np.flatnonzero(first)
    total = np.add.reduceat(weights, starts) if len(starts) else weights
    return texts[starts], documents[starts], total


def _slices(counts: Ints, most: int) -> Iterator[slice]:
    """Cuts a row of counts where their sum passes another `most`."""
    ends = np.cumsum(counts)
    edges = np.unique([0, *np.searchsorted(ends, np.arange(most, counts.sum(), most), "right"), len(counts)])
    return (slice(start, stop) for start, stop in pairwise(edges.tolist()))


def _mapped(context: Context, name: str, kind: str) -> npt.NDArray[Any]:
    path = context.file(name, INDEX, ITEM)
    return np.memmap(path, kind, "r") if path.stat().st_size else np.empty(0, kind)


def document_sizes(context: Context) -> npt.NDArray[np.uint32]:
    """Distinct shingles of each held-out document."""
    return _mapped(context, "sizes", "<u4")


def scatter_phase(job: Job) -> Phase:
    """Hashes of each home shard's held-out documents."""
    return shard_phase(SHUFFLE.phase, job[0], scatter_held_out, scratch=True)


def regroup_phase(job: Job) -> Phase:
    """The level between, where there are many shards."""
    return SHUFFLE.regroup(job, 1)


def index_phase(job: Job) -> Phase:
    """The one item that merges them."""
    commits = job[0].commits(SHUFFLE.phase).values()
    size = sum(entry.bytes for commit in commits for entry in commit.files.values())
    return Phase(INDEX, [Item(ITEM, size)], build_index, scratch=True)
