"""Gopher's repetition statistics (Rae et al. 2021, arXiv:2112.11446, table A1) as counts of characters.

Duplicates are told by 64-bit hashes. An n-gram's length is that of its words, plus one for each gap between
words unless both are ideographs.
"""

import numpy as np
from numba import njit, uint64

from kernels.characters import CLASS, IDEOGRAPH
from kernels.text.words import decoded, words

_NEWLINE = 10
_SEED, _PRIME = 1469598103934665603, 0x9E3779B97F4A7C15


@njit(nogil=True, cache=True)
def _slots(items: int) -> int:
    size = 16
    while size < 2 * items:
        size *= 2
    return size


@njit(nogil=True, cache=True)
def _blocks(codes: np.ndarray, gap: int, out: np.ndarray) -> None:
    """Blocks that are set apart by at least `gap` newlines: count, duplicates, characters of duplicates."""
    m, most = codes.shape[0], 1
    for i in range(m):
        most += codes[i] == _NEWLINE
    size = _slots(most)
    keys, counts, mask = np.empty(size, np.uint64), np.zeros(size, np.int32), uint64(size - 1)
    i = 0
    while i < m:
        if codes[i] == _NEWLINE:
            i += 1
            continue
        h, start, end, newlines = uint64(_SEED), i, i, 0
        while i < m:  # up to the next run of at least `gap` newlines; shorter runs are the block's own
            if codes[i] == _NEWLINE:
                newlines += 1
                if newlines == gap:
                    break
            else:
                for _ in range(newlines):
                    h = (h ^ uint64(_NEWLINE)) * uint64(_PRIME)
                h = (h ^ uint64(codes[i])) * uint64(_PRIME)
                h ^= h >> uint64(32)
                newlines, end = 0, i + 1
            i += 1
        slot = h & mask
        while counts[slot] != 0 and keys[slot] != h:
            slot = (slot + uint64(1)) & mask
        keys[slot] = h
        counts[slot] += 1
        out[0] += 1
        if counts[slot] > 1:
            out[1] += 1
            out[2] += end - start


@njit(nogil=True, cache=True)
def _hashed(codes: np.ndarray, entries: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each word: its hash; characters up to and with it, int64[n + 1]; gaps before it since the first."""
    starts, stops, flags = words(entries)
    n = starts.shape[0]
    hashes, ends, gaps = np.empty(n, np.uint64), np.zeros(n + 1, np.int64), np.zeros(n, np.int64)
    for w in range(n):
        h = uint64(_SEED)
        for i in range(starts[w], stops[w]):
            h = (h ^ uint64(codes[i])) * uint64(_PRIME)
            h ^= h >> uint64(32)
        hashes[w] = h
        ends[w + 1] = ends[w] + stops[w] - starts[w]
        if w > 0:
            both = flags[w] & CLASS == IDEOGRAPH and flags[w - 1] & CLASS == IDEOGRAPH
            gaps[w] = gaps[w - 1] + (not both)
    return hashes, ends, gaps


@njit(nogil=True, cache=True)
def _top(hashes: np.ndarray, ends: np.ndarray, gaps: np.ndarray, n: int, size: int) -> int:
    """Characters in occurrences of the most frequent n-gram, the longest of them; 0 when none comes twice."""
    keys, counts, mask = np.empty(size, np.uint64), np.zeros(size, np.int32), uint64(size - 1)
    often, length = 1, 0
    for q in range(hashes.shape[0] - n + 1):
        h = uint64(_SEED)
        for k in range(q, q + n):
            h = (h ^ hashes[k]) * uint64(_PRIME)
            h ^= h >> uint64(29)
        slot = h & mask
        while counts[slot] != 0 and keys[slot] != h:
            slot = (slot + uint64(1)) & mask
        keys[slot] = h
        counts[slot] += 1
        count = counts[slot]
        if count >= max(often, 2):
            own = ends[q + n] - ends[q] + gaps[q + n - 1] - gaps[q]
            length = own if count > often else max(length, own)
            often = count
    return often * length


@njit(nogil=True, cache=True)
def _duplicates(hashes: np.ndarray, ends: np.ndarray, n: int, size: int) -> int:
    """Characters of words in n-grams seen before; a duplicate is stepped over whole, as datatrove does."""
    keys, counts, mask = np.empty(size, np.uint64), np.zeros(size, np.bool_), uint64(size - 1)
    characters, q = 0, 0
    while q < hashes.shape[0] - n + 1:
        h = uint64(_SEED)
        for k in range(q, q + n):
            h = (h ^ hashes[k]) * uint64(_PRIME)
            h ^= h >> uint64(29)
        slot = h & mask
        while counts[slot] and keys[slot] != h:
            slot = (slot + uint64(1)) & mask
        if counts[slot]:
            characters += ends[q + n] - ends[q]
            q += n
        else:
            keys[slot], counts[slot] = h, True
            q += 1
    return characters


@njit(nogil=True, cache=True)
def repetition(data: np.ndarray, offsets: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    """kernels.columns.REPETITION of each document into out, int64[n, 16] of zeros."""
    for d in range(offsets.shape[0] - 1):
        row = out[d]
        codes, entries, _ = decoded(data, offsets[d], offsets[d + 1], table)
        row[0] = codes.shape[0]
        _blocks(codes, 1, row[1:4])
        _blocks(codes, 2, row[4:7])
        hashes, ends, gaps = _hashed(codes, entries)
        size = _slots(hashes.shape[0])
        for n in range(2, 5):
            row[5 + n] = _top(hashes, ends, gaps, n, size)
        for n in range(5, 11):
            row[5 + n] = _duplicates(hashes, ends, n, size)
