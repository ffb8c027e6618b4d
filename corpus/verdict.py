"""The ledger's rows and figures: who was dropped by what, and that nothing was lost or counted twice."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from kernels.buffers import fixed_width

VERDICT = pa.schema(
    [
        pa.field("id", pa.binary(16), nullable=False),
        pa.field("row", pa.uint32(), nullable=False),  # row of the home shard
        pa.field("rule", pa.string(), nullable=False),  # name@version
        pa.field("reason", pa.string(), nullable=False),
        pa.field("first", pa.bool_(), nullable=False),  # the reason counted in the funnel
        pa.field("value", pa.float64(), nullable=False),
        pa.field("threshold", pa.float64(), nullable=False),
        pa.field("keeper", pa.binary(16)),  # for a duplicate: the document kept instead
    ]
)

_MODULUS = 1 << 128


class ReconciliationError(RuntimeError):
    """Documents or bytes that went in and did not come out, or came out twice."""


@dataclass(frozen=True, slots=True)
class Count:
    """A number of documents and the sum of their ids mod 2^128: equal counts of other documents differ."""

    documents: int = 0
    id_sum: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.documents + other.documents, (self.id_sum + other.id_sum) % _MODULUS)

    def encode(self) -> list[int | str]:
        """As JSON: the sum in hex, for JSON numbers end at 2^53."""
        return [self.documents, f"{self.id_sum:032x}"]

    @classmethod
    def decode(cls, value: list[int | str]) -> "Count":
        """The inverse of encode."""
        return cls(int(value[0]), int(str(value[1]), 16))


T = TypeVar("T", int, Count)


def count_ids(ids: pa.Array | pa.ChunkedArray) -> Count:
    """Documents and id sum of a binary(16) column."""
    if ids.null_count or ids.type != pa.binary(16):
        raise ReconciliationError(f"ids are {ids.type} with {ids.null_count} nulls; they are 16 bytes, each there")
    words = fixed_width(ids).view(">u4").astype(np.uint64).sum(axis=0)  # 32-bit words: no overflow below 2^32 rows
    total = sum(int(word) << shift for word, shift in zip(words, (96, 64, 32, 0), strict=True))
    return Count(len(ids), total % _MODULUS)


@dataclass(frozen=True, slots=True)
class Tally:
    """What a stage did with its documents, and, for an edition, with their bytes.

    `came + born = kept + sum of dropped` must hold in documents and in id sums;
    `bytes_in + sum of added = bytes_out + sum of removed` for an edition.
    """

    came: Count = Count()
    born: Count = Count()
    kept: Count = Count()
    dropped: Mapping[str, Count] = field(default_factory=dict)
    bytes_in: int = 0
    bytes_out: int = 0
    removed: Mapping[str, int] = field(default_factory=dict)
    added: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            came=self.came + other.came,
            born=self.born + other.born,
            kept=self.kept + other.kept,
            dropped=_merged(self.dropped, other.dropped, Count()),
            bytes_in=self.bytes_in + other.bytes_in,
            bytes_out=self.bytes_out + other.bytes_out,
            removed=_merged(self.removed, other.removed, 0),
            added=_merged(self.added, other.added, 0),
        )

    def check(self, where: str) -> None:
        """Raise ReconciliationError, with both sides, unless the figures balance."""
        left, right = self.came + self.born, sum(self.dropped.values(), self.kept)
        if left != right:
            dropped = {reason: count.documents for reason, count in self.dropped.items()}
            raise ReconciliationError(
                f"{where}: in {self.came.documents} + born {self.born.documents} = {left.documents} documents "
                f"(id sum {left.id_sum:032x}), but kept {self.kept.documents} + dropped "
                f"{dropped} = {right.documents} (id sum {right.id_sum:032x})"
            )
        bytes_left = self.bytes_in + sum(self.added.values())
        bytes_right = self.bytes_out + sum(self.removed.values())
        if bytes_left != bytes_right:
            raise ReconciliationError(
                f"{where}: {self.bytes_in} bytes in + {dict(self.added)} added = {bytes_left}, but "
                f"{self.bytes_out} out + {dict(self.removed)} removed = {bytes_right}"
            )

    def encode(self) -> dict[str, object]:
        """As JSON, keys sorted."""
        return {
            "in": self.came.encode(),
            "born": self.born.encode(),
            "kept": self.kept.encode(),
            "dropped": {k: v.encode() for k, v in sorted(self.dropped.items())},
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "removed": dict(sorted(self.removed.items())),
            "added": dict(sorted(self.added.items())),
        }

    @classmethod
    def decode(cls, value: Mapping[str, Any]) -> "Tally":
        """The inverse of encode."""
        return cls(
            came=Count.decode(value["in"]),
            born=Count.decode(value["born"]),
            kept=Count.decode(value["kept"]),
            dropped={k: Count.decode(v) for k, v in value["dropped"].items()},
            bytes_in=value["bytes_in"],
            bytes_out=value["bytes_out"],
            removed=value["removed"],
            added=value["added"],
        )


def _merged(left: Mapping[str, T], right: Mapping[str, T], zero: T) -> dict[str, T]:
    return {k: left.get(k, zero) + right.get(k, zero) for k in sorted({*left, *right})}


def total(tallies: Iterable[Tally]) -> Tally:
    """The sum of tallies, whatever their order."""
    return sum(tallies, Tally())
