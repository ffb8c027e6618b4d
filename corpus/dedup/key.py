"""Keys: what two documents, or two stretches of their text, have in common. Groups are made of those that share one."""

from collections.abc import Sequence
from typing import ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.document import ID
from kernels.buffers import fixed_width

# What documents with one key are to each other. similar: perhaps near-duplicates, which their signatures decide.
# same: of one group. copy: of one text. span: holders of one stretch of text.
Tie = Literal["similar", "same", "copy", "span"]
TIES: tuple[Tie, ...] = ("similar", "same", "copy", "span")

_HASHES = pa.list_(pa.field("item", pa.uint64(), nullable=False))
OFFSETS = pa.list_(pa.field("item", pa.int64(), nullable=False))
# One row a document, aligned with its edition; a document may have no key.
KEYS = pa.schema([pa.field("id", ID, nullable=False), pa.field("keys", _HASHES, nullable=False)])
SIMILAR_KEYS = KEYS.append(pa.field("sketch", pa.uint64(), nullable=False))  # corpus.dedup.sketch
# Keys of spans, UTF-8 byte offsets into the document's text; those of a document are sorted and disjoint.
SPAN_KEYS = KEYS.append(pa.field("starts", OFFSETS, nullable=False)).append(pa.field("stops", OFFSETS, nullable=False))
SCHEMAS = {"similar": SIMILAR_KEYS, "same": KEYS, "copy": KEYS, "span": SPAN_KEYS}


class Key(Protocol):
    """A frozen configuration dataclass with a `key:` discriminator and a hand-bumped version.

    Keys are 64-bit hashes, even in every bit: of 10^10 documents about three pairs share one by chance.
    """

    version: ClassVar[int]
    tie: ClassVar[Tie]
    columns: ClassVar[tuple[str, ...]]  # of the document

    def reads(self) -> tuple[str, ...]:
        """Columns of measures, as `measure.column`."""
        ...

    def compute(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """Rows of `SCHEMAS[tie]` for a batch of documents: their ids, and `columns` and `reads()` by those names."""
        ...


class SpanKey(Key, Protocol):
    """A key of stretches of text."""

    reason: ClassVar[str]  # why a stretch is cut that another document has before

    @property
    def key(self) -> str:
        """The discriminator."""
        ...


def lists(counts: npt.NDArray[np.int64], values: npt.NDArray[np.generic], kind: pa.DataType = _HASHES) -> pa.Array:
    """A list column: `counts[i]` of the values, one after the other, are row i's."""
    ends = np.concatenate([[0], np.cumsum(counts)])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(values, kind.value_type), type=kind)


def hashes(
    ids: pa.Array, keys: npt.NDArray[np.uint64], owners: Sequence[int] | npt.NDArray[np.int64]
) -> pa.RecordBatch:
    """KEYS of documents, given keys and the row that each belongs to, ascending."""
    counts = np.bincount(np.asarray(owners, np.int64), minlength=len(ids))
    return pa.record_batch([ids, lists(counts, keys)], schema=KEYS)


def head64(digests: pa.Array) -> npt.NDArray[np.uint64]:
    """The first 8 bytes of each digest of a fixed size, as a little-endian number."""
    head: npt.NDArray[np.uint64] = fixed_width(digests)[:, :8].copy().view("<u8").ravel()
    return head
