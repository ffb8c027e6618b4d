"""MinHash signatures (Broder 1997), bit-identical to datasketch 2.0's for the same shingles, hash and seed."""

from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from corpus.configuration import Doc, configuration
from kernels.dispatch import signatures, simplified


@lru_cache(maxsize=8)
def permutations(count: int, seed: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """a (odd) and b of h -> a * h + b mod 2^32, drawn as datasketch 2.0's scheme affine32 draws them."""
    draw = np.random.RandomState(seed)
    a = draw.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return a, draw.randint(0, 1 << 32, count, dtype=np.uint32)


@configuration
class Signature:
    """`signature`: `permutations` uint32, little endian. A document without a word has 2^32 - 1 throughout.

    Shingles are of `words` words or `characters` ideographs (corpus/segment.py); estimates of Jaccard similarity
    have a standard error of at most 0.5 / sqrt(permutations), .044 at 128.
    """

    version: ClassVar[int] = 1

    measure: Literal["signature"] = "signature"
    permutations: Annotated[int, Field(ge=1, le=4096), Doc("values a signature")] = 128
    words: Annotated[int, Field(ge=1, le=64), Doc("words a shingle, in scripts with spaces")] = 5
    characters: Annotated[int, Field(ge=1, le=64), Doc("ideographs a shingle")] = 5
    seed: Annotated[int, Field(ge=0, lt=1 << 32), Doc("draws the permutations")] = 1
    hashing: Annotated[
        Literal["xxh64", "sha1"], Doc("hash of a shingle, cut to 32 bits; sha1 is datasketch's default, 3 times slower")
    ] = "xxh64"

    fold: Annotated[
        bool, Doc("traditional and simplified characters are one, so that a page's mirror in the other script is near")
    ] = True

    @property
    def schema(self) -> pa.Schema:
        """One column."""
        return pa.schema([pa.field("signature", pa.binary(4 * self.permutations), nullable=False)])

    def compute(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """One signature a document."""
        a, b = permutations(self.permutations, self.seed)
        text = simplified(documents["text"]) if self.fold else documents["text"]
        values = signatures(text, self.words, self.characters, a, b, self.hashing)
        data = pa.py_buffer(values.astype("<u4", copy=False))
        column = pa.Array.from_buffers(pa.binary(4 * self.permutations), len(values), [None, data])
        return pa.record_batch([column], schema=self.schema)
