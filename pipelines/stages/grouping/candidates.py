"""From keys to edges: documents that share a key are brought together, and each group proposes a few pairs.

A group of documents sure of each other gives a star: its smallest node with every other. One that is only similar is
proposed more, because signatures will reject some: on a site whose pages share a template the smallest of a group is
seldom the twin of the next. Besides the star, each document is paired with its neighbours in the order of their
sketches and of their turned sketches, so that there are three pairs a document at most, where all would be n^2 / 2.
(Measured on 3,000 planted pages with a background similarity of .6: of the pairs at J = .77 the star proposes .76, this
.81, all pairs .90, at 5,700, 13,000 and 1,400,000 candidates.)
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.dedup import TIES
from pipelines.engine.shuffle import Rows, Shuffle, bucket_of_key
from pipelines.engine.sort import Sorter
from pipelines.engine.stage import Context, Work
from pipelines.engine.store import Attempt
from pipelines.stages.grouping.homes import bucket_of_home, captured_before, home, home_buckets, keys_of
from pipelines.stages.grouping.node import EARLIER, NODE, OWN, homes, nodes, ranks, raw

MOST = 1 << 18  # rows of a key that are compared at a time: some 50 MB

KEY_ROWS = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("node", NODE, nullable=False),
        pa.field("tie", pa.uint8(), nullable=False),  # index in corpus.dedup.TIES
        pa.field("sketch", pa.uint64(), nullable=False),
    ]
)
PAIR = pa.schema([pa.field("a", NODE, nullable=False), pa.field("b", NODE, nullable=False)])  # a < b
EDGE = pa.schema([pa.field("home", pa.uint32(), nullable=False), *PAIR])  # on its way to a home shard
COPY = pa.schema([EDGE.field("home"), pa.field("node", NODE, nullable=False), pa.field("label", NODE, nullable=False)])


def _by_key(batch: pa.RecordBatch, buckets: int) -> npt.NDArray[np.int64]:
    return bucket_of_key(batch["key"], buckets)


KEY_SHUFFLE = Shuffle("keys", {"keys": Rows(KEY_ROWS, ("key", "node"), _by_key)})


def edge_shuffle(context: Context) -> Shuffle:
    """`near`: pairs to verify, to the home of their first. `copies`: each copy of a text, to its own home."""
    bucket = bucket_of_home(context)
    near, copies = Rows(EDGE, ("home", "a", "b"), bucket), Rows(COPY, ("home", "node", "label"), bucket)
    return Shuffle("edges", {"near": near, "copies": copies})


def scatter_keys(work: Work, attempt: Attempt) -> None:
    """The keys of one home shard's documents that came in, by bucket of the key."""
    number = int(work.name)
    rank, shard = home(work.context, number)
    came = shard.came_in()
    if rank == OWN:
        came &= ~captured_before(shard)
    with KEY_SHUFFLE.scatter(work, attempt, home_buckets(work.context)) as sorters:
        for name, artifact in keys_of(work.context).items():
            tie, base = TIES.index(artifact.figures["tie"]), 0
            for batch in shard.keys(name).to_batches():  # mapped: the whole shard's, copied, would be memory of its own
                rows = np.flatnonzero(came[base : base + batch.num_rows])
                chosen = batch.take(pa.array(rows))
                sorters["keys"].add(_key_rows(chosen, nodes(rank, chosen["id"], number, base + rows), tie))
                base += batch.num_rows


def _key_rows(documents: pa.RecordBatch, node: pa.Array, tie: int) -> pa.RecordBatch:
    """KEY_ROWS of documents and their nodes."""
    keys = documents["keys"].flatten()
    owner = pa.array(np.repeat(np.arange(len(node)), documents["keys"].value_lengths().to_numpy()))
    sketch = documents["sketch"] if "sketch" in documents.schema.names else _nothing(len(node))
    columns = [keys, node.take(owner), pa.array(np.full(len(keys), tie), pa.uint8()), sketch.take(owner)]
    return pa.record_batch(columns, schema=KEY_ROWS)


