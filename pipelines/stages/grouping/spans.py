"""Stretches of text that occur again: their keys are shuffled as documents' are, and what is not the first to have one
goes back to its home shard as a span.

The first is the earliest stretch of the smallest node. No item holds more than a batch, however often a text occurs.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.engine.shuffle import Rows, Shuffle, bucket_of_key
from pipelines.engine.stage import Context, Item, Job, Phase, Work
from pipelines.engine.store import Attempt
from pipelines.stages.grouping.homes import bucket_of_home, home, home_buckets, home_items, keys_of
from pipelines.stages.grouping.node import NODE, homes, nodes, rows
from pipelines.stages.shard import Shard

SPAN_ROWS = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("node", NODE, nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("stop", pa.int64(), nullable=False),
    ]
)
REPEATS = pa.schema(
    [
        pa.field("home", pa.uint32(), nullable=False),
        pa.field("row", pa.uint32(), nullable=False),
        *(SPAN_ROWS.field(name) for name in ("start", "stop")),
    ]
)


def _by_key(batch: pa.RecordBatch, buckets: int) -> npt.NDArray[np.int64]:
    return bucket_of_key(batch["key"], buckets)


SPAN_SHUFFLE = Shuffle("keys", {"spans": Rows(SPAN_ROWS, ("key", "node", "start"), _by_key)})


def repeat_shuffle(context: Context) -> Shuffle:
    """Spans on their way to their home shards."""
    return Shuffle("repeats", {"spans": Rows(REPEATS, ("home", "row", "start"), bucket_of_home(context))})


def phases(job: Job) -> Iterator[Phase]:
    """From keys of spans to the spans that repeat another."""
    (context,) = job
    items, buckets = home_items(context), home_buckets(context)
    size = sum(item.bytes for item in items) // buckets
    yield Phase("keys", items, scatter_spans, scratch=True)
    yield SPAN_SHUFFLE.regroup(job, buckets)
    yield Phase("repeats", [Item(f"{bucket:05d}", size) for bucket in range(buckets)], find_repeats, scratch=True)
    yield repeat_shuffle(context).regroup(job, buckets)


def scatter_spans(work: Work, attempt: Attempt) -> None:
    """The spans of one home shard's documents that came in, by bucket of the key."""
    import pyarrow.compute as pc

    number = int(work.name)
    rank, shard = home(work.context, number)
    came = np.flatnonzero(shard.came_in())
    node = nodes(rank, shard.ids.take(pa.array(came)), number, came)
    with SPAN_SHUFFLE.scatter(work, attempt, home_buckets(work.context)) as sorters:
        for name in keys_of(work.context):
            table = shard.keys(name).take(pa.array(came))
            owner = np.repeat(np.arange(len(came)), pc.list_value_length(table["keys"]).to_numpy())
            keys, starts, stops = (pc.list_flatten(table[column]) for column in ("keys", "starts", "stops"))
            for batch in pa.table([keys, node.take(pa.array(owner)), starts, stops], SPAN_ROWS).to_batches(1 << 16):
                sorters["spans"].add(batch)


def find_repeats(work: Work, attempt: Attempt) -> None:
    """Of each key in one bucket every span but the first."""
    context, last = work.context, None
    gathered = SPAN_SHUFFLE.gather(work, "spans", int(work.name), home_buckets(context))
    with repeat_shuffle(context).scatter(work, attempt, home_buckets(context)) as sorters:
        for batch in gathered:
            key = batch["key"].to_numpy()
            again = batch.filter(pa.array(np.append(key[0] == last, key[1:] == key[:-1])))
            last = key[-1]
            home, row = (pa.array(of(again["node"]), pa.uint32()) for of in (homes, rows))
            sorters["spans"].add(pa.record_batch([home, row, again["start"], again["stop"]], schema=REPEATS))


def repeats(shard: Shard) -> pa.Table:
    """REPEATS of one home shard, by row and start."""
    gathered = repeat_shuffle(shard.context).gather(shard, "spans", shard.number, home_buckets(shard.context))
    return pa.Table.from_batches(gathered, REPEATS).combine_chunks()
