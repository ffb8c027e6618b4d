"""The batches of a step, in the order of `corpus.order`."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from corpus.order import Order
from pretrain.config import Mixture
from pretrain.data.shards import TokenError, TokenShards

Tokens = npt.NDArray[np.int64]


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


def replica_range(first: int, last: int, replica: int, replicas: int) -> tuple[int, int]:
    """The part of samples [first, last) that a data-parallel replica reads."""
    share = (last - first) // replicas
    return first + replica * share, first + (replica + 1) * share


def context_positions(rank: int, ranks: int, length: int) -> Tokens:
    """Positions of a sequence that a context-parallel rank has: one piece from the front and one from the back, so that
    all have as much of the past to attend to (as megatron-core and Transformer Engine divide them)."""
    if ranks == 1:
        return np.arange(length)
    pieces = np.arange(length).reshape(2 * ranks, -1)
    return np.concatenate([pieces[rank], pieces[-1 - rank]])
