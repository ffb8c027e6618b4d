"""Connected components by union-find with path halving; the smaller index is the root."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def components(left: np.ndarray, right: np.ndarray, labels: np.ndarray) -> None:
    """Edges left[i] - right[i] over nodes 0..n-1; labels, int64 arange(n), becomes the smallest node of each."""
    for k in range(left.shape[0]):
        x, y = left[k], right[k]
        while labels[x] != x:
            labels[x] = labels[labels[x]]
            x = labels[x]
        while labels[y] != y:
            labels[y] = labels[labels[y]]
            y = labels[y]
        if x < y:
            labels[y] = x
        else:
            labels[x] = y
    for x in range(labels.shape[0]):
        labels[x] = labels[labels[x]]
