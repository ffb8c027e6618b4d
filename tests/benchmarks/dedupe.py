"""`python -m tests.benchmarks.dedupe`: shingles, signatures and bands, beside datasketch with the same shingles."""

import numpy as np
import pyarrow as pa
from datasketch import MinHash, MinHashLSH

from corpus.dedup import bands
from corpus.measures import Signature
from corpus.segment import shingles
from tests.benchmarks.text import main


def siku(hashing: str):
    """Signatures, then the groups of equal keys."""

    def tool(text: pa.LargeStringArray) -> None:
        found = Signature(permutations=112, hashing=hashing).compute(pa.record_batch([text], names=["text"]))
        values = np.frombuffer(found["signature"].buffers()[1], "<u4").reshape(len(text), 112)
        np.unique(bands(values, 14, 8), return_inverse=True)

    return tool


def datasketch(text: pa.LargeStringArray) -> None:
    """The same 112 permutations and 14 x 8 bands."""
    index = MinHashLSH(num_perm=112, params=(14, 8))
    for row, value in enumerate(text.to_pylist()):
        signature = MinHash(num_perm=112)
        signature.update_batch(shingles(value, 5, 5))
        index.query(signature)
        index.insert(row, signature)


if __name__ == "__main__":
    main("dedupe", {"siku xxh64": siku("xxh64"), "siku sha1": siku("sha1"), "datasketch LSH sha1": datasketch})
