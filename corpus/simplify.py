"""The edit that writes traditional characters as simplified ones, as WuDao, MNBVC and ChineseWebText ask for.

Character by character (OpenCC's TSCharacters): words that differ between regions (軟體, 软件) stay as they are.
"""

import re
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import pyarrow as pa

from corpus.configuration import Doc, configuration
from corpus.edit import spans_from_lists
from kernels.fold import simplified


@lru_cache(maxsize=1)
def _runs() -> re.Pattern[str]:
    return re.compile(f"[{''.join(simplified())}]+")


@configuration
class Simplify:
    """Traditional Chinese characters become simplified ones; the reason is simplified."""

    version: ClassVar[int] = 1

    edit: Literal["simplify"] = "simplify"
    order: Annotated[int, Doc("place among the edits of its stage, ascending")] = 4

    def spans(self, text: pa.LargeStringArray) -> pa.RecordBatch:
        """SPANS of runs of traditional characters."""
        pairs = simplified()
        found: list[tuple[int, int, int, str, str]] = []
        for row, value in enumerate(text.to_pylist()):
            cursor, size = 0, 0
            for match in _runs().finditer(value or ""):
                first = size + len(value[cursor : match.start()].encode())
                size = first + len(match.group().encode())
                cursor = match.end()
                found.append((row, first, size, "".join(map(pairs.__getitem__, match.group())), "simplified"))
        rows, starts, stops, news, reasons = zip(*found, strict=True) if found else ((), (), (), (), ())
        return spans_from_lists(rows, starts, stops, news, reasons)
