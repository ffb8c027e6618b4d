# mypy: disable-error-code="no-any-return"
"""Leftmost-longest matches of a list of entries, at the boundaries of words.

Text is folded as it is read (kernels/fold.py). A letter of a spaced script that stands three times or more in a row
counts once where no entry wants it again. Boundaries: an entry that begins or ends in a letter of a spaced script
matches whole words; one of ideographs where the characters around it are spelled no better by words that cross its
ends than by words that do not.
"""

import numpy as np
from numba import int64, njit, uint64

from kernels.characters import CLASS, EXTEND, HAN, SPACE, WORD
from kernels.lexicon import PRIME, SEED
from kernels.splitmix import GOLDEN
from kernels.text.words import decoded

_SPACE = 32
_AROUND = 12  # ideographs on either side of an entry that are spelled with it
_EDGE_BITS = 21
_ROUNDING = 1e-9  # sums of the same terms in another order


@njit(nogil=True, cache=True)
def _slot(table: np.ndarray, key: int, shift: int) -> int:
    """The slot that holds the key, -1 where none does."""
    at = int64(uint64(key * GOLDEN) >> uint64(shift))
    while table[at] != key:
        if table[at] == 0:
            return -1
        at += 1
        if at == table.shape[0]:
            at = 0
    return at


@njit(nogil=True, cache=True)
def _shift(table: np.ndarray) -> int:
    shift, size = 64, table.shape[0]
    while size > 1:
        size >>= 1
        shift -= 1
    return shift


@njit(nogil=True, cache=True)
def _spelled(
    codes: np.ndarray, lo: int, hi: int, keys: np.ndarray, logs: np.ndarray, unknown: float, best: np.ndarray
) -> float:
    """Log-probability of codes[lo:hi] cut into words in the most probable way; best is float64[hi - lo + 1] scratch."""
    shift = _shift(keys)
    best[hi - lo] = 0.0
    for k in range(hi - 1, lo - 1, -1):
        key, value, n = uint64(SEED), -np.inf, k
        while n < hi:
            key = (key ^ uint64(codes[n])) * uint64(PRIME)
            key ^= key >> uint64(32)
            at = _slot(keys, key, shift)
            if at < 0:
                break
            n += 1
            if logs[at] == logs[at]:
                value = max(value, logs[at] + best[n - lo])
        best[k - lo] = value if value > -np.inf else unknown + best[k + 1 - lo]
    return best[0]


@njit(nogil=True, cache=True)
def _stands(
    codes: np.ndarray,
    entries: np.ndarray,
    i: int,
    end: int,
    keys: np.ndarray,
    logs: np.ndarray,
    unknown: float,
    weight: float,
) -> bool:
    """Whether the entry codes[i:end] is spelled by words of its own."""
    lo, hi = i, end
    while lo > 0 and i - lo < _AROUND and entries[i] & HAN and entries[lo - 1] & HAN:
        lo -= 1
    while hi < codes.shape[0] and hi - end < _AROUND and entries[end - 1] & HAN and entries[hi] & HAN:
        hi += 1
    if lo == i and hi == end:
        return True
    best = np.empty(hi - lo + 1, np.float64)
    own = max(weight, _spelled(codes, i, end, keys, logs, unknown, best))
    apart = (
        _spelled(codes, lo, i, keys, logs, unknown, best) + own + _spelled(codes, end, hi, keys, logs, unknown, best)
    )
    return apart >= _spelled(codes, lo, hi, keys, logs, unknown, best) - _ROUNDING


@njit(nogil=True, cache=True)
def _longest(
    codes: np.ndarray,
    entries: np.ndarray,
    i: int,
    most: int,
    keys: np.ndarray,
    after: np.ndarray,
    entry: np.ndarray,
    shift: int,
) -> tuple[int, int]:
    """(entry, end) of the longest entry that starts at character i, ends by `most` and outside a spaced word; entry 0
    for none.
    """
    node, found, end, last, m = int64(0), 0, i, 0, entries.shape[0]
    while i < m and i <= most:
        kind = entries[i] & CLASS
        if entry[node] and not (last == WORD and kind in (WORD, EXTEND)):
            found, end = entry[node], i
        code = uint64(_SPACE) if kind == SPACE else uint64(codes[i])
        at = _slot(keys, (uint64(node) << uint64(_EDGE_BITS) | code) + uint64(1), shift)
        if at >= 0:
            node = int64(after[at])
        elif not (_again(codes, i, m) and kind == WORD and last == WORD):
            return int64(found), int64(end)
        while kind == SPACE and i + 1 < m and entries[i + 1] & CLASS == SPACE:
            i += 1
        last = last if kind == EXTEND else kind
        i += 1
    if entry[node] and i <= most:
        return int64(entry[node]), int64(i)
    return int64(found), int64(end)


@njit(nogil=True, cache=True)
def _again(codes: np.ndarray, i: int, m: int) -> bool:
    """Whether character i repeats the one before it, in a row of at least three."""
    code = codes[i]
    if i == 0 or codes[i - 1] != code:
        return False
    return (i > 1 and codes[i - 2] == code) or (i + 1 < m and codes[i + 1] == code)


@njit(nogil=True, cache=True)
def matches(
    data: np.ndarray,
    offsets: np.ndarray,
    table: np.ndarray,
    folded: np.ndarray,
    trie: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    words: tuple[np.ndarray, np.ndarray],
    unknown: float,
    weight: float,
    listed: int,
    out: np.ndarray,
) -> None:
    """Into out, int64[n, 3] of zeros: hits, different entries hit, characters in hits.

    folded: uint32 by code point. trie: keys, after, entry, first of kernels/trie.py; words: keys, logs of
    kernels/lexicon.py, with `unknown`; weight: of an entry that is no word there; listed: the highest entry.
    """
    keys, after, entry, first = trie
    known, logs = words
    shift = _shift(keys)
    seen = np.zeros(listed + 1, np.int64)
    for d in range(offsets.shape[0] - 1):
        codes, entries, _ = decoded(data, offsets[d], offsets[d + 1], table)
        for k in range(codes.shape[0]):
            codes[k] = folded[codes[k]]
        i, before = 0, 0
        while i < codes.shape[0]:
            kind, found, end = entries[i] & CLASS, 0, i
            if first[codes[i]] and not (before == WORD and kind in (WORD, EXTEND)):
                found, end = _longest(codes, entries, i, codes.shape[0], keys, after, entry, shift)
                while found > 0 and not _stands(codes, entries, i, end, known, logs, unknown, weight):
                    found, end = _longest(codes, entries, i, end - 1, keys, after, entry, shift)
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
