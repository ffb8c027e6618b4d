"""All sources behind two functions: what there is to read, and reading it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from corpus.configuration import FileRef
from corpus.crawling.source import CrawlSource
from corpus.sources.capture import Capture, Item, SourceError
from corpus.sources.html import HtmlSource
from corpus.sources.jsonl import JsonlSource
from corpus.sources.warc import WarcSource, read_warcs, warc_items

SOURCES = (CrawlSource, HtmlSource, WarcSource, JsonlSource)


class Source(Protocol):
    """Files to read: a frozen configuration dataclass with a `kind:` discriminator. A crawl is none until it is done.

    Identity hashes the content of what `path` names: nothing else may decide what is read.
    """

    @property
    def path(self) -> FileRef:
        """Folder, or one file."""
        ...

    def items(self) -> list[Item]:
        """Independent pieces of work, in one order on every machine; their names hold no path of it.

        Raises SourceError for a source that is empty.
        """
        ...

    def read(self, item: Item) -> Iterator[Capture]:
        """Captures of an item, in file order; broken records come as captures with a reason."""
        ...


def items(source: CrawlSource | Source, snapshot: Path | None = None) -> list[Item]:
    """Pieces of a source; those of a crawl are read from its `snapshot`, a folder of WARCs. Raises SourceError."""
    if not isinstance(source, CrawlSource):
        return source.items()
    if snapshot is None:
        raise SourceError("a crawl is read from its snapshot: crawl first, then name the snapshot's folder")
    return warc_items(snapshot)


def read(source: CrawlSource | Source, item: Item) -> Iterator[Capture]:
    """Captures of an item of a source."""
    return read_warcs(item, source.max_decoded_bytes) if isinstance(source, CrawlSource) else source.read(item)
