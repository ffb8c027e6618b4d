"""Keys of pages that translate each other."""

import hashlib
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa

from corpus.configuration import configuration
from corpus.dedup.key import Tie, hashes, head64
from corpus.document import translation_key


@configuration
class PathKey:
    """The URL without its language or edition (corpus/document.py); a document without a URL has none."""

    version: ClassVar[int] = 1
    tie: ClassVar[Tie] = "same"
    columns: ClassVar[tuple[str, ...]] = ("url",)

    key: Literal["path"] = "path"

    def reads(self) -> tuple[str, ...]:
        """No measure."""
        return ()

    def compute(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """KEYS, one a document with a URL."""
        urls = documents["url"].to_pylist()
        rows = np.flatnonzero([url is not None for url in urls])
        names = [f"path {translation_key(urls[row])}".encode("utf-8", "surrogatepass") for row in rows]
        digests = pa.array([hashlib.sha256(name).digest() for name in names], pa.binary(32))
        return hashes(documents["id"], head64(digests), rows)
