"""Token shards, read where they lie."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpus.document import raw_ids
from corpus.order import Component
from corpus.shard import open_shard


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

    def by_id(self) -> npt.NDArray[np.int64]:
        """Rows in the order of their ids, which knows of no shards."""
        halves = np.ascontiguousarray(self.ids).view(">u8").reshape(-1, 2)
        return np.lexsort((halves[:, 1], halves[:, 0]))

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
