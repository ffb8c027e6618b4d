"""The data order of training: which tokens make up which sample, as a pure function.

It depends on the documents' ids and lengths, the weights, the sequence length and the data seed, and on nothing
else: not on shard boundaries, the number of samples asked for, the layout or the version of numpy.

A component is an endless stream of tokens: epoch after epoch, each a permutation of its documents keyed by
(source, seed, epoch). The stream is cut into windows of sequence_length + 1 tokens; each shares one token with the
next, so that every token is a target once. A window belongs to the epoch in which it begins (the last of an epoch
reads on into the next one), and the windows of an epoch are permuted again, so that consecutive samples are a random
draw and not a run through one document. Samples of several components are interleaved by their due times (Webster's
rule): the k-th sample of a component with weight w is due at (k + 1/2) / w, in exact integers. No count ever strays
more than a few samples from its share, and position n is found without counting up to it. Everything is
prefix-stable: a longer run begins with the shorter one.
"""

import hashlib
import heapq
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.splitmix import mix64

ORDER_VERSION = 2
Rest = Literal["natural", "zero"]
_U64 = np.uint64
_ROUNDS = 8  # four make a strong pseudorandom permutation (Luby and Rackoff, 1988); small domains want more
_EPOCHS_HELD = 2  # a step spans at most two epochs of a component, unless the component is tiny


class OrderError(ValueError):
    """The order cannot be defined: names the component or field, the value and the way out."""


class Span(NamedTuple):
    """Tokens [start, stop) of one document, as part of one sample."""

    sample: int  # global index of the sample
    document: bytes  # id, 16 bytes
    start: int  # in tokens of the document, its EOD included
    stop: int
    source: str  # name of the component
    epoch: int
    row: int  # the document's row in its component


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """A named set of tokenized documents; `ids` of 16 bytes each (S16 or V16), `lengths` in tokens with EOD."""

    name: str
    ids: npt.NDArray[np.void] | npt.NDArray[np.bytes_]
    lengths: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.ids.dtype.itemsize != 16 or self.ids.ndim != 1 or self.ids.shape != self.lengths.shape:
            raise OrderError(
                f"component {self.name!r}: ids {self.ids.dtype}{self.ids.shape} and lengths {self.lengths.shape} "
                "do not match: give one 16-byte id and one length a document"
            )
        if len(self.lengths) and int(self.lengths.min()) < 1:
            row = int(self.lengths.argmin())
            raise OrderError(
                f"component {self.name!r}: document {self.ids[row].tobytes().hex()} has {int(self.lengths[row])} "
                "tokens: every document ends in EOD, so tokenize again"
            )

    @property
    def tokens(self) -> int:
        """Tokens of one epoch."""
        return int(self.lengths.sum(dtype=np.int64))


def key64(*parts: str | int) -> tuple[np.uint64, np.uint64]:
    """Two 64-bit keys from SHA-256 of the length-prefixed parts."""
    digest = hashlib.sha256()
    for part in parts:
        data = str(part).encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    first, second = np.frombuffer(digest.digest()[:16], ">u8")
    return _U64(first), _U64(second)


def permute(indices: npt.NDArray[np.uint64], size: int, key: tuple[np.uint64, np.uint64]) -> npt.NDArray[np.uint64]:
    """Where a keyed permutation of [0, size) sends each index, size < 2^62.

    A Feistel network over two digits of base ceil(sqrt(size)), repeated until it lands below size (Black and Rogaway,
    CT-RSA 2002). A slice costs its own length, and nothing is held; a shuffled array takes 8 bytes a window.
    """
    first, second = key
    base = _U64(math.isqrt(size - 1) + 1)
    out, pending = np.empty_like(indices), np.arange(len(indices))
    while len(pending):
        left, right = np.divmod(indices, base)
        for turn in range(_ROUNDS):
            left, right = right, (left + mix64(mix64(right ^ first) + second + _U64(turn)) % base) % base
        indices = left * base + right
        within = indices < size
        out[pending[within]] = indices[within]
        pending, indices = pending[~within], indices[~within]
    return out


