"""Which implementation runs: numba, or with SIKU_KERNELS=reference the plain Python truth. Same figures from both."""

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels import reference
from kernels.buffers import read_only, utf8
from kernels.characters import table
from kernels.columns import REPETITION, STATISTICS, STOP_WORD_BYTES, STOP_WORD_SLOTS
from kernels.fold import simplified_table
from kernels.fold import table as folds
from kernels.trie import Trie

Hash = Literal["xxh64", "sha1"]
Counts = npt.NDArray[np.int64]


def backend() -> Literal["numba", "reference"]:
    """What was picked; raises ValueError for an unknown SIKU_KERNELS."""
    chosen = os.environ.get("SIKU_KERNELS", "numba")
    if chosen not in ("numba", "reference"):
        raise ValueError(f"SIKU_KERNELS={chosen!r}: give numba or reference")
    return "numba" if chosen == "numba" else "reference"


def _strings(text: pa.Array) -> list[str]:
    return [value or "" for value in text.to_pylist()]


@lru_cache(maxsize=64)
def _stop_word_table(stop_words: tuple[str, ...]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    unique = sorted({reference.ascii_lower(word.encode()) for word in stop_words})
    if len(unique) > 64:
        raise ValueError(f"{len(unique)} stop words: give at most 64")
    keys, bits = np.zeros(STOP_WORD_SLOTS, np.uint64), np.zeros(STOP_WORD_SLOTS, np.uint64)
    for number, word in enumerate(unique):
        if not 0 < len(word) <= STOP_WORD_BYTES:
            raise ValueError(f"stop word {word.decode()!r} has {len(word)} bytes: give 1 to {STOP_WORD_BYTES}")
        key = int.from_bytes(word, "big")
        slot = ((key * 0x9E3779B97F4A7C15 & (1 << 64) - 1) >> 32) % STOP_WORD_SLOTS
        while bits[slot]:
            slot = (slot + 1) % STOP_WORD_SLOTS
        keys[slot], bits[slot] = key, 1 << number
    return read_only(keys), read_only(bits)


def statistics(text: pa.Array, short: int, stop_words: Sequence[str]) -> Counts:
    """Counts [n, len(STATISTICS)] of characters, lines, sentences and words.

    short: widest short line in columns. stop_words: at most 64, of at most 8 UTF-8 bytes each.
    """
    keys, bits = _stop_word_table(tuple(stop_words))
    out = np.zeros((len(text), len(STATISTICS)), np.int64)
    if backend() == "numba":
        from kernels.text import statistics as kernel

        kernel.statistics(*utf8(text), table(), short, keys, bits, out)
    else:
        for row, value in enumerate(_strings(text)):
            out[row] = list(reference.statistics(value, short, stop_words).values())
    return out


def repetition(text: pa.Array) -> Counts:
    """Counts [n, len(REPETITION)] of repeated lines, paragraphs and n-grams of words."""
    out = np.zeros((len(text), len(REPETITION)), np.int64)
    if backend() == "numba":
        from kernels.text import repetition as kernel

        kernel.repetition(*utf8(text), table(), out)
    else:
        for row, value in enumerate(_strings(text)):
            out[row] = list(reference.repetition(value).values())
    return out


def shingle_hashes(
    text: pa.Array, words: int, characters: int, hashing: Hash = "xxh64"
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Hashes of every document's shingles, repeats included, and the n + 1 offsets of the documents."""
    ends = np.zeros(len(text) + 1, np.int64)
    if backend() == "numba":
        from kernels.text import minhash

        hashes = minhash.shingle_hashes(*utf8(text), table(), words, characters, hashing == "sha1", ends)
        return np.asarray(hashes, np.uint64), ends
    one = reference.sha1_32 if hashing == "sha1" else reference.xxh64
    found = [[one(s) for s in reference.shingles(value, words, characters)] for value in _strings(text)]
    ends[1:] = np.cumsum([len(hashes) for hashes in found])
    return np.array([h for hashes in found for h in hashes], np.uint64), ends


def signatures(
    text: pa.Array,
    words: int,
    characters: int,
    a: npt.NDArray[np.uint32],
    b: npt.NDArray[np.uint32],
    hashing: Hash = "xxh64",
) -> npt.NDArray[np.uint32]:
    """MinHash signatures [n, len(a)] of the documents' shingles."""
    out = np.empty((len(text), len(a)), np.uint32)
    if backend() == "numba":
        from kernels.text import minhash

        minhash.signatures(*utf8(text), table(), words, characters, hashing == "sha1", read_only(a), read_only(b), out)
        return out
    hashes, ends = shingle_hashes(text, words, characters, hashing)
    for row in range(len(text)):
        out[row] = reference.signature((hashes[ends[row] : ends[row + 1]] & 0xFFFFFFFF).tolist(), a, b)
    return out


def matches(text: pa.Array, trie: Trie) -> Counts:
    """Counts [n, 3]: hits, different entries hit, characters in hits. Leftmost-longest, at word boundaries."""
    out = np.zeros((len(text), 3), np.int64)
    if backend() == "numba":
        from kernels.text import trie as kernel

        edges = (trie.keys, trie.after, trie.entry, trie.first)
        words = (trie.lexicon.keys, trie.lexicon.logs)
        kernel.matches(*utf8(text), table(), folds(), edges, words, trie.lexicon.unknown, trie.weight, trie.count, out)
    else:
        for row, value in enumerate(_strings(text)):
            found = list(reference.matches(value, trie))
            out[row] = len(found), len({number for _, _, number in found}), sum(b - a for a, b, _ in found)
    return out


def simplified(text: pa.Array) -> pa.LargeStringArray:
    """The texts with traditional characters as simplified ones, in the same bytes: for comparing only."""
    values, ends = utf8(text)
    data = values[ends[0] : ends[-1]].copy()
    if backend() == "numba":
        from kernels.text import simplify

        simplify.replace(data, simplified_table())
    else:
        data = np.frombuffer(reference.simplified(data.tobytes()), np.uint8)
    buffers = [None, pa.py_buffer(ends - ends[0]), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_string(), len(text), buffers)


def components(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], nodes: int) -> npt.NDArray[np.int64]:
    """Smallest node of each node's component, given the edges left[i] - right[i]."""
    if backend() == "reference":
        return reference.components(left, right, nodes)
    from kernels.text import components as kernel

    labels = np.arange(nodes, dtype=np.int64)
    kernel.components(read_only(left), read_only(right), labels)
    return labels
