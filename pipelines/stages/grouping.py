"""Documents that share a key belong together: keys are shuffled to buckets, buckets emit edges, edges make components.

A bucket's key group emits a star to its smallest id, never all pairs. Components are found by union-find in
memory, so a corpus is bounded by its number of duplicate edges (about 60 bytes each), not of its documents.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.dedup import components, jaccard
from corpus.shard import ROWS_PER_BATCH
from kernels.buffers import fixed_width
from pipelines.engine.shuffle import Rows, Shuffle, bucket_of_key, power_of_two
from pipelines.engine.stage import Context, Item, Job, Phase, PhaseOf, Work
from pipelines.engine.store import Attempt
from pipelines.stages.shard import Shard, shard_items

KEYS = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("why", pa.uint8(), nullable=False),
        pa.field("id", pa.binary(16), nullable=False),
        pa.field("shard", pa.uint32(), nullable=False),
        pa.field("row", pa.uint32(), nullable=False),
    ]
)
NEAR, PATH, EXACT = 0, 1, 2  # why two documents share a key
_NODE = ("id", "shard", "row")
EDGES = pa.schema([KEYS.field("why"), *(KEYS.field(n).with_name(f"{side}_{n}") for side in "ab" for n in _NODE)])
LABELS = pa.schema(
    [
        pa.field("id", pa.binary(16), nullable=False),
        pa.field("shard", pa.uint32(), nullable=False),
        pa.field("row", pa.uint32(), nullable=False),
        pa.field("label", pa.binary(16), nullable=False),  # smallest id of the component, and where that one is
        pa.field("label_shard", pa.uint32(), nullable=False),
        pa.field("label_row", pa.uint32(), nullable=False),
    ]
)


def _by_key(batch: pa.RecordBatch, buckets: int) -> npt.NDArray[np.int64]:
    return bucket_of_key(batch["key"], buckets)


def _by_shard(shards: int, batch: pa.RecordBatch, buckets: int) -> npt.NDArray[np.int64]:
    """Bucket by home shard, of `shards`, where both are powers of two."""
    shard: npt.NDArray[np.int64] = batch["shard"].to_numpy().astype(np.int64)
    return shard * buckets // shards


KEY_SHUFFLE = Shuffle("keys", {"keys": Rows(KEYS, ("key", "id"), _by_key)})


def label_shuffle(shards: int) -> Shuffle:
    """Labels on their way to home shards, of which there are up to `shards`, a power of two."""
    rows = Rows(LABELS, ("shard", "row", "label"), partial(_by_shard, shards))
    return Shuffle("components", {"labels": rows, "copies": rows})


KeyFunction = Callable[[Shard], pa.Table]  # a home shard's keys, as KEYS
Verify = Callable[[Context, pa.Table], npt.NDArray[np.bool_]]  # which EDGES to keep


@dataclass(frozen=True, slots=True)
class Grouping:
    """The two functions by which a stage groups: what the keys are, and whether an edge holds. Both importable."""

    keys: KeyFunction
    verify: Verify

    def scatter_keys(self, shard: Shard, attempt: Attempt) -> None:
        """Write one home shard's keys, by bucket of the key."""
        with KEY_SHUFFLE.scatter(shard, attempt, shard.arguments["buckets"]) as sorters:
            for batch in self.keys(shard).to_batches():
                sorters["keys"].add(batch)

    def gather_edges(self, work: Work, attempt: Attempt) -> None:
        """Edges of one bucket of keys."""
        gathered = KEY_SHUFFLE.gather(work, "keys", int(work.name), work.arguments["buckets"])
        edges = stars(pa.Table.from_batches(gathered, KEYS).combine_chunks())
        kept = edges.filter(pa.array(self.verify(work.context, edges))) if edges.num_rows else edges
        attempt.shard(f"edges-{work.name}", [kept], EDGES)
        attempt.figure("candidates", edges.num_rows)

    def phases(self) -> tuple[PhaseOf, ...]:
        """The phases: keys, edges, components. `labels` then reads what they left."""

        def keys(job: Job) -> Phase:
            items = shard_items(job[0])
            listed = [Item(i.name, i.bytes, {"buckets": _buckets(job[0])}) for i in items]
            return Phase("keys", listed, self.scatter_keys, scratch=True, view=Shard)

        def regroup(job: Job) -> Phase:
            return KEY_SHUFFLE.regroup(job, _buckets(job[0]))

        def edges(job: Job) -> Phase:
            buckets = _buckets(job[0])
            commits = job[0].commits("keys").values()
            size = sum(entry.bytes for commit in commits for entry in commit.files.values()) // buckets
            listed = [Item(f"{bucket:05d}", size, {"buckets": buckets}) for bucket in range(buckets)]
            return Phase("edges", listed, self.gather_edges, scratch=True)

        def component(job: Job) -> Phase:
            return Phase("components", [Item("all", arguments={"shards": _buckets(job[0])})], find_components, True)

        def return_labels(job: Job) -> Phase:
            return label_shuffle(_buckets(job[0])).regroup(job, _buckets(job[0]))

        return keys, regroup, edges, component, return_labels


def _buckets(context: Context) -> int:
    return power_of_two(len(shard_items(context)))


def stars(table: pa.Table) -> pa.Table:
    """From KEYS sorted by key and id: an edge from each group's smallest id to every other member, each once."""
    key, n = table["key"].to_numpy(), table.num_rows
    starts = np.flatnonzero(np.append(True, key[1:] != key[:-1])) if n else np.empty(0, np.int64)
    head = np.repeat(starts, np.diff(np.append(starts, n)))
    other = np.flatnonzero(head != np.arange(n))
    a, b = table.take(pa.array(head[other])), table.take(pa.array(other))
    columns = [a["why"], *(side[name] for side in (a, b) for name in _NODE)]
    edges = pa.table([c.combine_chunks() for c in columns], schema=EDGES)
    # The same capture may meet itself under two keys of one bucket; an edge is one whatever its keys.
    edges = edges.filter(pc.not_equal(edges["a_id"], edges["b_id"]))
    return edges.group_by(EDGES.names, use_threads=False).aggregate([])


