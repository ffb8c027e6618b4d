"""All sources behind two functions: what there is to read, and reading it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from corpus.crawling.source import CrawlSource
from corpus.sources.capture import Capture, Item, SourceError
from corpus.sources.html import HtmlSource, html_items, read_html
from corpus.sources.jsonl import JsonlSource, jsonl_items, read_jsonl
from corpus.sources.warc import WarcSource, read_warcs, warc_items

Source = Annotated[CrawlSource | HtmlSource | WarcSource | JsonlSource, Field(discriminator="kind")]


def items(source: CrawlSource | HtmlSource | WarcSource | JsonlSource, snapshot: Path | None = None) -> list[Item]:
    """Independent pieces of work, in one order on every machine; their names hold no path of it.

    A crawl is read from its `snapshot`, a folder of WARCs. Raises SourceError for a source that is empty.
    """
    match source:
        case HtmlSource():
            return html_items(source)
        case WarcSource():
            return warc_items(source.path.resolve())
        case JsonlSource():
            return jsonl_items(source)
        case CrawlSource():
            if snapshot is None:
                raise SourceError("a crawl is read from its snapshot: crawl first, then name the snapshot's folder")
            return warc_items(snapshot)


def read(source: CrawlSource | HtmlSource | WarcSource | JsonlSource, item: Item) -> Iterator[Capture]:
    """Captures of an item, in file order; broken records come as captures with a reason."""
    match source:
        case HtmlSource():
            return read_html(source, item)
        case WarcSource():
            return read_warcs(item, source.max_bytes)
        case JsonlSource():
            return read_jsonl(source, item)
        case CrawlSource():
            return read_warcs(item, source.max_decoded_bytes)
