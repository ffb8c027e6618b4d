"""Keys of the paragraphs that a text is made of."""

import hashlib
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.dedup.key import OFFSETS, SPAN_KEYS, Tie, lists


@configuration
class ParagraphKey:
    """Paragraphs as CCNet (Wenzek et al., LREC 2020) has them: lines. A line's span ends after its newline; its key is
    of its text without the white space around it."""

    version: ClassVar[int] = 1
    tie: ClassVar[Tie] = "span"
    columns: ClassVar[tuple[str, ...]] = ("text",)
    reason: ClassVar[str] = "repeated_paragraph"

    key: Literal["paragraph"] = "paragraph"
    least: Annotated[
        int, Field(ge=1), Doc("UTF-8 bytes of a line; shorter ones repeat without being copied (60: 20 ideographs)")
    ] = 60

    def reads(self) -> tuple[str, ...]:
        """No measure."""
        return ()

    def compute(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """SPAN_KEYS."""
        texts = documents["text"].cast(pa.large_binary()).to_pylist()
        spans = [list(paragraphs(text or b"", self.least)) for text in texts]
        counts = np.array([len(each) for each in spans], np.int64)
        keys, starts, stops = np.array([s for each in spans for s in each], np.uint64).reshape(-1, 3).T
        offsets = (lists(counts, each.astype(np.int64), OFFSETS) for each in (starts, stops))
        return pa.record_batch([documents["id"], lists(counts, keys), *offsets], schema=SPAN_KEYS)


def paragraphs(text: bytes, least: int) -> Iterator[tuple[int, int, int]]:
    """Key, start and stop of each line of `least` bytes or more."""
    start = 0
    for line in text.split(b"\n"):
        stop = min(start + len(line) + 1, len(text))
        stripped = line.decode().strip().encode()
        if len(stripped) >= least:
            yield int.from_bytes(hashlib.sha256(stripped).digest()[:8], "little"), start, stop
        start = stop