def _nothing(count: int) -> pa.Array:
    return pa.array(np.zeros(count, np.uint64))


def propose_edges(work: Work, attempt: Attempt) -> None:
    """Edges of one bucket of keys: sure ones as they are, near ones to be verified, copies to their home shards."""
    context = work.context
    gathered = KEY_SHUFFLE.gather(work, "keys", int(work.name), home_buckets(context))

    def sure(sorters: Mapping[str, Sorter]) -> Iterator[pa.RecordBatch]:
        for group in whole_groups(gathered):
            tie = group["tie"].to_numpy()
            near, star = proposed(group)
            sorters["near"].add(_edges(group, near))
            yield _pairs(group, star)
            copies = _pairs(group, star[tie[star[:, 1]] == TIES.index("copy")])
            columns = [pa.array(homes(copies["b"]), pa.uint32()), copies["b"], copies["a"]]
            sorters["copies"].add(pa.record_batch(columns, schema=COPY))

    with edge_shuffle(context).scatter(work, attempt, home_buckets(context)) as sorters:
        attempt.shard(f"sure-{work.name}", sure(sorters), PAIR, compressed=False)


def whole_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """KEY_ROWS sorted by key and node, a table at a time, whose keys are whole. A key of more than MOST rows comes in
    several tables, cut at the same rows however the batches are, and its first row begins each."""
    held = KEY_ROWS.empty_table()
    for batch in batches:
        table = pa.concat_tables([held, pa.Table.from_batches([batch])])
        key = table["key"].to_numpy()
        cut = int(np.searchsorted(key, key[-1], "left"))
        if cut:
            yield table.slice(0, cut).combine_chunks()
        held = table.slice(cut).combine_chunks()
        while held.num_rows >= MOST:
            yield held.slice(0, MOST)
            held = pa.concat_tables([held.slice(0, 1), held.slice(MOST)])
    if held.num_rows:
        yield held.combine_chunks()


def proposed(table: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row numbers [n, 2] of near pairs and of sure pairs, each once, smaller node first, of whole groups sorted by key
    and node. No pair is of one document, or of two that earlier runs have."""
    key, node, rank = table["key"].to_numpy(), raw(table["node"]), ranks(table["node"])
    similar, n = table["tie"].to_numpy() == TIES.index("similar"), table.num_rows
    starts = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
    first = np.repeat(starts, np.diff(np.append(starts, n)))
    star = np.stack([first, np.arange(n)], axis=1)
    sketch = table["sketch"].to_numpy()
    pairs = [star[similar]]
    for turned in (sketch, (sketch << np.uint64(32)) | (sketch >> np.uint64(32))):
        order = np.lexsort((turned, key))
        order = order[similar[order]]
        together = key[order[1:]] == key[order[:-1]]
        pairs.append(np.sort(np.stack([order[:-1], order[1:]], axis=1)[together], axis=1))

    def distinct(found: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        a, b = found.T
        wanted: npt.NDArray[np.bool_] = (node[a] != node[b]) & ((rank[a] != EARLIER) | (rank[b] != EARLIER))
        return found[wanted]

    return distinct(np.unique(np.concatenate(pairs), axis=0)), distinct(star[~similar])


def _pairs(table: pa.Table, rows: npt.NDArray[np.int64]) -> pa.RecordBatch:
    node = table["node"].combine_chunks()
    return pa.record_batch([node.take(pa.array(side)) for side in rows.T], schema=PAIR)


def _edges(table: pa.Table, rows: npt.NDArray[np.int64]) -> pa.RecordBatch:
    pairs = _pairs(table, rows)
    return pa.record_batch([pa.array(homes(pairs["a"]), pa.uint32()), *pairs.columns], schema=EDGE)
