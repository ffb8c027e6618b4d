"""Bits per byte and how sure they are: windows, the unigram baseline, the bootstrap. numpy only."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from corpus.order import key64
from kernels.splitmix import mix64

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
_DRAWS_AT_ONCE = 2**22


class Window(NamedTuple):
    """Targets [start, stop) of a document are computed together, those from `scored` on count."""

    document: int
    start: int
    scored: int
    stop: int


def windows(lengths: Integers, sequence_length: int, stride: float) -> list[Window]:
    """Windows over each document so that every token is scored once, with all the context a window has.

    `lengths` count a document's tokens with its EOD; its first is predicted from a leading EOD alone.
    """
    step = max(1, int(sequence_length * stride))
    found = []
    for document, length in enumerate(lengths.tolist()):
        start, scored = 0, 0
        while scored < length:
            stop = min(start + sequence_length, length)
            found.append(Window(document, start, scored, stop))
            start, scored = start + step, stop
    return found


def unigram_nats(counts: Integers) -> Floats:
    """Nats of each token under add-one smoothed counts over the vocabulary."""
    total = int(counts.sum()) + len(counts)
    return math.log(total) - np.log(counts.astype(np.float64) + 1.0)


def bits_per_byte(nats: Floats, sizes: Integers) -> float | None:
    """Summed nats over ln 2 and summed bytes; None where there are no bytes."""
    total = int(sizes.sum())
    return float(np.add.reduce(nats)) / (math.log(2) * total) if total else None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95 % interval over documents."""

    value: float | None
    interval: tuple[float, float] | None


class Bootstrap:
    """Resamples documents with replacement; the same resamples for every quantity, so that differences are paired."""

    def __init__(self, sizes: Integers, resamples: int, *key: str | int) -> None:
        self._sizes, self._resamples, self._key = sizes, resamples, key

    def estimate(self, nats: Floats) -> Estimate:
        """Bits per byte of `nats` (or of a difference of nats) with its percentile interval."""
        value = bits_per_byte(nats, self._sizes)
        if value is None:
            return Estimate(None, None)
        count = len(nats)
        rows = max(1, _DRAWS_AT_ONCE // count)
        ratios = []
        for first in range(0, self._resamples, rows):
            drawn = self._draw(first, min(rows, self._resamples - first), count)
            sizes = self._sizes[drawn].sum(axis=1)
            with np.errstate(divide="ignore", invalid="ignore"):
                ratios.append(nats[drawn].sum(axis=1) / (math.log(2) * sizes))
        found = np.concatenate(ratios)
        low, high = np.quantile(found[np.isfinite(found)], (0.025, 0.975))
        return Estimate(value, (float(low), float(high)))

    def _draw(self, first: int, rows: int, count: int) -> Integers:
        # A counter-based generator: the draws do not depend on the version of numpy or on how they are chunked.
        left, right = key64("siku.bootstrap", *self._key)
        counter = np.arange(first * count, (first + rows) * count, dtype=np.uint64)
        high = mix64(mix64(counter ^ left) + right) >> np.uint64(32)
        return ((high * np.uint64(count)) >> np.uint64(32)).astype(np.int64).reshape(rows, count)
