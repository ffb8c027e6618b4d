"""A document decoded and cut into words, which the text kernels start from; corpus/segment.py says what a word is.

Arrays are handed to functions once a document and never once a character: numba counts references with atomic
instructions at every call, which costs ten times the decoding itself.
"""

import numpy as np
from numba import njit, uint32

from kernels.characters import CLASS, EXTEND, IDEOGRAPH, JOIN, WORD

_REPLACEMENT = 0xFFFD


@njit(nogil=True, cache=True)
def _fill(
    data: np.ndarray,
    start: int,
    stop: int,
    table: np.ndarray,
    codes: np.ndarray,
    entries: np.ndarray,
    at: np.ndarray,
) -> int:
    """Decode into the arrays, or only count the characters when they are empty."""
    i, k, writing = start, 0, codes.shape[0] > 0
    while i < stop:
        first = uint32(data[i])
        code, size = first, 1
        if first >= 0x80:
            code = uint32(_REPLACEMENT)
            if first >= 0xC2 and first < 0xE0 and i + 1 < stop:
                code, size = uint32((first & 0x1F) << 6 | uint32(data[i + 1]) & 0x3F), 2
            elif first >= 0xE0 and first < 0xF0 and i + 2 < stop:
                code = uint32((first & 0x0F) << 12 | (uint32(data[i + 1]) & 0x3F) << 6 | uint32(data[i + 2]) & 0x3F)
                size = 3
            elif first >= 0xF0 and first < 0xF5 and i + 3 < stop:
                high = uint32((first & 0x07) << 18 | (uint32(data[i + 1]) & 0x3F) << 12)
                code = uint32(high | (uint32(data[i + 2]) & 0x3F) << 6 | uint32(data[i + 3]) & 0x3F)
                size = 4
                if code >= 0x110000:
                    code, size = uint32(_REPLACEMENT), 1
        if writing:
            codes[k], entries[k], at[k] = code, table[code], i
        i += size
        k += 1
    return k


@njit(nogil=True, cache=True)
def decoded(data: np.ndarray, start: int, stop: int, table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Code points (uint32[m]) of data[start:stop], their table entries, and the byte each begins at (int64[m + 1]).

    A byte that is no UTF-8 is U+FFFD.
    """
    nothing = np.empty(0, np.uint32)
    m = _fill(data, start, stop, table, nothing, nothing, np.empty(0, np.int64))
    codes, entries, at = np.empty(m, np.uint32), np.empty(m, np.uint32), np.empty(m + 1, np.int64)
    if m:
        _fill(data, start, stop, table, codes, entries, at)
    at[m] = stop
    return codes, entries, at


@njit(nogil=True, cache=True)
def words(entries: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First character, the one after the last (int64), and flags (uint32) of each word.

    Flags are those of all its characters; the class bits are IDEOGRAPH or WORD.
    """
    m = entries.shape[0]
    starts, stops, flags = np.empty(m, np.int64), np.empty(m, np.int64), np.empty(m, np.uint32)
    count, i = 0, 0
    while i < m:
        kind = entries[i] & CLASS
        if kind != WORD and kind != IDEOGRAPH:
            i += 1
            continue
        starts[count], seen = i, entries[i]
        i += 1
        while i < m:
            step = entries[i] & CLASS
            if step == JOIN and kind == WORD and i + 1 < m and entries[i + 1] & CLASS == WORD:
                seen |= entries[i] | entries[i + 1]
                i += 2
            elif step == EXTEND or (step == WORD and kind == WORD):
                seen |= entries[i]
                i += 1
            else:
                break
        stops[count], flags[count] = i, (seen & ~uint32(CLASS)) | kind
        count += 1
    return starts[:count], stops[:count], flags[:count]
