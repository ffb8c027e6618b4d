"""How loud a text is."""

from typing import ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc

from corpus.configuration import configuration


@configuration
class Marks:
    """Exclamation and question marks, half-width and full-width."""

    version: ClassVar[int] = 1

    measure: Literal["marks"] = "marks"

    @property
    def schema(self) -> pa.Schema:
        """Counts, int64."""
        return pa.schema([pa.field(name, pa.int64(), nullable=False) for name in ("exclamations", "questions")])

    def compute(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """Counts of each text."""
        text = documents["text"]
        counts = [pc.count_substring_regex(text, pattern).cast(pa.int64()) for pattern in ("[!！]", "[?？]")]
        return pa.record_batch(counts, schema=self.schema)
