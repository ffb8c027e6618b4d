"""How long a document is."""

from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa

from corpus.configuration import configuration
from corpus.measures.columns import batch, counted, fields

_COUNTED = ("characters", "words", "lines", "sentences")


@configuration
class Length:
    """UTF-8 bytes, characters, words, lines and sentences, as corpus/segment.py defines them."""

    version: ClassVar[int] = 1

    measure: Literal["length"] = "length"

    @property
    def schema(self) -> pa.Schema:
        """Counts, int64."""
        return fields(("bytes", *_COUNTED), pa.int64())

    def compute(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """Counts of each text."""
        import pyarrow.compute as pc

        text = documents["text"]
        counts = counted(text)
        size = np.asarray(pc.binary_length(text), np.int64)
        return batch({"bytes": size} | {name: counts[name] for name in _COUNTED}, self.schema)
