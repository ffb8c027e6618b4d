"""Where a document comes from."""

from typing import ClassVar, Literal
from urllib.parse import urlsplit

import pyarrow as pa

from corpus.configuration import configuration
from corpus.measures.columns import fields


def host_of(url: str | None) -> str:
    """The host of a URL, lower case; empty where there is none."""
    try:
        return (urlsplit(url or "").hostname or "").rstrip(".")
    except ValueError:  # no URL at all, such as `http://[::1/x`
        return ""


@configuration
class Address:
    """`host` and `url` of a document, empty for one without: what rules of lists judge."""

    version: ClassVar[int] = 1

    measure: Literal["address"] = "address"

    @property
    def schema(self) -> pa.Schema:
        """Strings."""
        return fields(("host", "url"), pa.string())

    def compute(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """Of each document."""
        if "url" not in documents.schema.names:
            empty = pa.array([""] * documents.num_rows, pa.string())
            return pa.record_batch([empty, empty], schema=self.schema)
        urls = documents["url"].to_pylist()
        columns = [[host_of(url) for url in urls], [url or "" for url in urls]]
        return pa.record_batch([pa.array(column, pa.string()) for column in columns], schema=self.schema)
