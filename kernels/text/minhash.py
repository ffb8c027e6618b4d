# mypy: disable-error-code="no-any-return"
"""Shingles of words and their MinHash signatures.

A shingle starts at every word and is the shortest run whose weight reaches words x characters, where an
ideograph weighs `words` and any other word weighs `characters`: so many words of one script, so many
characters of the other, and in mixed text a blend of both. A document lighter than that is one shingle.
Its bytes are its words, ASCII lower-cased, joined by one space.
"""

import numpy as np
from numba import int64, njit, uint32, uint64

from kernels.characters import CLASS, IDEOGRAPH
from kernels.text.hashing import sha1_32, xxh64
from kernels.text.words import decoded
from kernels.text.words import words as words_of


@njit(nogil=True, cache=True)
def _joined(
    data: np.ndarray, start: int, stop: int, table: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The document's words joined by spaces; of each word its first byte there, the one after it, its flags."""
    _, entries, at = decoded(data, start, stop, table)
    starts, stops, flags = words_of(entries)
    text, p = np.empty(stop - start + starts.shape[0], np.uint8), 0
    for w in range(starts.shape[0]):
        first, last = at[starts[w]], at[stops[w]]
        starts[w] = p
        for k in range(first, last):
            byte = data[k]
            text[p] = byte + 32 if 65 <= byte <= 90 else byte
            p += 1
        stops[w] = p
        text[p] = 32
        p += 1
    return text, starts, stops, flags


@njit(nogil=True, cache=True)
def _document(
    data: np.ndarray, start: int, stop: int, table: np.ndarray, words: int, characters: int, sha1: bool
) -> np.ndarray:
    """Hashes of one document's shingles, in order, repeats included."""
    text, starts, stops, flags = _joined(data, start, stop, table)
    count = starts.shape[0]
    out, scratch = np.empty(count, np.uint64), np.empty(80, np.uint32)
    wanted, weight, last, shingles = words * characters, 0, 0, 0
    for first in range(count):
        while last < count and weight < wanted:
            weight += words if flags[last] & CLASS == IDEOGRAPH else characters
            last += 1
        if weight < wanted and first > 0:
            break
        if sha1:
            out[shingles] = uint64(sha1_32(text, starts[first], stops[last - 1], scratch))
        else:
            out[shingles] = xxh64(text, starts[first], stops[last - 1])
        shingles += 1
        weight -= words if flags[first] & CLASS == IDEOGRAPH else characters
    return out[:shingles]


@njit(nogil=True, cache=True)
def shingle_hashes(
    data: np.ndarray,
    offsets: np.ndarray,
    table: np.ndarray,
    words: int,
    characters: int,
    sha1: bool,
    ends: np.ndarray,
) -> np.ndarray:
    """Hashes of all documents' shingles, one after the other; ends, int64[n + 1] with ends[0] == 0, tells whose."""
    out = np.empty(1024, np.uint64)
    for d in range(offsets.shape[0] - 1):
        hashes = _document(data, offsets[d], offsets[d + 1], table, words, characters, sha1)
        filled = ends[d] + hashes.shape[0]
        if filled > out.shape[0]:
            larger = np.empty(2 * filled, np.uint64)
            larger[: ends[d]] = out[: ends[d]]
            out = larger
        out[ends[d] : filled] = hashes
        ends[d + 1] = filled
    return out[: ends[offsets.shape[0] - 1]].copy()


@njit(nogil=True, cache=True)
def _mixed(h: int) -> int:
    """MurmurHash3's 32-bit finalizer."""
    h ^= h >> uint32(16)
    h = uint32(h * uint32(0x85EBCA6B))
    h ^= h >> uint32(13)
    h = uint32(h * uint32(0xC2B2AE35))
    return uint32(h ^ (h >> uint32(16)))


@njit(nogil=True, cache=True)
def signatures(
    data: np.ndarray,
    offsets: np.ndarray,
    table: np.ndarray,
    words: int,
    characters: int,
    sha1: bool,
    a: np.ndarray,
    b: np.ndarray,
    out: np.ndarray,
) -> None:
    """MinHash of each document into out, uint32[n, K]; without a word it stays at 2^32 - 1.

    datasketch 2.0's scheme affine32: min over shingles of a * mixed(h) + b mod 2^32, h the low 32 bits of the hash.
    """
    permutations = a.shape[0]
    for d in range(offsets.shape[0] - 1):
        row = out[d]
        for k in range(permutations):
            row[k] = uint32(0xFFFFFFFF)
        hashes = _document(data, offsets[d], offsets[d + 1], table, words, characters, sha1)
        for i in range(int64(hashes.shape[0])):
            x = _mixed(uint32(hashes[i] & uint64(0xFFFFFFFF)))
            for k in range(permutations):
                value = uint32(uint32(a[k] * x) + b[k])
                row[k] = min(row[k], value)
