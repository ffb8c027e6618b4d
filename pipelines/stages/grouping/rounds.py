"""Components of any number of edges: large-star and small-star rounds (Kiveris et al., SoCC 2014).

Every edge goes to both its ends. Large-star: a node moves each larger neighbour to the smallest of its neighbours and
itself. Small-star: a node moves itself and each smaller neighbour to the smallest of them. Both keep what is connected
connected; when neither changes anything, every node has one edge, to the smallest of its component. A node's edges
stream by in order, the smallest first, so that no item holds more than a batch, however large the component.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.engine.shuffle import Rows, Shuffle
from pipelines.engine.stage import Item, Job, Phase, Work
from pipelines.engine.store import Attempt
from pipelines.stages.grouping.components import edge_files, edges_in, label_rows, label_shuffle
from pipelines.stages.grouping.homes import home_buckets
from pipelines.stages.grouping.node import NODE, Raw, column, heads, raw

STAR = pa.schema(
    [
        pa.field("part", pa.uint32(), nullable=False),  # the first 32 bits of u's id
        pa.field("u", NODE, nullable=False),
        pa.field("v", NODE, nullable=False),
    ]
)


def _by_part(batch: pa.RecordBatch, buckets: int) -> npt.NDArray[np.int64]:
    part: npt.NDArray[np.int64] = batch["part"].to_numpy().astype(np.int64)
    return part * buckets >> 32


def star_shuffle(phase: str) -> Shuffle:
    """Edges that a phase wrote, to the bucket of their u, each node's smallest neighbour first."""
    return Shuffle(phase, {"edges": Rows(STAR, ("part", "u", "v"), _by_part)})


def phases(job: Job, to: str) -> Iterator[Phase]:
    """Rounds until nothing changes, and then the labels."""
    (context,) = job
    buckets = home_buckets(context)
    files = [Item(f"{n:05d}", path.stat().st_size, {"file": n}) for n, path in enumerate(edge_files(context))]
    size = sum(item.bytes for item in files) // buckets
    items = [Item(f"{bucket:05d}", size) for bucket in range(buckets)]
    yield Phase("spread", files, spread, scratch=True)
    before, changes, number = "spread", 1, 0
    while changes:
        changes = 0
        for step, function in (("large", large_star), ("small", small_star)):
            yield star_shuffle(before).regroup(job, buckets)
            phase = f"{step}-{number:03d}"
            yield Phase(phase, items, partial(function, before=before, phase=phase), scratch=True)
            changes += sum(commit.figures["changes"] for commit in context.commits(phase).values())
            before = phase
        number += 1
    yield star_shuffle(before).regroup(job, buckets)
    yield Phase("components", items, partial(tell, before=before, to=to), scratch=True)


def spread(work: Work, attempt: Attempt) -> None:
    """A file of edges, each to both its ends."""
    context = work.context
    table = edges_in(edge_files(context)[work.arguments["file"]])
    with star_shuffle("spread").scatter(work, attempt, home_buckets(context)) as sorters:
        for batch in table.to_batches():
            for u, v in (("a", "b"), ("b", "a")):
                sorters["edges"].add(_rows(raw(batch[u]), raw(batch[v])))


def _rows(u: Raw, v: Raw) -> pa.RecordBatch:
    columns = [column(u), column(v)]
    return pa.record_batch([pa.array(heads(columns[0]), pa.uint32()), *columns], schema=STAR)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Some of the distinct edges u - v, sorted; the smallest v of each u, and whether this is it."""

    u: Raw
    v: Raw
    least: Raw
    first: npt.NDArray[np.bool_]


def neighbours(batches: Iterator[pa.RecordBatch]) -> Iterator[Neighbours]:
    """Edges sorted by u and v, without repeats."""
    last_u, last_v, last_least = b"", b"", b""
    for batch in batches:
        u, v = raw(batch["u"]), raw(batch["v"])
        new = np.append((u[0], v[0]) != (last_u, last_v), (u[1:] != u[:-1]) | (v[1:] != v[:-1]))
        u, v = u[new], v[new]
        if not len(u):
            continue
        first = np.append(u[0] != last_u, u[1:] != u[:-1])
        begins = np.maximum.accumulate(np.where(first, np.arange(len(u)), -1))
        least = np.where(begins >= 0, v[np.maximum(begins, 0)], np.array(last_least, v.dtype))
        last_u, last_v, last_least = u[-1], v[-1], least[-1]
        yield Neighbours(u, v, least, first)


def _gathered(work: Work, before: str) -> Iterator[Neighbours]:
    return neighbours(star_shuffle(before).gather(work, "edges", int(work.name), home_buckets(work.context)))


def large_star(work: Work, attempt: Attempt, before: str, phase: str) -> None:
    """Each larger neighbour goes to the smallest node around, and is told so itself."""
    changes = 0
    with star_shuffle(phase).scatter(work, attempt, home_buckets(work.context)) as sorters:
        for each in _gathered(work, before):
            least = np.where(each.least < each.u, each.least, each.u)
            larger = each.v > each.u
            changes += int((least != each.u)[larger].sum())
            sorters["edges"].add(_rows(each.v[larger], least[larger]))
    attempt.figure("changes", changes)


def small_star(work: Work, attempt: Attempt, before: str, phase: str) -> None:
    """A node and its smaller neighbours, which are all it is given, go to the smallest of them."""
    changes = 0
    with star_shuffle(phase).scatter(work, attempt, home_buckets(work.context)) as sorters:
        for each in _gathered(work, before):
            moved = each.v != each.least
            changes += int(moved.sum())
            one = np.concatenate([each.v[moved], each.u[each.first]])
            other = np.concatenate([each.least[moved], each.least[each.first]])
            sorters["edges"].add(_rows(one, other))
            sorters["edges"].add(_rows(other, one))
    attempt.figure("changes", changes)


def tell(work: Work, attempt: Attempt, before: str, to: str) -> None:
    """LABEL of the nodes whose component's smallest is of this bucket: they are counted, and then told."""
    sizes, buckets = _sizes(_gathered(work, before)), home_buckets(work.context)
    seen = -1
    with label_shuffle(work.context).scatter(work, attempt, buckets) as sorters:
        for each in _centres(_gathered(work, before)):
            number = seen + np.cumsum(each.first)
            seen = int(number[-1])
            heads_of = each.u[each.first]
            node, label = np.concatenate([heads_of, each.v]), np.concatenate([heads_of, each.u])
            size = sizes[np.concatenate([number[each.first], number])]
            for batch in label_rows(node, label, size, to):
                sorters["labels"].add(batch)


def _centres(parts: Iterator[Neighbours]) -> Iterator[Neighbours]:
    """Edges of smallest nodes alone: all of theirs lead to larger ones."""
    for each in parts:
        of = each.u < each.v
        if of.any():
            yield Neighbours(each.u[of], each.v[of], each.least[of], each.first[of])


def _sizes(parts: Iterator[Neighbours]) -> npt.NDArray[np.int64]:
    """Nodes of each component of a bucket, in order."""
    sizes = np.empty(0, np.int64)
    for each in _centres(parts):
        number = len(sizes) - 1 + np.cumsum(each.first)
        sizes = np.concatenate([sizes, np.ones(int(each.first.sum()), np.int64)])
        sizes += np.bincount(number, minlength=len(sizes))
    return sizes
