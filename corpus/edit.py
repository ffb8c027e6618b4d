"""How text changes: byte ranges of the input with a replacement and a reason, and nothing else."""

from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np
import pyarrow as pa

# Spans of one batch: `row` counts within the batch, offsets are UTF-8 bytes of that row's text before the edit.
SPANS = pa.schema(
    [
        pa.field("row", pa.uint32(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("stop", pa.int64(), nullable=False),
        pa.field("replacement", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)

# Spans of one edition shard: `step` counts the edits applied in turn; offsets are into the text after step - 1.
EDITS = pa.schema(
    [
        pa.field("id", pa.binary(16), nullable=False),
        pa.field("row", pa.uint32(), nullable=False),
        pa.field("step", pa.uint8(), nullable=False),
        pa.field("edit", pa.string(), nullable=False),  # name@version
        pa.field("start", pa.int64(), nullable=False),
        pa.field("stop", pa.int64(), nullable=False),
        pa.field("replacement", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)


class Edit(Protocol):
    """A frozen configuration dataclass; `order` places it among the edits of its stage."""

    version: ClassVar[int]

    @property
    def order(self) -> int:
        """Place among the edits of a stage."""
        ...

    def spans(self, text: pa.LargeStringArray) -> pa.RecordBatch:
        """Ranges to replace (SPANS), sorted by row and start, not overlapping, on character boundaries."""
        ...


class SpanError(ValueError):
    """Spans that overlap, run backwards, leave the text or cut a character."""


def spans_from_lists(
    rows: Sequence[int],
    starts: Sequence[int],
    stops: Sequence[int],
    replacements: Sequence[str],
    reasons: Sequence[str],
) -> pa.RecordBatch:
    """A SPANS batch from five equally long columns."""
    columns = [rows, starts, stops, replacements, reasons]
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, SPANS, strict=True)], schema=SPANS)


def apply_spans(text: pa.LargeStringArray, spans: pa.RecordBatch) -> pa.LargeStringArray:
    """The next edition: every range replaced, everything between copied.

    Raises SpanError for spans that are not sorted, disjoint, within their row's bytes and between characters.
    """
    if spans.num_rows == 0:
        return text
    rows = spans["row"].to_numpy()
    starts, stops = spans["start"].to_numpy(), spans["stop"].to_numpy()
    replacements = spans["replacement"].to_pylist()
    touched, first = np.unique(rows, return_index=True)
    if np.any(np.diff(rows.astype(np.int64)) < 0) or int(touched[-1]) >= len(text):
        raise SpanError("spans are not sorted by row, or name a row outside the batch")
    bounds = np.append(first, len(rows))
    values: list[bytes | None] = text.cast(pa.large_binary()).to_pylist()
    for index, row in enumerate(touched.tolist()):
        data = values[row] or b""
        out: list[bytes] = []
        cursor = 0
        for k in range(bounds[index], bounds[index + 1]):
            start, stop = int(starts[k]), int(stops[k])
            if not cursor <= start <= stop <= len(data):
                raise SpanError(f"span {start}:{stop} of row {row} overlaps another or leaves its {len(data)} bytes")
            if any(at < len(data) and data[at] & 0xC0 == 0x80 for at in (start, stop)):
                raise SpanError(f"span {start}:{stop} of row {row} cuts a UTF-8 character")
            out += [data[cursor:start], replacements[k].encode()]
            cursor = stop
        values[row] = b"".join([*out, data[cursor:]])
    return pa.array(values, pa.large_binary()).cast(pa.large_string())
