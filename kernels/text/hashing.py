# mypy: disable-error-code="no-any-return"
"""xxh64 and the first word of SHA-1 over a byte range, as numba functions.

xxh64: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md. SHA-1: FIPS 180-4.
"""

import numpy as np
from numba import njit, uint32, uint64

_P1 = np.uint64(11400714785074694791)
_P2 = np.uint64(14029467366897019727)
_P3 = np.uint64(1609587929392839161)
_P4 = np.uint64(9650029242287828579)
_P5 = np.uint64(2870177450012600261)


@njit(inline="always")
def _rotate64(x: int, bits: int) -> int:
    return uint64((x << uint64(bits)) | (x >> uint64(64 - bits)))


@njit(inline="always")
def _pack(a: int, b: int, c: int, d: int, e: int, f: int, g: int, h: int) -> int:
    """Eight bytes, little endian; scalars, because an array argument costs two atomic instructions."""
    low = uint64(a) | (uint64(b) << uint64(8)) | (uint64(c) << uint64(16)) | (uint64(d) << uint64(24))
    high = uint64(e) | (uint64(f) << uint64(8)) | (uint64(g) << uint64(16)) | (uint64(h) << uint64(24))
    return low | (high << uint64(32))


@njit(inline="always")
def _round(accumulator: int, value: int) -> int:
    return uint64(_rotate64(uint64(accumulator + uint64(value * _P2)), 31) * _P1)


@njit(inline="always")
def _merge(accumulator: int, value: int) -> int:
    return uint64(uint64(accumulator ^ _round(uint64(0), value)) * _P1 + _P4)


@njit(nogil=True, cache=True)
def xxh64(d: np.ndarray, start: int, stop: int) -> int:
    """xxh64 with seed 0 of the bytes d[start:stop]."""
    size = stop - start
    i = start
    if size >= 32:
        v1, v2, v3, v4 = uint64(_P1 + _P2), _P2, uint64(0), uint64(uint64(0) - _P1)
        while i <= stop - 32:
            v1 = _round(v1, _pack(d[i], d[i + 1], d[i + 2], d[i + 3], d[i + 4], d[i + 5], d[i + 6], d[i + 7]))
            v2 = _round(v2, _pack(d[i + 8], d[i + 9], d[i + 10], d[i + 11], d[i + 12], d[i + 13], d[i + 14], d[i + 15]))
            v3 = _round(
                v3, _pack(d[i + 16], d[i + 17], d[i + 18], d[i + 19], d[i + 20], d[i + 21], d[i + 22], d[i + 23])
            )
            v4 = _round(
                v4, _pack(d[i + 24], d[i + 25], d[i + 26], d[i + 27], d[i + 28], d[i + 29], d[i + 30], d[i + 31])
            )
            i += 32
        h = uint64(_rotate64(v1, 1) + _rotate64(v2, 7) + _rotate64(v3, 12) + _rotate64(v4, 18))
        h = _merge(_merge(_merge(_merge(h, v1), v2), v3), v4)
    else:
        h = _P5
    h = uint64(h + uint64(size))
    while i <= stop - 8:
        h = uint64(
            _rotate64(
                h
                ^ _round(uint64(0), _pack(d[i], d[i + 1], d[i + 2], d[i + 3], d[i + 4], d[i + 5], d[i + 6], d[i + 7])),
                27,
            )
            * _P1
            + _P4
        )
        i += 8
    if i <= stop - 4:
        word = _pack(d[i], d[i + 1], d[i + 2], d[i + 3], 0, 0, 0, 0)
        h = uint64(_rotate64(h ^ uint64(word * _P1), 23) * _P2 + _P3)
        i += 4
    while i < stop:
        h = uint64(_rotate64(h ^ uint64(uint64(d[i]) * _P5), 11) * _P1)
        i += 1
    h ^= h >> uint64(33)
    h = uint64(h * _P2)
    h ^= h >> uint64(29)
    h = uint64(h * _P3)
    return h ^ (h >> uint64(32))


@njit(inline="always")
def _rotate32(x: int, bits: int) -> int:
    return uint32((x << uint32(bits)) | (x >> uint32(32 - bits)))


@njit
def _schedule(data: np.ndarray, start: int, size: int, block: int, last: bool, w: np.ndarray) -> None:
    """The 80 words of one 64-byte block, padding included, into w."""
    for t in range(16):
        word = uint32(0)
        for j in range(4):
            position = block * 64 + t * 4 + j
            byte = uint32(0)
            if position < size:
                byte = uint32(data[start + position])
            elif position == size:
                byte = uint32(0x80)
            word = uint32((word << uint32(8)) | byte)
        w[t] = word
    if last:
        w[14] = uint32(uint64(size) >> uint64(29))
        w[15] = uint32(uint64(size) << uint64(3))
    for t in range(16, 80):
        w[t] = _rotate32(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1)


@njit(nogil=True, cache=True)
def sha1_32(data: np.ndarray, start: int, stop: int, w: np.ndarray) -> int:
    """The first four digest bytes of SHA-1, little endian: datasketch's sha1_hash32. w is uint32[80] scratch."""
    size = stop - start
    h0, h1, h2 = uint32(0x67452301), uint32(0xEFCDAB89), uint32(0x98BADCFE)
    h3, h4 = uint32(0x10325476), uint32(0xC3D2E1F0)
    blocks = (size + 8) // 64 + 1
    for block in range(blocks):
        _schedule(data, start, size, block, block == blocks - 1, w)
        a, b, c, d, e = h0, h1, h2, h3, h4
        for t in range(80):
            if t < 20:
                f = uint32(((b & c) | (~b & d)) + uint32(0x5A827999))
            elif t < 40:
                f = uint32((b ^ c ^ d) + uint32(0x6ED9EBA1))
            elif t < 60:
                f = uint32(((b & c) | (b & d) | (c & d)) + uint32(0x8F1BBCDC))
            else:
                f = uint32((b ^ c ^ d) + uint32(0xCA62C1D6))
            rotated = uint32(_rotate32(a, 5) + f + e + w[t])
            e, d, c, b, a = d, c, _rotate32(b, 30), a, rotated
        h0, h1, h2 = uint32(h0 + a), uint32(h1 + b), uint32(h2 + c)
        h3, h4 = uint32(h3 + d), uint32(h4 + e)
    swapped = ((h0 & uint32(0xFF)) << uint32(24)) | ((h0 & uint32(0xFF00)) << uint32(8))
    return uint32(swapped | ((h0 >> uint32(8)) & uint32(0xFF00)) | (h0 >> uint32(24)))
