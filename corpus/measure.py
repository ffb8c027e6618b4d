"""What is measured of a document: named columns, aligned row for row with the edition measured."""

from typing import ClassVar, Protocol

import pyarrow as pa


class Measure(Protocol):
    """A frozen configuration dataclass with a `measure:` discriminator and a hand-bumped version.

    Its columns are stored under its own digest, so a new threshold measures nothing again.
    """

    version: ClassVar[int]

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns it yields."""
        ...

    def compute(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """The measure's columns for a batch of documents, one row each, in the same order."""
        ...


class MeasureError(ValueError):
    """A measure that returns other rows or columns than it promised."""


def checked(name: str, measure: Measure, documents: pa.RecordBatch) -> pa.RecordBatch:
    """`measure.compute`, refused unless it is aligned with the documents."""
    columns = measure.compute(documents)
    if columns.num_rows != documents.num_rows or columns.schema != measure.schema:
        raise MeasureError(
            f"measure {name} returned {columns.num_rows} rows of {columns.schema.names} for "
            f"{documents.num_rows} documents; it promised {measure.schema.names}"
        )
    return columns
