"""Gopher's repetition statistics (Rae et al. 2021, arXiv:2112.11446, table A1)."""

from typing import ClassVar, Literal

import pyarrow as pa

from corpus.configuration import configuration
from corpus.measures.columns import batch, by_name, fields, share
from kernels.columns import REPETITION
from kernels.dispatch import repetition

_OF = {"duplicate_lines": "lines", "duplicate_paragraphs": "paragraphs"}
_SHARES = tuple(name for name in REPETITION if name not in ("characters", "lines", "paragraphs"))


@configuration
class Repetition:
    """Shares of duplicate lines and paragraphs; of characters in them, in the most frequent 2- to 4-gram (when it
    comes twice) and in duplicate 5- to 10-grams. N-grams are of words, so of characters in Chinese.
    """

    version: ClassVar[int] = 1

    measure: Literal["repetition"] = "repetition"

    @property
    def schema(self) -> pa.Schema:
        """Shares, float64."""
        return fields(_SHARES, pa.float64())

    def compute(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """Shares of each text."""
        counts = by_name(repetition(documents["text"]), REPETITION)
        return batch({name: share(counts[name], counts[_OF.get(name, "characters")]) for name in _SHARES}, self.schema)
