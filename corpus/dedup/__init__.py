"""MinHash LSH as pure functions over signature matrices, and the components of what it finds."""

import numpy as np
import numpy.typing as npt

from kernels.dispatch import components

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, splitmix64's increment


def bands(signatures: npt.NDArray[np.uint32], count: int, rows: int) -> npt.NDArray[np.uint64]:
    """Keys [n, count] of signatures [n, permutations]: two documents share key b if they agree in band b.

    Values are folded by splitmix64's finalizer, the band's number first, so that different bands never share a key
    by more than chance (2^-64). Raises ValueError if the signature is too short.
    """
    if count * rows > signatures.shape[1]:
        raise ValueError(
            f"{count} bands of {rows} rows need {count * rows} permutations, but the signature has {signatures.shape[1]}: "
            "raise the measure's permutations, or lower bands or rows"
        )
    keys = np.empty((len(signatures), count), np.uint64)
    for band in range(count):
        key = np.full(len(signatures), np.uint64(band + 1) * _MIX, np.uint64)
        for row in range(rows):
            key = _finalize((key ^ signatures[:, band * rows + row].astype(np.uint64)) + _MIX)
        keys[:, band] = key
    return keys


def _finalize(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def jaccard(left: npt.NDArray[np.uint32], right: npt.NDArray[np.uint32]) -> npt.NDArray[np.float64]:
    """Estimated Jaccard similarity of paired rows of two signature matrices: the share of equal values."""
    return np.asarray((left == right).mean(axis=1), np.float64)


__all__ = ["bands", "components", "jaccard"]
