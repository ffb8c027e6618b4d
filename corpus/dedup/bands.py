"""Keys of documents that may be near-duplicates."""

from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.dedup.key import SIMILAR_KEYS, Tie, hashes
from corpus.dedup.similarity import bands, has_shingles, sketch
from kernels.buffers import fixed_width


@configuration
class Bands:
    """Bands of a MinHash signature: two documents of Jaccard similarity J share one with probability
    1 - (1 - J^rows)^bands. A document without a shingle has none."""

    version: ClassVar[int] = 1
    tie: ClassVar[Tie] = "similar"
    columns: ClassVar[tuple[str, ...]] = ()

    key: Literal["bands"] = "bands"
    measure: Annotated[str, Doc("measure that holds the signature")] = "signature"
    bands: Annotated[int, Field(ge=1), Doc("keys a document")] = 14
    rows: Annotated[int, Field(ge=1), Doc("signature values a band")] = 8

    def reads(self) -> tuple[str, ...]:
        """The signature."""
        return (f"{self.measure}.signature",)

    def compute(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """SIMILAR_KEYS."""
        values = fixed_width(documents[self.reads()[0]]).view("<u4")
        rows = np.flatnonzero(has_shingles(values))
        keys = bands(values[rows], self.bands, self.rows)
        found = hashes(documents["id"], keys.ravel(), np.repeat(rows, self.bands))
        return pa.record_batch([*found.columns, pa.array(sketch(values))], schema=SIMILAR_KEYS)
