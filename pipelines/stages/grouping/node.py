"""Documents as nodes of a graph: 25 bytes that say which, where it lies, and who comes first.

    rank (1)   0 for a document of a run that this one is deduped against, 1 for one of its own
    id (16)
    home (4)   number of its home shard, big endian: own shards first, then those of earlier runs
    row (4)

So the smallest node of a group is the document that stays: one that an earlier run kept, or else the smallest id.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.buffers import fixed_width

EARLIER, OWN = 0, 1
WIDTH = 25
NODE = pa.binary(WIDTH)
Raw = npt.NDArray[np.bytes_]  # S25: ordered as bytes are


def nodes(rank: int, ids: pa.Array, home: int, rows: npt.NDArray[np.integer]) -> pa.Array:
    """Nodes of documents of one home shard."""
    out = np.empty((len(ids), WIDTH), np.uint8)
    out[:, 0] = rank
    out[:, 1:17] = fixed_width(ids)
    out[:, 17:21] = np.frombuffer(home.to_bytes(4, "big"), np.uint8)
    out[:, 21:] = rows.astype(">u4").view(np.uint8).reshape(-1, 4)
    return column(out.view(f"S{WIDTH}").ravel())


def column(nodes: Raw) -> pa.Array:
    """S25 as nodes."""
    data = np.ascontiguousarray(nodes)
    return pa.Array.from_buffers(NODE, len(data), [None, pa.py_buffer(data)])


def raw(nodes: pa.Array | pa.ChunkedArray) -> Raw:
    """Nodes as S25, to be compared and sorted."""
    return np.ascontiguousarray(fixed_width(nodes)).view(f"S{WIDTH}").ravel()


def ids(nodes: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Ids of nodes."""
    data = np.ascontiguousarray(fixed_width(nodes)[:, 1:17])
    return pa.Array.from_buffers(pa.binary(16), len(data), [None, pa.py_buffer(data)])


def ranks(nodes: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    """Ranks of nodes."""
    found: npt.NDArray[np.uint8] = fixed_width(nodes)[:, 0]
    return found


def homes(nodes: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Home shards of nodes."""
    return _number(nodes, 17)


def rows(nodes: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Rows of nodes in their home shards."""
    return _number(nodes, 21)


def heads(nodes: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """The first 32 bits of each node's id."""
    return _number(nodes, 1)


def _number(nodes: pa.Array | pa.ChunkedArray, at: int) -> npt.NDArray[np.int64]:
    octets = np.ascontiguousarray(fixed_width(nodes)[:, at : at + 4])
    return octets.view(">u4").ravel().astype(np.int64)
