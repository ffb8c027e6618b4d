"""Edges make components; each document on an edge is told its component's smallest node, and how many there are.

Within memory by union-find, one item for all edges; beyond it by rounds (pipelines/stages/grouping/rounds.py), with the
same labels.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.dedup import components
from pipelines.engine.shuffle import Rows, Shuffle
from pipelines.engine.stage import Context, Work
from pipelines.engine.store import Attempt
from pipelines.stages.grouping.candidates import COPY
from pipelines.stages.grouping.homes import bucket_of_home, home_buckets
from pipelines.stages.grouping.node import Raw, column, homes, raw

LABEL = COPY.append(pa.field("size", pa.uint32(), nullable=False))  # documents of the component
EDGE_BYTES = 256  # of union-find: both ends twice while they are sorted, and their numbers


def label_shuffle(context: Context) -> Shuffle:
    """Labels on their way to home shards."""
    return Shuffle("components", {"labels": Rows(LABEL, ("home", "node"), bucket_of_home(context))})


def edge_files(context: Context) -> list[Path]:
    """What holds the edges of a grouping."""
    return [*context.paths("edges", "sure"), *context.paths("verified", "kept")]


def edges_in(path: Path) -> pa.Table:
    """The edges of a file, mapped."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def within_memory(context: Context) -> bool:
    """Whether union-find may hold all edges. Work that has begun goes on in its way."""
    if context.committed("components", "all"):
        return True
    if context.commits("spread"):
        return False
    listed = [("edges", "sure"), ("verified", "kept")]
    commits = [(commit, part) for phase, part in listed for commit in context.commits(phase).values()]
    rows = [entry.rows for commit, part in commits for name, entry in commit.files.items() if name.startswith(part)]
    return sum(rows) * EDGE_BYTES <= context.memory


def union_find(work: Work, attempt: Attempt, to: str) -> None:
    """LABEL of every document on an edge, to the home shard of its column `to`."""
    tables = [edges_in(path) for path in edge_files(work.context)]
    a, b = (
        np.concatenate([raw(table[side]) for table in tables] or [raw(COPY.empty_table()["node"])]) for side in "ab"
    )
    node, number = np.unique(np.concatenate([a, b]), return_inverse=True)
    root = components(len(node), number[: len(a)], number[len(a) :])
    size = np.bincount(root, minlength=len(node))[root]
    with label_shuffle(work.context).scatter(work, attempt, home_buckets(work.context)) as sorters:
        for batch in label_rows(node, node[root], size, to):
            sorters["labels"].add(batch)


def label_rows(node: Raw, label: Raw, size: npt.NDArray[np.int64], to: str) -> Iterator[pa.RecordBatch]:
    """LABEL, a batch at a time, with the home shard of the column `to`."""
    for first in range(0, len(node), 1 << 16):
        part = slice(first, first + (1 << 16))
        columns = {"node": column(node[part]), "label": column(label[part])}
        home = pa.array(homes(columns[to]), pa.uint32())
        yield pa.record_batch([home, *columns.values(), pa.array(size[part], pa.uint32())], schema=LABEL)
