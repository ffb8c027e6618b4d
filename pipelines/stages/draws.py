"""Which groups are held out: those whose salted draw is below the share and, where they have more documents than are
wanted, the lowest draws of them, as many as fit.

A group's draw is its own: other documents leave it as it is, so that a corpus that grows past the most gives up the
highest draws and takes in no older document. No process holds all draws: home shards send them to buckets in order of
draw, each bucket counts its documents, and one item reads the bucket in which the most is passed.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.document import raw_ids
from pipelines.engine.attempt import Attempt
from pipelines.engine.shuffle import Rows, Shuffle, bucket_of_key
from pipelines.engine.stage import Context, Item, Job, Phase, Work
from pipelines.stages.grouping import labels, node
from pipelines.stages.grouping.homes import home_buckets
from pipelines.stages.shard import Mask, Shard, due, shard_phase

Draw = tuple[int, bytes]  # 64 bits, and the group, by which equal ones are told apart

DRAWS = pa.schema(
    [
        pa.field("draw", pa.uint64(), nullable=False),
        pa.field("group", pa.binary(16), nullable=False),
        pa.field("documents", pa.uint32(), nullable=False),
    ]
)


def _by_draw(batch: pa.RecordBatch, buckets: int) -> npt.NDArray[np.int64]:
    return bucket_of_key(batch["draw"], buckets)


SHUFFLE = Shuffle("draws", {"draws": Rows(DRAWS, ("draw", "group"), _by_draw)})


def draw(group: bytes, salt: str) -> Draw:
    """A group's draw, by its smallest id: the head of SHA-256(salt, id)."""
    return int.from_bytes(hashlib.sha256(salt.encode() + group).digest()[:8], "big"), group


def _share(context: Context) -> Draw:
    return int(context.what.held_out * 2**64), b""


def largest(context: Context) -> int:
    """Documents of the largest group that may be held out."""
    return int(min(context.what.max_group, context.what.max_held_out))


def groups_of(shard: Shard) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Smallest id and number of documents of each document's group."""
    groups, sizes, found = raw_ids(shard.ids).copy(), np.ones(shard.rows, np.int64), labels(shard)
    rows = node.rows(found["node"])
    groups[rows] = raw_ids(node.ids(found["label"]))
    sizes[rows] = found["size"].to_numpy()
    return pa.Array.from_buffers(pa.binary(16), len(groups), [None, pa.py_buffer(groups)]), sizes


def held_out(shard: Shard, groups: pa.Array, sizes: npt.NDArray[np.int64]) -> Mask:
    """Which documents of a home shard are held out, once the phases are done."""
    context = shard.context
    salt, limit = context.what.salt, _share(context)
    if _may_exceed(context) and (found := context.commit("limit", "all").figures["limit"]):
        limit = found[0], bytes.fromhex(found[1])
    low = np.array([draw(group, salt) < limit for group in groups.to_pylist()], bool)
    return low & shard.came_in() & (sizes <= largest(context))


def _may_exceed(context: Context) -> bool:
    """Whether there are more documents than may be held out at all."""
    return due(context).documents > int(context.what.max_held_out)


def phases(job: Job) -> Iterator[Phase]:
    """From groups to the first draw that is not held out; none where all documents together are few enough."""
    (context,) = job
    if not _may_exceed(context):
        return
    buckets = home_buckets(context)
    yield shard_phase("draws", context, scatter_draws, scratch=True)
    yield SHUFFLE.regroup(job, buckets)
    below = (_share(context)[0] * buckets >> 64) + 1  # buckets that a draw below the share may be in
    yield Phase("counts", [Item(f"{bucket:05d}") for bucket in range(below)], count_documents, scratch=True)
    yield Phase("limit", [Item("all")], find_limit, scratch=True)


def scatter_draws(shard: Shard, attempt: Attempt) -> None:
    """The groups whose smallest id is of this home shard, where they may be held out."""
    context = shard.context
    groups, sizes = groups_of(shard)
    head = (raw_ids(groups) == raw_ids(shard.ids)) & shard.came_in() & (sizes <= largest(context))
    draws = [draw(group, context.what.salt) for group in groups.filter(pa.array(head)).to_pylist()]
    low = [(*each, size) for each, size in zip(draws, sizes[head].tolist(), strict=True) if each < _share(context)]
    columns = zip(*low, strict=True) if low else ((), (), ())
    arrays = [pa.array(column, field.type) for column, field in zip(columns, DRAWS, strict=True)]
    with SHUFFLE.scatter(shard, attempt, home_buckets(context)) as sorters:
        sorters["draws"].add(pa.record_batch(arrays, schema=DRAWS))


def _bucket(work: Work, bucket: int) -> Iterator[pa.RecordBatch]:
    return SHUFFLE.gather(work, "draws", bucket, home_buckets(work.context))


def count_documents(work: Work, attempt: Attempt) -> None:
    """Documents of a bucket's groups."""
    parts = _bucket(work, int(work.name))
    attempt.figure("documents", sum(int(batch["documents"].to_numpy().sum()) for batch in parts))


def find_limit(work: Work, attempt: Attempt) -> None:
    """The first draw whose group no longer fits, as its number and its group; null where all do."""
    left, limit = int(work.context.what.max_held_out), None
    for bucket, commit in work.context.commits("counts").items():
        if commit.figures["documents"] > left:
            limit = _beyond(_bucket(work, int(bucket)), left)
            break
        left -= commit.figures["documents"]
    attempt.figure("limit", limit and [limit[0], limit[1].hex()])


def _beyond(batches: Iterator[pa.RecordBatch], left: int) -> Draw | None:
    """The first of some sorted draws at which more than `left` documents are reached."""
    for batch in batches:
        reached = np.cumsum(batch["documents"].to_numpy(), dtype=np.int64)
        at = int(np.searchsorted(reached, left, "right"))
        if at < len(reached):
            return batch["draw"][at].as_py(), batch["group"][at].as_py()
        left -= int(reached[-1]) if len(reached) else 0
    return None
