"""What became of a URL that was asked: a row of the index, with its digest and its links."""

import hashlib
from datetime import datetime

from corpus.charset import DecodingError, decode
from corpus.crawling.frontier import canonical
from corpus.crawling.links import MAX_URL, Links, absolute, page_links
from corpus.crawling.snapshot import FETCHED, HTTP_ERROR, NOT_FOUND, REDIRECT, ROBOTS_FILE, Row
from corpus.html import HTML_TYPES, looks_like_html
from corpus.printable import printable
from corpus.sources.http import CodingError, Head, TooLargeError, decoded_body

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def answered(
    url: str, head: Head, body: bytes, fetched_at: datetime, max_decoded_bytes: int, *, robots: bool = False
) -> Row:
    """The row of an answer, `body` after transfer decoding. One that cannot be decoded has no digest and is not kept.

    Whatever a server makes this code raise is the outcome `crawler_error` of that URL, never the end of the crawl.
    """

    def unread(outcome: str, error: Exception) -> Row:
        name = f"{type(error).__name__}: " if outcome == "crawler_error" else ""
        return Row(url, outcome, printable(f"{name}{error}"), head.status, fetched_at=fetched_at)

    try:
        payload = decoded_body(head, body, max_decoded_bytes)
        outcome, found = (ROBOTS_FILE, Links()) if robots else _page(url, head, payload)
        links = _canonical(found)
        return Row(
            url=url,
            outcome=outcome,
            detail=links.note,
            status=head.status,
            payload_digest=hashlib.sha256(payload).digest(),
            content_type=_content_type(head),
            fetched_at=fetched_at,
            links=links.urls,
        )
    except TooLargeError as error:
        return unread("too_large", error)
    except CodingError as error:
        return unread("bad_coding", error)
    except Exception as error:  # noqa: BLE001 - see above
        return unread("crawler_error", error)


def location(url: str, head: Head) -> str | None:
    """Where a redirect leads: an absolute URL without fragment, malformed ones as written; None for no redirect."""
    target = head.headers.get("location", "").strip() if head.status in _REDIRECTS else ""
    return absolute(url, target).partition("#")[0] if target else None


def _page(url: str, head: Head, payload: bytes) -> tuple[str, Links]:
    target = location(url, head)
    if target is not None:
        return REDIRECT, Links((target,)) if len(target) <= MAX_URL else Links((), 1)
    if head.status == 200:
        return FETCHED, _links(payload, url, head)
    return (NOT_FOUND if head.status == 404 else HTTP_ERROR), Links()


def _links(payload: bytes, url: str, head: Head) -> Links:
    """Links of a page; none where the bytes are no readable HTML."""
    if head.media_type not in HTML_TYPES if head.media_type else not looks_like_html(payload):
        return Links()
    try:
        return page_links(decode(payload, head.charset).text, url)
    except DecodingError:
        return Links()


def _canonical(links: Links) -> Links:
    """The links in their one spelling, where they have one; escaping makes them longer."""
    spelled = dict.fromkeys(canonical(link) or printable(link) for link in links.urls)
    kept = tuple(link for link in spelled if len(link) <= MAX_URL)
    return Links(kept, links.too_long + len(spelled) - len(kept), links.too_many)


def _content_type(head: Head) -> str | None:
    kind = head.headers.get("content-type")
    return kind and printable(kind)
