"""Counts of the kernels as the columns of a measure."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Counts = npt.NDArray[np.int64]
Column = npt.NDArray[np.int64] | npt.NDArray[np.float64]


def fields(names: Sequence[str], type_: pa.DataType) -> pa.Schema:
    """Non-null columns of one type."""
    return pa.schema([pa.field(name, type_, nullable=False) for name in names])


def by_name(counts: Counts, names: Sequence[str]) -> dict[str, Counts]:
    """The columns of a kernel's counts [n, len(names)]."""
    return {name: counts[:, k] for k, name in enumerate(names)}


def share(part: Counts, whole: Counts) -> npt.NDArray[np.float64]:
    """part / whole, NaN where whole is 0."""
    out = np.full(len(part), np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def batch(columns: Mapping[str, Column], schema: pa.Schema) -> pa.RecordBatch:
    """A record batch of the schema from columns by name."""
    return pa.record_batch([pa.array(columns[f.name], f.type, from_pandas=False) for f in schema], schema=schema)
