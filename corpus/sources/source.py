"""All sources behind two functions: what there is to read, and reading it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from corpus.configuration import FileRef
from corpus.crawling.source import CrawlSource
from corpus.sources.arxiv import ArxivSource
from corpus.sources.capture import Capture, Piece, SourceError
from corpus.sources.code import CodeSource
from corpus.sources.epub import EpubSource
from corpus.sources.gutenberg import GutenbergSource
from corpus.sources.html import HtmlSource
from corpus.sources.jsonl import JsonlSource
from corpus.sources.mediawiki import MediaWikiSource
from corpus.sources.news import NewsSource
from corpus.sources.parquet import ParquetSource
from corpus.sources.reddit import RedditSource
from corpus.sources.text import TextSource
from corpus.sources.warc import WarcSource

SOURCES = (
    CrawlSource,
    HtmlSource,
    WarcSource,
    NewsSource,
    JsonlSource,
    ParquetSource,
    TextSource,
    MediaWikiSource,
    GutenbergSource,
    EpubSource,
    ArxivSource,
    RedditSource,
    CodeSource,
)


class Source(Protocol):
    """Files to read: a frozen configuration dataclass with a `kind:` discriminator. A crawl is none until it is done.

    Identity hashes the content of what `path` names: nothing else may decide what is read.
    """

    @property
    def path(self) -> FileRef:
        """Folder, or one file."""
        ...

    def pieces(self) -> list[Piece]:
        """Independent pieces of work, in one order on every machine; their names hold no path of it.

        Raises SourceError for a source that is empty.
        """
        ...

    def read(self, piece: Piece) -> Iterator[Capture]:
        """Captures of a piece, in file order; broken records come as captures with a reason."""
        ...

    def wanted(self) -> str:
        """What makes a document: for the error of a source that gave none."""
        ...


def pieces(source: CrawlSource | Source, snapshot: Path | None = None) -> list[Piece]:
    """Pieces of a source; those of a crawl are read from its `snapshot`, a folder of WARCs. Raises SourceError."""
    if not isinstance(source, CrawlSource):
        return source.pieces()
    from corpus.crawling.captures import snapshot_pieces  # the crawler itself is not needed to plan

    if snapshot is None:
        raise SourceError("a crawl is read from its snapshot: crawl first, then name the snapshot's folder")
    return snapshot_pieces(snapshot)


def read(source: CrawlSource | Source, piece: Piece) -> Iterator[Capture]:
    """Captures of a piece of a source."""
    if not isinstance(source, CrawlSource):
        return source.read(piece)
    from corpus.crawling.captures import read_snapshot

    return read_snapshot(piece, source.max_decoded_bytes)


def wanted(source: CrawlSource | Source) -> str:
    """What makes a document: for the error of a source that gave none."""
    return "pages with text" if isinstance(source, CrawlSource) else source.wanted()
