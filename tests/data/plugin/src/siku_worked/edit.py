"""Citation marks of encyclopedias are taken out: [12], ［12］, 〔十二〕, [citation needed], [來源請求]."""

import re
from typing import Annotated, ClassVar, Literal

import pyarrow as pa

from corpus.configuration import Doc, configuration
from corpus.edit import spans_from_lists

_MARK = re.compile(r"[\[［〔](?:[0-9０-９一二三四五六七八九十]{1,3}|citation needed|来源请求|來源請求)[\]］〕]")


@configuration
class Citations:
    """Removes marks that refer to a note."""

    version: ClassVar[int] = 1

    edit: Literal["citations"] = "citations"
    order: Annotated[int, Doc("place among the edits of the stage")]

    def spans(self, text: pa.LargeStringArray) -> pa.RecordBatch:
        """Every mark, as UTF-8 offsets."""
        rows: list[int] = []
        starts: list[int] = []
        stops: list[int] = []
        for row, value in enumerate(text.to_pylist()):
            for mark in _MARK.finditer(value):
                start = len(value[: mark.start()].encode())
                rows.append(row)
                starts.append(start)
                stops.append(start + len(mark[0].encode()))
        return spans_from_lists(rows, starts, stops, [""] * len(rows), ["citation"] * len(rows))