def find_components(work: Work, attempt: Attempt) -> None:
    """Union-find over all edges; labels go back to home shards."""
    shards = int(work.arguments["shards"])
    tables = [pa.ipc.open_file(pa.memory_map(str(path))).read_all() for path in work.context.paths("edges")]
    edges = pa.concat_tables(tables) if tables else EDGES.empty_table()
    copies = edges.filter(pc.equal(edges["why"], EXACT))
    copies = copies.select([f"{side}_{name}" for side in "ba" for name in ("id", "shard", "row")])
    copies = copies.rename_columns(LABELS.names).cast(LABELS)
    with label_shuffle(shards).scatter(work, attempt, shards) as sorters:
        for part, table in (("labels", label(edges)), ("copies", copies)):
            for batch in table.to_batches():
                sorters[part].add(batch)


def label(edges: pa.Table) -> pa.Table:
    """LABELS of every document on an edge: its component's smallest id."""
    sides = [
        edges.select([f"{s}_{n}" for n in ("id", "shard", "row")]).rename_columns(["id", "shard", "row"]) for s in "ab"
    ]
    nodes = pa.concat_tables(sides).group_by(["id", "shard", "row"], use_threads=False).aggregate([])
    nodes = nodes.take(pc.sort_indices(nodes, sort_keys=[("id", "ascending")])).combine_chunks()
    if nodes.num_rows == 0:
        return LABELS.empty_table()
    ids = nodes["id"].combine_chunks()
    a = pc.index_in(edges["a_id"].combine_chunks(), value_set=ids).to_numpy()
    b = pc.index_in(edges["b_id"].combine_chunks(), value_set=ids).to_numpy()
    root = components(nodes.num_rows, a.astype(np.int64), b.astype(np.int64))
    columns = [c.combine_chunks() for part in (nodes, nodes.take(pa.array(root))) for c in part.columns]
    return pa.table(columns, schema=LABELS)


def labels(shard: Shard) -> pa.Table:
    """LABELS of one home shard's grouped documents, by row; ungrouped documents have none."""
    return _returned(shard, "labels")


def copies(shard: Shard) -> pa.Table:
    """LABELS of one home shard's exact copies, each with the smallest id that has its text."""
    return _returned(shard, "copies")


def _returned(shard: Shard, part: str) -> pa.Table:
    shards = _buckets(shard.context)
    gathered = label_shuffle(shards).gather(shard, part, shard.number, shards)
    return pa.Table.from_batches(gathered, LABELS).combine_chunks()


def similar(context: Context, edges: pa.Table, measure: str, least: float) -> npt.NDArray[np.bool_]:
    """Which edges hold: those sure by path or text, and near ones whose signatures agree in `least` or more."""
    keep: npt.NDArray[np.bool_] = edges["why"].to_numpy() != NEAR
    near = edges.filter(pa.array(~keep))
    keep[~keep] = agreement(context, near, ("a_shard", "a_row"), ("b_shard", "b_row"), measure) >= least
    return keep


def agreement(
    context: Context, pairs: pa.Table, left: tuple[str, str], right: tuple[str, str], measure: str
) -> npt.NDArray[np.float64]:
    """Estimated Jaccard similarity of pairs of documents, each side given by its columns of shard and row."""
    out = np.empty(pairs.num_rows)
    views: dict[int, list[npt.NDArray[np.uint32]]] = {}
    for first in range(0, pairs.num_rows, 1 << 16):  # 32 MB of signatures a side at 128 permutations
        part = pairs.slice(first, 1 << 16)
        sides = [_signatures(context, part[s].to_numpy(), part[r].to_numpy(), measure, views) for s, r in (left, right)]
        out[first : first + part.num_rows] = jaccard(*sides)
    return out


def _signatures(
    context: Context,
    shard: npt.NDArray[np.uint32],
    row: npt.NDArray[np.uint32],
    measure: str,
    views: dict[int, list[npt.NDArray[np.uint32]]],
) -> npt.NDArray[np.uint32]:
    """Signatures of documents anywhere in the edition; only their rows are copied out of the mapped files."""
    out: npt.NDArray[np.uint32] | None = None
    for index in np.unique(shard).tolist():
        if index not in views:
            views[index] = _signature_batches(Shard(context, index), measure)
        batch = row // ROWS_PER_BATCH
        for number in np.unique(batch[shard == index]).tolist():
            view = views[index][number]
            if out is None:
                out = np.empty((len(shard), view.shape[1]), np.uint32)
            chosen = (shard == index) & (batch == number)
            out[chosen] = view[row[chosen] % ROWS_PER_BATCH]
    return np.empty((0, 1), np.uint32) if out is None else out


def _signature_batches(shard: Shard, measure: str) -> list[npt.NDArray[np.uint32]]:
    """The signature measure of a home shard, batch by batch: rows x permutations, views of the mapped file."""
    return [fixed_width(array).view("<u4") for array in shard.measured(measure, ["signature"])["signature"].chunks]


def signatures(shard: Shard, measure: str) -> npt.NDArray[np.uint32]:
    """The signature measure of a home shard: rows x permutations; a copy where it has several batches."""
    batches = _signature_batches(shard, measure)
    if not batches:
        column = shard.measured(measure, ["signature"])["signature"]
        return np.empty((0, column.type.byte_width // 4), np.uint32)
    return batches[0] if len(batches) == 1 else np.concatenate(batches)
