"""Captures to documents: decoding, main text, title and declared language; what has no text is dead-lettered."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import pyarrow as pa
from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.document import DOCUMENT, ID, canonical_url, document_id
from corpus.extract.page import Page
from corpus.extract.resiliparse import ResiliparseExtractor
from corpus.extract.siku import SikuExtractor
from corpus.extract.trafilatura import TrafilaturaExtractor
from corpus.html import HTML_TYPES, looks_like_html
from corpus.sources.capture import Capture

DEAD = pa.schema(
    [
        pa.field("id", ID, nullable=False),
        pa.field("url", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("record", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),  # of the payload that gave no document
    ]
)

ROWS, BYTES = 4096, 16 << 20  # a batch is handed on at whichever comes first


AnyExtractor = SikuExtractor | ResiliparseExtractor | TrafilaturaExtractor


@configuration
class Extract:
    """How a page becomes a text."""

    version: ClassVar[int] = 3

    extractor: Annotated[AnyExtractor, Field(discriminator="by"), Doc("what finds the text of a page")] = Field(
        default_factory=SikuExtractor
    )
    min_characters: Annotated[int, Field(ge=1), Doc("shorter texts are dropped as empty_text")] = 1
    max_replaced: Annotated[
        float, Field(ge=0, le=1), Doc("share of unreadable characters above which a page is undecodable")
    ] = 0.01

    @property
    def libraries(self) -> tuple[str, ...]:
        """Distributions that decide the text."""
        return self.extractor.libraries


@dataclass(frozen=True, slots=True)
class Extracted:
    """A batch of documents and the dead letters met on the way; every capture is in exactly one of them."""

    documents: pa.RecordBatch
    payload_bytes: pa.Array  # int64, of each document's capture
    dead: pa.RecordBatch


class _RejectedError(Exception):
    """A capture that gives no document."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def extract_page(html: str, config: Extract) -> Page:
    """Text of a decoded HTML page, and what it says of itself."""
    return config.extractor.page(html)


def _page(capture: Capture, config: Extract) -> Page:
    """The capture's page; raises _RejectedError."""
    from corpus.charset import DecodingError, decode

    if capture.error is not None:
        raise _RejectedError(capture.error, capture.detail)
    if capture.text is not None:
        page = Page(capture.text, capture.title, None, capture.author, capture.published)
    else:
        kind = capture.content_type
        if kind not in HTML_TYPES if kind else not looks_like_html(capture.payload):
            raise _RejectedError("not_html", kind or "no content type, and no HTML tag near the start")
        try:
            html = decode(capture.payload, capture.charset, config.max_replaced).text
            page = extract_page(html, config)
        except DecodingError as error:
            raise _RejectedError("undecodable", str(error)) from error
        except Exception as error:  # one page may not end the stage, whatever it makes a parser raise
            raise _RejectedError("extract_error", f"{type(error).__name__}: {error}"[:500]) from error
    if len(page.text.strip()) < config.min_characters:
        raise _RejectedError("empty_text", f"{len(page.text.strip())} characters of {config.min_characters}")
    return page


def capture_url(capture: Capture) -> str | None:
    """The capture's URL in canonical spelling, or as it stands where it has no host (urn: and the like)."""
    if capture.url is None:
        return None
    try:
        return canonical_url(capture.url)
    except ValueError:
        return capture.url


def capture_id(capture: Capture, source: str) -> bytes:
    """The id of the document this capture holds, whether or not it gives one."""
    return document_id(capture_url(capture) or f"{source}:{capture.record}", capture.payload)


@dataclass(slots=True)
class _Rows:
    """Rows gathered for one batch of each schema."""

    source: str
    documents: list[dict[str, Any]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    dead: list[dict[str, Any]] = field(default_factory=list)
    bytes: int = 0

    def add(self, capture: Capture, config: Extract) -> None:
        key = {
            "id": capture_id(capture, self.source),
            "url": capture_url(capture),
            "source": self.source,
            "record": capture.record,
        }
        try:
            page = _page(capture, config)
        except _RejectedError as rejected:
            extra = {"reason": rejected.reason, "detail": rejected.detail, "bytes": len(capture.payload)}
            self.dead.append({**key, **extra})
            return
        says = {name: getattr(page, name) for name in ("title", "author", "published", "text")}
        self.documents.append({**key, "declared_language": capture.declared_language or page.language, **says})
        self.sizes.append(len(capture.payload))
        self.bytes += len(page.text)

    def full(self) -> bool:
        return len(self.documents) + len(self.dead) >= ROWS or self.bytes >= BYTES

    def batches(self) -> Extracted:
        return Extracted(
            pa.RecordBatch.from_pylist(self.documents, schema=DOCUMENT),
            pa.array(self.sizes, pa.int64()),
            pa.RecordBatch.from_pylist(self.dead, schema=DEAD),
        )


def extract(captures: Iterable[Capture], source: str, config: Extract) -> Iterator[Extracted]:
    """Documents and dead letters of a stream of captures, in their order, at most 4,096 rows a batch."""
    rows = _Rows(source)
    for capture in captures:
        rows.add(capture, config)
        if rows.full():
            yield rows.batches()
            rows = _Rows(source)
    if rows.documents or rows.dead:
        yield rows.batches()
