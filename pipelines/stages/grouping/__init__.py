"""Documents that share a key belong together: keys are shuffled to buckets, buckets propose edges, signatures verify
them, edges make components, and each home shard is told the labels of its documents."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.buffers import fixed_width
from pipelines.engine.shuffle import Rows, Shuffle
from pipelines.engine.stage import Context, Item, Job, Phase, Work
from pipelines.engine.store import Attempt
from pipelines.stages.grouping import rounds
from pipelines.stages.grouping.candidates import KEY_SHUFFLE, edge_shuffle, propose_edges, scatter_keys
from pipelines.stages.grouping.components import LABEL, label_shuffle, union_find, within_memory
from pipelines.stages.grouping.homes import bucket_of_home, home_buckets, home_items, signature_of
from pipelines.stages.grouping.node import OWN, homes, ranks, raw, rows
from pipelines.stages.grouping.verify import (
    column_of,
    sign_edges,
    signatures,
    signed,
    signed_shuffle,
    similarity,
    verify_edges,
)
from pipelines.stages.shard import Shard


@dataclass(frozen=True, slots=True)
class Grouping:
    """How a stage groups documents by the keys it names.

    `least` of its WHAT is the similarity that verifies a pair; importable. With `keepers`, labels come with the
    signature of the document they name (`alike`), otherwise alone (`labels`).
    """

    least: Callable[[Any], float]
    keepers: bool = False

    def phases(self, job: Job) -> Iterator[Phase]:
        """From keys to labels."""
        (context,) = job
        homes, buckets = home_items(context), home_buckets(context)
        sizes = sum(item.bytes for item in homes) // buckets
        everywhere = [Item(f"{bucket:05d}", sizes) for bucket in range(buckets)]
        yield Phase("keys", homes, scatter_keys, scratch=True)
        yield KEY_SHUFFLE.regroup(job, buckets)
        yield Phase("edges", everywhere, propose_edges, scratch=True)
        yield edge_shuffle(context).regroup(job, buckets)
        if signature_of(context) is not None:
            yield Phase("signed", homes, sign_edges, scratch=True)
            yield signed_shuffle(context).regroup(job, buckets)
            verify = partial(verify_edges, least=self.least(context.what))
            yield Phase("verified", homes, verify, scratch=True)
        signs = self.keepers and signature_of(context) is not None
        to = "label" if signs else "node"
        if within_memory(context):
            yield Phase("components", [Item("all")], partial(union_find, to=to), scratch=True)
        else:
            yield from rounds.phases(job, to)
        yield label_shuffle(context).regroup(job, buckets)
        if signs:
            yield Phase("keepers", homes, sign_labels, scratch=True)
            yield keeper_shuffle(context).regroup(job, buckets)


def compared(context: Context) -> int:
    """Pairs that were verified."""
    return sum(commit.figures["candidates"] for commit in context.commits("signed").values())


def labels(shard: Shard) -> pa.Table:
    """LABEL of one home shard's grouped documents, by row; ungrouped documents have none."""
    gathered = label_shuffle(shard.context).gather(shard, "labels", shard.number, home_buckets(shard.context))
    return pa.Table.from_batches(gathered, LABEL).combine_chunks()


def copies(shard: Shard) -> pa.Table:
    """Node of each of one home shard's copies of a text, by row, and as `label` the smallest node that has it."""
    shuffle = edge_shuffle(shard.context)
    gathered = shuffle.gather(shard, "copies", shard.number, home_buckets(shard.context))
    return pa.Table.from_batches(gathered, shuffle.parts["copies"].schema).combine_chunks()


def keeper_shuffle(context: Context) -> Shuffle:
    """Labels with the signature of the document they name, to the home of the one that is labelled."""
    rows = Rows(signed(LABEL, context), ("home", "node"), bucket_of_home(context))
    return Shuffle("keepers", {"labels": rows})


def sign_labels(work: Work, attempt: Attempt) -> None:
    """Give labels that name documents of this home shard their signature; documents that name themselves need none."""
    context, number = work.context, int(work.name)
    values, shuffle = signatures(context, number), keeper_shuffle(context)
    gathered = label_shuffle(context).gather(work, "labels", number, home_buckets(context))
    with shuffle.scatter(work, attempt, home_buckets(context)) as sorters:
        for batch in gathered:
            others = (raw(batch["node"]) != raw(batch["label"])) & (ranks(batch["node"]) == OWN)
            batch = batch.filter(pa.array(others))
            columns = [pa.array(homes(batch["node"]), pa.uint32()), *(batch[n] for n in LABEL.names[1:])]
            columns.append(column_of(values[rows(batch["label"])]))
            sorters["labels"].add(pa.record_batch(columns, schema=shuffle.parts["labels"].schema))


def alike(shard: Shard) -> Iterator[tuple[pa.RecordBatch, npt.NDArray[np.float64]]]:
    """LABEL of one home shard's documents that name another, by row, and each one's similarity to it.

    Where no key is of similar documents they are sure of each other.
    """
    context = shard.context
    if signature_of(context) is None:
        for batch in labels(shard).to_batches():
            others = batch.filter(pa.array(raw(batch["node"]) != raw(batch["label"])))
            yield others, np.ones(others.num_rows)
        return
    values = signatures(context, shard.number)
    for batch in keeper_shuffle(context).gather(shard, "labels", shard.number, home_buckets(context)):
        yield batch.select(LABEL.names), similarity(fixed_width(batch["signature"]), values[rows(batch["node"])])
