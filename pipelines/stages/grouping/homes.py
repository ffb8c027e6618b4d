"""Home shards of the documents that a grouping compares: the edition's, and then those of finished
runs."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.document import raw_ids
from pipelines.engine import roles
from pipelines.engine.shuffle import power_of_two
from pipelines.engine.stage import Context, Item
from pipelines.engine.store import Artifact
from pipelines.stages.grouping.node import EARLIER, OWN
from pipelines.stages.shard import Mask, Shard, kept_among, narrowed, shard_items

Bucket = Callable[[pa.RecordBatch, int], npt.NDArray[np.int64]]


def finished_runs(context: Context) -> list[Context]:
    """The finished runs that a stage's documents are compared with too, each by its own roles."""
    return [narrowed(context, chain) for chain in roles.runs(context.inputs).values()]


def _places(context: Context) -> list[tuple[int, Context, Item]]:
    """Rank, chain and item of each home shard, own ones first."""
    own = [(OWN, context, item) for item in shard_items(context)]
    return own + [(EARLIER, run, item) for run in finished_runs(context) for item in shard_items(run)]


def home_items(context: Context) -> list[Item]:
    """One item a home shard, numbered through own ones and those of finished runs."""
    return [Item(f"{number:05d}", item.bytes) for number, (_, _, item) in enumerate(_places(context))]


def home(context: Context, number: int) -> tuple[int, Shard]:
    """A home shard by its number among all, and the rank of its documents."""
    rank, chain, item = _places(context)[number]
    return rank, Shard(chain, item)


def captured_before(shard: Shard) -> Mask:
    """Own documents that a finished run kept as the same capture; they are dropped, whatever their keys."""
    raw, again = raw_ids(shard.ids), np.zeros(shard.rows, bool)
    for run in finished_runs(shard.context):
        again |= np.isin(raw, kept_among(run, raw))
    return again


def home_buckets(context: Context) -> int:
    """Buckets of a shuffle to home shards, one each: a power of two."""
    return power_of_two(len(home_items(context)))


def bucket_of_home(context: Context) -> Bucket:
    """Bucket of rows by their column `home`."""
    return partial(_by_home, home_buckets(context))


def _by_home(whole: int, batch: pa.RecordBatch, buckets: int) -> npt.NDArray[np.int64]:
    number: npt.NDArray[np.int64] = batch["home"].to_numpy().astype(np.int64)
    return number * buckets // whole


def keys_of(context: Context) -> Mapping[str, Artifact]:
    """The keys that a stage groups by, by name."""
    return {name: context.inputs[role] for name, role in roles.keys(context.inputs).items()}


def signature_of(context: Context) -> tuple[str, str] | None:
    """Measure and column by which similar documents are compared; None where no key is of such."""
    for artifact in keys_of(context).values():
        if artifact.figures["tie"] == "similar":
            measure, _, column = artifact.figures["reads"][0].partition(".")
            return measure, column
    return None
