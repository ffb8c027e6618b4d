"""Batches from memory-mapped token shards, in the order of `corpus.order`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpus.document import raw_ids
from corpus.order import Component, Order
from corpus.shard import open_shard
from pretrain.config import Mixture

Tokens = npt.NDArray[np.int64]


class TokenError(ValueError):
    """Token shards that do not fit the job: names the file or document, the value and the way out."""


class TokenShards:
    """The documents of some token shards, in shard order; tokens are read where they lie."""

    def __init__(self, name: str, paths: Sequence[str]) -> None:
        self.name = name
        ids: list[npt.NDArray[np.void]] = []
        lengths: list[npt.NDArray[np.int64]] = []
        sizes: list[npt.NDArray[np.int64]] = []
        self._values: list[npt.NDArray[np.unsignedinteger]] = []
        self._offsets: list[npt.NDArray[np.int32]] = []
        for path in paths:
            for batch in open_shard(Path(path), ["id", "bytes", "tokens"]).to_batches():
                tokens = batch.column("tokens")
                self._values.append(tokens.values.to_numpy(zero_copy_only=True))
                self._offsets.append(tokens.offsets.to_numpy(zero_copy_only=True))
                lengths.append(np.diff(self._offsets[-1]).astype(np.int64))
                sizes.append(batch.column("bytes").to_numpy(zero_copy_only=True))
                ids.append(raw_ids(batch.column("id")))
        self._firsts = np.cumsum([0, *(len(found) for found in lengths)])
        self.ids = np.concatenate(ids) if ids else np.empty(0, "V16")
        self.lengths = np.concatenate(lengths) if lengths else np.empty(0, np.int64)
        self.bytes = np.concatenate(sizes) if sizes else np.empty(0, np.int64)

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def tokens(self, row: int, start: int = 0, stop: int | None = None) -> npt.NDArray[np.unsignedinteger]:
        """Tokens [start, stop) of a document, without a copy."""
        batch = int(np.searchsorted(self._firsts, row, side="right")) - 1
        begin, end = self._offsets[batch][row - self._firsts[batch] :][:2]
        return self._values[batch][int(begin) + start : int(end) if stop is None else int(begin) + stop]

    def component(self) -> Component:
        """What the order needs to know of it."""
        return Component(self.name, self.ids, self.lengths)

    def counts(self, vocabulary: int) -> npt.NDArray[np.int64]:
        """How often each token occurs; raises TokenError for one beyond the vocabulary."""
        total = np.zeros(vocabulary, np.int64)
        for values, offsets in zip(self._values, self._offsets, strict=True):
            used = values[int(offsets[0]) : int(offsets[-1])]
            found = np.bincount(used, minlength=vocabulary)
            if len(found) > vocabulary:
                raise TokenError(
                    f"component {self.name!r} holds token {len(found) - 1}, but the vocabulary ends at {vocabulary}: "
                    "tokenize again with this tokenizer"
                )
            total += found
        return total


class Batches:
    """The samples of a run by global index."""

    def __init__(
        self,
        components: Mapping[str, Sequence[str]],
        mixture: Mixture,
        sequence_length: int,
        seed: int,
        vocabulary: int,
    ) -> None:
        self._shards = {name: TokenShards(name, paths) for name, paths in sorted(components.items())}
        self.order = Order(
            [s.component() for s in self._shards.values()], mixture.weights, sequence_length, seed, mixture.rest
        )
        self._vocabulary = vocabulary

    def samples(self, first: int, last: int) -> Tokens:
        """Samples [first, last) as int64 [last - first, sequence_length + 1]."""
        out = np.empty((last - first) * (self.order.sequence_length + 1), np.int64)
        at = 0
        for span in self.order.spans(first, last):
            tokens = self._shards[span.source].tokens(span.row, span.start, span.stop)
            out[at : at + len(tokens)] = tokens
            at += len(tokens)
            if int(tokens.max()) >= self._vocabulary:
                raise TokenError(
                    f"document {span.document.hex()} of {span.source!r} holds token {int(tokens.max())}, but the "
                    f"vocabulary ends at {self._vocabulary}: tokenize again with this tokenizer"
                )
        return out.reshape(last - first, -1)

    def micro_batches(self, first: int, last: int, size: int) -> Iterator[Tokens]:
        """Samples [first, last), `size` at a time."""
        for start in range(first, last, size):
            yield self.samples(start, min(start + size, last))


def replica_range(step: int, global_batch: int, replica: int, replicas: int) -> tuple[int, int]:
    """Samples [first, last) of a step (counted from 1) that a data-parallel replica reads."""
    share = global_batch // replicas
    first = (step - 1) * global_batch + replica * share
    return first, first + share
