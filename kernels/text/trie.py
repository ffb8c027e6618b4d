"""Leftmost-longest matches of a list of entries, with word boundaries where an entry begins or ends in a word."""

import numpy as np
from numba import int64, njit

from kernels.characters import CLASS, EXTEND, SPACE, WORD
from kernels.text.words import decoded

_SPACE = 32


@njit(nogil=True, cache=True)
def _longest(
    data: np.ndarray, at: np.ndarray, entries: np.ndarray, i: int, goto: np.ndarray, entry: np.ndarray
) -> tuple[int, int]:
    """(entry, end) of the longest entry that starts at character i and ends at a boundary; entry 0 for none."""
    node, found, end, last, m = 0, 0, i, 0, entries.shape[0]
    while i < m:
        kind = entries[i] & CLASS
        if entry[node] and not (last == WORD and kind in (WORD, EXTEND)):
            found, end = entry[node], i
        if kind == SPACE:
            node = goto[node, _SPACE]  # no entry begins with one, so a long run is never walked twice
            while node and i + 1 < m and entries[i + 1] & CLASS == SPACE:
                i += 1
        else:
            for k in range(at[i], at[i + 1]):
                byte = data[k]
                node = goto[node, byte + 32 if 65 <= byte <= 90 else byte]
                if node == 0:
                    break
        if node == 0:
            return int64(found), int64(end)
        last = last if kind == EXTEND else kind
        i += 1
    if entry[node]:
        return int64(entry[node]), int64(i)
    return int64(found), int64(end)


@njit(nogil=True, cache=True)
def matches(
    data: np.ndarray,
    offsets: np.ndarray,
    table: np.ndarray,
    goto: np.ndarray,
    entry: np.ndarray,
    listed: int,
    out: np.ndarray,
) -> None:
    """Into out, int64[n, 3] of zeros: hits, different entries hit, characters in hits.

    goto: int32[nodes, 256] over ASCII-lower-cased UTF-8, 0 for none; entry: int32[nodes], an entry's number from 1,
    or -1 for an allowed one, which is stepped over; listed: the highest number.
    """
    seen = np.zeros(listed + 1, np.int64)
    for d in range(offsets.shape[0] - 1):
        _, entries, at = decoded(data, offsets[d], offsets[d + 1], table)
        i, before = 0, 0
        while i < entries.shape[0]:
            kind, found, end = entries[i] & CLASS, 0, i
            byte = data[at[i]]
            root = goto[0, byte + 32 if 65 <= byte <= 90 else byte]
            if root and not (before == WORD and kind in (WORD, EXTEND)):
                found, end = _longest(data, at, entries, i, goto, entry)
            if found > 0:
                out[d, 0] += 1
                out[d, 1] += seen[found] != d + 1
                out[d, 2] += end - i
                seen[found] = d + 1
            end = max(end, i + 1)
            while i < end:
                kind = entries[i] & CLASS
                before = before if kind == EXTEND else kind
                i += 1