class _Stream:
    """One component as an endless stream of tokens; holds the permutations of its last epochs, O(documents)."""

    def __init__(self, component: Component, seed: int) -> None:
        self.component, self.seed, self.tokens = component, seed, component.tokens
        halves = np.ascontiguousarray(component.ids).view(">u8").reshape(-1, 2).astype(np.uint64)
        self._by_id = np.lexsort((halves[:, 1], halves[:, 0]))  # so that ties, and shard order, never decide
        self._high, self._low = halves[self._by_id].T
        same = (self._high[1:] == self._high[:-1]) & (self._low[1:] == self._low[:-1])
        if same.any():
            row = int(self._by_id[int(same.argmax())])
            raise OrderError(
                f"component {component.name!r}: document {component.ids[row].tobytes().hex()} occurs twice: "
                "name each token shard once"
            )
        self._epochs: dict[int, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = {}

    def epoch(self, epoch: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(rows in reading order, end of each in tokens since the epoch's begin)."""
        if epoch not in self._epochs:
            first, second = key64("siku.order", ORDER_VERSION, self.component.name, self.seed, epoch)
            rank = mix64(mix64(self._high ^ first) ^ self._low ^ second)
            rows = self._by_id[np.argsort(rank, kind="stable")]
            while len(self._epochs) >= _EPOCHS_HELD:
                del self._epochs[min(self._epochs, key=lambda held: -abs(held - epoch))]
            self._epochs[epoch] = rows, np.cumsum(self.component.lengths[rows], dtype=np.int64)
        return self._epochs[epoch]

    def begins(self, first: int, last: int, length: int) -> Iterator[int]:
        """Where in the stream the component's own samples [first, last) begin."""
        while first < last:
            epoch = first * length // self.tokens
            start, end = (-(-number * self.tokens // length) for number in (epoch, epoch + 1))
            stop = min(last, end)
            key = key64("siku.order.windows", ORDER_VERSION, self.component.name, self.seed, epoch)
            windows = permute(np.arange(first - start, stop - start, dtype=np.uint64), end - start, key)
            yield from ((start + window) * length for window in windows.tolist())
            first = stop

    def spans(self, sample: int, begin: int, length: int) -> Iterator[Span]:
        """The stream's tokens [begin, begin + length), by document."""
        while length > 0:
            epoch, offset = divmod(begin, self.tokens)
            rows, ends = self.epoch(epoch)
            position = int(np.searchsorted(ends, offset, side="right"))
            while length > 0 and position < len(rows):
                row, end = int(rows[position]), int(ends[position])
                document = self.component.ids[row].tobytes()
                start = offset - (end - int(self.component.lengths[row]))
                taken = min(end - offset, length)
                yield Span(sample, document, start, start + taken, self.component.name, epoch, row)
                offset, begin, length, position = offset + taken, begin + taken, length - taken, position + 1


def check_mixture(weights: Mapping[str, float], rest: Rest | None, names: Collection[str]) -> None:
    """Raise OrderError for a mixture that does not say what each component gets; needs their names alone.

    No weights: every component by its tokens. Weights for all of them: shares in their ratio. Weights for some:
    `rest` says what the others get, `zero` nothing, `natural` what the weights leave of 1, by their tokens.
    """
    named = ", ".join(f"{name}={weight:g}" for name, weight in weights.items())
    for name, weight in weights.items():
        if name not in names:
            raise OrderError(f"mixture.weights.{name}: no component has this name: choose among {sorted(names)}")
        if not math.isfinite(weight) or weight < 0:
            raise OrderError(f"mixture.weights.{name} is {weight}: give a finite number of 0 or more")
    others = sorted(set(names) - set(weights)) if weights else []
    if others and rest is None:
        raise OrderError(
            f"mixture.weights ({named}) leaves out {', '.join(others)}: give each a weight, or say what the "
            "others get: mixture.rest=zero (nothing), or mixture.rest=natural (what the weights leave of 1, by tokens)"
        )
    if others and rest == "natural" and sum(map(_exact, weights.values())) >= 1:
        raise OrderError(
            f"mixture.weights ({named}) leaves nothing of 1 for {', '.join(others)}, which mixture.rest=natural would "
            "share: lower the weights, or set mixture.rest=zero"
        )
    if weights and not any(weights.values()) and not (others and rest == "natural"):
        raise OrderError(f"mixture.weights ({named}) gives nothing to any component: nothing to train on")


def _exact(weight: float) -> Fraction:
    return Fraction(str(float(weight)))  # as it was written: .7 is 7/10, so that shares that add up to 1 do


def shares(weights: Mapping[str, float], rest: Rest | None, tokens: Mapping[str, int]) -> dict[str, int]:
    """Each component's share of the samples, as integers in the mixture's ratio; `tokens` of one epoch by component.

    Raises OrderError where `check_mixture` does, and for a weight on a component without tokens.
    """
    check_mixture(weights, rest, tokens)
    if not weights:
        return dict(tokens)
    exact = {name: _exact(weights.get(name, 0)) for name in tokens}
    for name, weight in exact.items():
        if weight and not tokens[name]:
            raise OrderError(f"component {name!r} has weight but no tokens: set mixture.weights.{name}=0")
    others = {name: count for name, count in tokens.items() if name not in weights}
    if rest == "natural" and any(others.values()):
        left, total = 1 - sum(exact.values(), Fraction()), sum(others.values())
        exact |= {name: left * count / total for name, count in others.items()}
    scale = math.lcm(*(weight.denominator for weight in exact.values()))
    whole = {name: int(weight * scale) for name, weight in exact.items()}
    common = math.gcd(*whole.values()) or 1
    return {name: weight // common for name, weight in whole.items()}


class Order:
    """The samples of a mixture; pure, and cheap to build again.

    `weights` and `rest` are shares of samples by component name, as `check_mixture` says.
    """

    def __init__(
        self,
        components: Sequence[Component],
        weights: Mapping[str, float],
        sequence_length: int,
        seed: int,
        rest: Rest | None = None,
    ) -> None:
        ordered = sorted(components, key=lambda component: component.name)
        if len({component.name for component in ordered}) != len(ordered):
            raise OrderError(f"component names repeat: {[component.name for component in ordered]}")
        if sequence_length < 1:
            raise OrderError(f"sequence_length is {sequence_length}: give 1 or more")
        integers = shares(weights, rest, {component.name: component.tokens for component in ordered})
        used = [component for component in ordered if integers[component.name]]
        if not used:
            raise OrderError("no component has both weight and tokens: nothing to train on")
        self.sequence_length, self.seed = sequence_length, seed
        self.names: tuple[str, ...] = tuple(component.name for component in used)
        self.weights: tuple[int, ...] = tuple(integers[name] for name in self.names)
        self._streams = [_Stream(component, seed) for component in used]

    def counts(self, position: int) -> list[int]:
        """How many of the first `position` samples each used component has, in the order of `names`."""
        # Up to the due time (position - K) / W at most position - K/2 samples are due: start there, walk the rest.
        total, kinds = sum(self.weights), len(self.weights)
        base = max(position - kinds, 0)
        counts = [(2 * base * weight + total) // (2 * total) for weight in self.weights]
        for index in self._walk(counts, position - sum(counts)):
            counts[index] += 1
        return counts

    def _walk(self, counts: Sequence[int], steps: int) -> Iterator[int]:
        """The components of the next `steps` samples after `counts`."""
        # Due times (2k + 1) / 2w as integers over a common denominator; ties go to the first name.
        common = math.lcm(*self.weights)
        unit = [common // weight for weight in self.weights]
        heap = [((2 * count + 1) * unit[index], index, count) for index, count in enumerate(counts)]
        heapq.heapify(heap)
        for _ in range(steps):
            due, index, count = heap[0]
            heapq.heapreplace(heap, (due + 2 * unit[index], index, count + 1))
            yield index

    def components(self, first: int, last: int) -> list[int]:
        """Which of `names` each of samples [first, last) is of."""
        return list(self._walk(self.counts(first), last - first))

    def spans(self, first: int, last: int) -> list[Span]:
        """The spans of samples [first, last), in reading order."""
        if not 0 <= first <= last:
            raise OrderError(f"samples [{first}, {last}) are no range: give 0 <= first <= last")
        length, before = self.sequence_length, self.counts(first)
        chosen = list(self._walk(before, last - first))
        begins = [
            stream.begins(before[index], before[index] + chosen.count(index), length)
            for index, stream in enumerate(self._streams)
        ]
        spans: list[Span] = []
        for sample, index in enumerate(chosen, start=first):
            spans.extend(self._streams[index].spans(sample, next(begins[index]), length + 1))
        return spans
