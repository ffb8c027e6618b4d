"""What MinHash signatures say of two documents: LSH bands (Leskovec, Rajaraman, Ullman, MMDS ch. 3), an estimate."""

import numpy as np
import numpy.typing as npt

from kernels.splitmix import GOLDEN, mix64

Signatures = npt.NDArray[np.uint32]


def bands(signatures: Signatures, bands: int, rows: int) -> npt.NDArray[np.uint64]:
    """Keys [n, bands]: documents that share one agree in `rows` values in a row. The band's number is mixed in.

    A pair of Jaccard similarity J shares one with probability 1 - (1 - J^rows)^bands.
    Raises ValueError when the signatures [n, K] have fewer than bands x rows values.
    """
    if bands < 1 or rows < 1 or bands * rows > signatures.shape[1]:
        raise ValueError(
            f"{bands} bands of {rows} rows need {bands * rows} values, and signatures have {signatures.shape[1]}: "
            "give fewer bands or rows, or measure more permutations"
        )
    values = signatures[:, : bands * rows].reshape(len(signatures), bands, rows).astype(np.uint64)
    start = np.arange(1, bands + 1, dtype=np.uint64) * GOLDEN
    keys = np.broadcast_to(mix64(start), (len(signatures), bands))
    for row in range(rows):
        keys = mix64((keys ^ values[:, :, row]) + GOLDEN)
    return keys


def sketch(signatures: Signatures) -> npt.NDArray[np.uint64]:
    """64 bits of the last four values, 16 of each: among documents with one key, those near in the order of their
    sketches, or of their turned sketches, tend to agree elsewhere too.
    """
    last = signatures[:, -4:].astype(np.uint64)
    out = np.zeros(len(signatures), np.uint64)
    for value in last.T:
        out = (out << np.uint64(16)) | (mix64(value) >> np.uint64(48))
    return out


def jaccard(a: Signatures, b: Signatures) -> npt.NDArray[np.float64]:
    """Estimated Jaccard similarity of each pair of rows of two equally shaped signature arrays."""
    if a.shape != b.shape:
        raise ValueError(f"signatures of shapes {a.shape} and {b.shape} cannot be compared row by row")
    return np.asarray((a == b).mean(axis=1), np.float64)


def has_shingles(signatures: Signatures) -> npt.NDArray[np.bool_]:
    """Rows of documents with at least one shingle; texts without a word all share the signature of nothing."""
    return np.asarray((signatures != np.uint32(0xFFFFFFFF)).any(axis=1), np.bool_)
