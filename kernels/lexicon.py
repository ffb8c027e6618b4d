"""Words with their frequencies, and how well they spell a stretch of text: a unigram model of Chinese words."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kernels.addressing import addressed, slot
from kernels.buffers import read_only

SEED, PRIME = 1469598103934665603, 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def step(key: int, code: int) -> int:
    """The key of a word and one more code point."""
    key = (key ^ code) * PRIME & _MASK
    return (key ^ (key >> 32)) or 1


class Lexicon:
    """Logarithms of relative frequencies, by word; `unknown` is that of a character that begins no word.

    keys, logs: an open-addressed table of every word and every beginning of one, which is NaN where it is no word.
    """

    def __init__(self, words: Sequence[str], frequencies: npt.ArrayLike) -> None:
        counts = np.asarray(frequencies, np.float64)
        if len(counts) != len(words) or not np.all(counts > 0):
            raise ValueError(f"{len(counts)} frequencies for {len(words)} words: give each a positive one")
        self.unknown = -float(np.log(counts.sum())) if len(counts) else 0.0
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        codes = np.frombuffer("".join(words).encode("utf-32-le"), np.uint32).astype(np.uint64)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
        keys, logs = [np.zeros(0, np.uint64)], [np.zeros(0)]
        key = np.full(len(words), SEED, np.uint64)
        for size in range(1, int(lengths.max(initial=0)) + 1):
            long = lengths >= size
            key, starts, lengths, counts = key[long], starts[long], lengths[long], counts[long]
            key = (key ^ codes[starts + size - 1]) * np.uint64(PRIME)
            key ^= key >> np.uint64(32)
            keys.append(key)
            logs.append(np.where(lengths == size, np.log(counts) + self.unknown, np.nan))
        order = np.argsort(np.isnan(every := np.concatenate(logs)), kind="stable")  # words before beginnings
        distinct, first = np.unique(np.concatenate(keys)[order], return_index=True)
        table, slots = addressed(distinct)
        held = np.full(len(table), np.nan)
        held[slots] = every[order][first]
        self.keys, self.logs = read_only(table), read_only(held)

    def log(self, key: int) -> float | None:
        """Of a key made by `step`: NaN for the beginning of a word that is none, None where no word begins so."""
        at = slot(self.keys, key)
        return None if at < 0 else float(self.logs[at])


def empty() -> Lexicon:
    """Knows no word, and so no boundary that a stretch of characters could cross."""
    return Lexicon((), ())
