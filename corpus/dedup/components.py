"""Which nodes of a graph are connected."""

import numpy as np
import numpy.typing as npt

from kernels import dispatch


def components(nodes: int, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For nodes 0..nodes-1 and edges a[i] - b[i]: the smallest node of each one's component.

    Raises ValueError for edges that name a node outside.
    """
    if a.shape != b.shape:
        raise ValueError(f"edges have {a.shape} and {b.shape} ends")
    if len(a) and (min(a.min(), b.min()) < 0 or max(a.max(), b.max()) >= nodes):
        raise ValueError(f"an edge names a node outside 0..{nodes - 1}")
    return dispatch.components(np.asarray(a, np.int64), np.asarray(b, np.int64), nodes)
