"""Which of the proposed pairs hold: their signatures come to them, home shard by home shard.

A pair goes to the home of its first document, takes its signature, goes to the home of its second, and is compared
there. No worker reads more signatures than those of its home shard.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.dedup import jaccard
from kernels.buffers import fixed_width
from pipelines.engine.shuffle import Rows, Shuffle
from pipelines.engine.stage import Context, Work
from pipelines.engine.store import Attempt
from pipelines.stages.grouping.candidates import EDGE, PAIR, edge_shuffle
from pipelines.stages.grouping.homes import bucket_of_home, home, home_buckets, signature_of
from pipelines.stages.grouping.node import homes, raw, rows

Octets = npt.NDArray[np.uint8]
AT_ONCE = 1 << 14  # pairs compared at a time: 16 MB at 128 permutations


def signatures(context: Context, number: int) -> Octets:
    """Signatures of a home shard's documents, uint8[rows, 4 x permutations]; mapped where they are one batch."""
    wanted = signature_of(context)
    if wanted is None:
        raise ValueError(f"{context.name}: none of its keys is of similar documents, which alone have signatures")
    measure, column = wanted
    _, shard = home(context, number)
    return fixed_width(shard.measured(measure, [column])[column])


def similarity(one: Octets, other: Octets) -> npt.NDArray[np.float64]:
    """Estimated Jaccard similarity of rows of signatures."""
    parts = [slice(first, first + AT_ONCE) for first in range(0, len(one), AT_ONCE)]
    found = [jaccard(one[part].view("<u4"), other[part].view("<u4")) for part in parts]
    return np.concatenate(found) if found else np.empty(0)


def signed(schema: pa.Schema, context: Context) -> pa.Schema:
    """Rows that carry a signature."""
    width = signatures(context, 0).shape[1]
    return schema.append(pa.field("signature", pa.binary(width), nullable=False))


def column_of(octets: Octets) -> pa.Array:
    """Signatures as a column."""
    data = np.ascontiguousarray(octets)
    return pa.Array.from_buffers(pa.binary(octets.shape[1]), len(data), [None, pa.py_buffer(data)])


def signed_shuffle(context: Context) -> Shuffle:
    """Pairs with the signature of their first, to the home of their second."""
    return Shuffle("signed", {"pairs": Rows(signed(EDGE, context), ("home", "a", "b"), bucket_of_home(context))})


def sign_edges(work: Work, attempt: Attempt) -> None:
    """Give the pairs whose first is of this home shard its signature."""
    context, number = work.context, int(work.name)
    values, count, shuffle = signatures(context, number), 0, signed_shuffle(context)
    gathered = edge_shuffle(context).gather(work, "near", number, home_buckets(context))
    with shuffle.scatter(work, attempt, home_buckets(context)) as sorters:
        for batch in _distinct(gathered):
            columns = [pa.array(homes(batch["b"]), pa.uint32()), batch["a"], batch["b"]]
            columns.append(column_of(values[rows(batch["a"])]))
            sorters["pairs"].add(pa.record_batch(columns, schema=shuffle.parts["pairs"].schema))
            count += batch.num_rows
    attempt.figure("candidates", count)


def _distinct(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Sorted pairs without repeats: two documents may share several keys."""
    last: tuple[object, object] = (None, None)
    for batch in batches:
        a, b = raw(batch["a"]), raw(batch["b"])
        new = np.append((a[0], b[0]) != last, (a[1:] != a[:-1]) | (b[1:] != b[:-1]))
        last = (a[-1], b[-1])
        yield batch.filter(pa.array(new))


def verify_edges(work: Work, attempt: Attempt, least: float) -> None:
    """Keep the pairs whose second is of this home shard where `least` or more of their signatures agrees."""
    context, number = work.context, int(work.name)
    values, kept = signatures(context, number), 0

    def holding() -> Iterator[pa.RecordBatch]:
        nonlocal kept
        for batch in signed_shuffle(context).gather(work, "pairs", number, home_buckets(context)):
            alike = similarity(fixed_width(batch["signature"]), values[rows(batch["b"])])
            pairs = batch.select(PAIR.names).filter(pa.array(alike >= least))
            kept += pairs.num_rows
            yield pairs

    attempt.shard(f"kept-{work.name}", holding(), PAIR, compressed=False)
    attempt.figure("kept", kept)
