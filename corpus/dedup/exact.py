"""Keys of documents with one text."""

from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa

from corpus.configuration import Doc, configuration
from corpus.dedup.key import Tie, hashes, head64


@configuration
class ExactKey:
    """The first 8 bytes of the text's hash."""

    version: ClassVar[int] = 1
    tie: ClassVar[Tie] = "copy"
    columns: ClassVar[tuple[str, ...]] = ()

    key: Literal["exact"] = "exact"
    measure: Annotated[str, Doc("measure that holds the hash of the text")] = "exact"

    def reads(self) -> tuple[str, ...]:
        """The hash."""
        return (f"{self.measure}.exact",)

    def compute(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """KEYS, one a document."""
        return hashes(documents["id"], head64(documents[self.reads()[0]]), np.arange(documents.num_rows))
