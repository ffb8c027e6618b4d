"""Near-duplicates from MinHash signatures: LSH bands (Leskovec, Rajaraman, Ullman, MMDS ch. 3) and components."""

import numpy as np
import numpy.typing as npt

from kernels import dispatch
from kernels.splitmix import GOLDEN, mix64

Signatures = npt.NDArray[np.uint32]


def bands(signatures: Signatures, bands: int, rows: int) -> npt.NDArray[np.uint64]:
    """Keys [n, bands]: documents that share one agree in `rows` values in a row. The band's number is mixed in.

    A pair of Jaccard similarity J shares one with probability 1 - (1 - J^rows)^bands.
    Raises ValueError when the signatures [n, K] have fewer than bands x rows values.
    """
    if bands < 1 or rows < 1 or bands * rows > signatures.shape[1]:
        raise ValueError(
            f"{bands} bands of {rows} rows need {bands * rows} values, and signatures have {signatures.shape[1]}: "
            "give fewer bands or rows, or measure more permutations"
        )
    values = signatures[:, : bands * rows].reshape(len(signatures), bands, rows).astype(np.uint64)
    start = np.arange(1, bands + 1, dtype=np.uint64) * GOLDEN
    keys = np.broadcast_to(mix64(start), (len(signatures), bands))
    for row in range(rows):
        keys = mix64((keys ^ values[:, :, row]) + GOLDEN)
    return keys


def jaccard(a: Signatures, b: Signatures) -> npt.NDArray[np.float64]:
    """Estimated Jaccard similarity of each pair of rows of two equally shaped signature arrays."""
    if a.shape != b.shape:
        raise ValueError(f"signatures of shapes {a.shape} and {b.shape} cannot be compared row by row")
    return np.asarray((a == b).mean(axis=1), np.float64)


def has_shingles(signatures: Signatures) -> npt.NDArray[np.bool_]:
    """Rows of documents with at least one shingle; texts without a word all share the signature of nothing."""
    return np.asarray((signatures != np.uint32(0xFFFFFFFF)).any(axis=1), np.bool_)


def components(nodes: int, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For nodes 0..nodes-1 and edges a[i] - b[i]: the smallest node of each one's component.

    Raises ValueError for edges that name a node outside.
    """
    if a.shape != b.shape:
        raise ValueError(f"edges have {a.shape} and {b.shape} ends")
    if len(a) and (min(a.min(), b.min()) < 0 or max(a.max(), b.max()) >= nodes):
        raise ValueError(f"an edge names a node outside 0..{nodes - 1}")
    return dispatch.components(np.asarray(a, np.int64), np.asarray(b, np.int64), nodes)
