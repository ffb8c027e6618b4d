"""What became of a URL that was asked: a row of the index, with its digest and its links."""

import hashlib
from datetime import datetime
from typing import Literal

from corpus.charset import DecodingError, decode
from corpus.crawling import directives
from corpus.crawling.frontier import canonical
from corpus.crawling.links import MAX_URL, Links, absolute, page_links
from corpus.crawling.robots import Robots
from corpus.crawling.sitemap import GZIP, sitemap_links
from corpus.crawling.snapshot import (
    FETCHED,
    HTTP_ERROR,
    NO_INDEX,
    NOT_FOUND,
    REDIRECT,
    ROBOTS_FILE,
    SITEMAP,
    SITEMAP_INDEX,
    Row,
)
from corpus.crawling.source import Crawl
from corpus.escaped import escaped
from corpus.html import HTML_TYPES, looks_like_html
from corpus.sources.http import CodingError, Head, TooLargeError, decoded_body

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

Kind = Literal["page", "robots", "sitemap"]


def answered(url: str, head: Head, body: bytes, fetched_at: datetime, crawl: Crawl, kind: Kind = "page") -> Row:
    """The row of an answer to what was asked for as `kind`, `body` after transfer decoding.

    One that cannot be decoded, or must not be kept, has no digest. Whatever a server makes this code raise is the
    outcome `crawler_error` of that URL, never the end of the crawl.
    """

    def unread(outcome: str, error: Exception) -> Row:
        name = f"{type(error).__name__}: " if outcome == "crawler_error" else ""
        return Row(url, outcome, escaped(f"{name}{error}"), head.status, fetched_at=fetched_at)

    try:
        payload = decoded_body(head, body, crawl.what.max_decoded_bytes)
        outcome, detail, found = _read(url, head, payload, crawl, kind)
        links = _canonical(found)
        return Row(
            url=url,
            outcome=outcome,
            detail=", ".join(filter(None, (detail, links.note))),
            status=head.status,
            payload_digest=None if outcome == NO_INDEX else hashlib.sha256(payload).digest(),
            content_type=None if outcome == NO_INDEX else _content_type(head),
            fetched_at=fetched_at,
            links=links.urls,
        )
    except TooLargeError as error:
        return unread("too_large", error)
    except CodingError as error:
        return unread("bad_coding", error)
    except Exception as error:  # noqa: BLE001 - see above
        return unread("crawler_error", error)


def _read(url: str, head: Head, payload: bytes, crawl: Crawl, kind: Kind) -> tuple[str, str, Links]:
    """Outcome, detail and links."""
    if kind == "robots":
        wanted = Robots.of(head.status, payload, crawl.token).delay_s
        longest = crawl.politeness.longest_wait_s
        return ROBOTS_FILE, f"Crawl-delay {wanted:g} cut to {longest:g} s" if wanted > longest else "", Links()
    target = location(url, head)
    if target is not None:
        return REDIRECT, "", Links((target,)) if len(target) <= MAX_URL else Links((), 1)
    if head.status != 200:
        return NOT_FOUND if head.status == 404 else HTTP_ERROR, "", Links()
    if kind == "sitemap":
        return _sitemap(url, payload, crawl)
    return _page(url, head, payload, crawl.token)


def location(url: str, head: Head) -> str | None:
    """Where a redirect leads: an absolute URL without fragment, malformed ones as written; None for no redirect."""
    target = head.headers.get("location", "").strip() if head.status in _REDIRECTS else ""
    return absolute(url, target).partition("#")[0] if target else None


def _page(url: str, head: Head, payload: bytes, token: str) -> tuple[str, str, Links]:
    said = directives.of_header(head.headers.get("x-robots-tag", ""), token)
    text = _text(payload, head)
    if text is not None:
        said |= directives.of_page(text, token)
    links = Links() if text is None or said.nofollow else page_links(text, url)
    return NO_INDEX if said.noindex else FETCHED, "", links


def _text(payload: bytes, head: Head) -> str | None:
    """Characters of an HTML page; None where the bytes are no readable HTML."""
    if head.media_type not in HTML_TYPES if head.media_type else not looks_like_html(payload):
        return None
    try:
        return decode(payload, head.charset).text
    except DecodingError:
        return None


def _sitemap(url: str, payload: bytes, crawl: Crawl) -> tuple[str, str, Links]:
    if payload.startswith(GZIP):
        payload = decoded_body(Head(200, {"content-encoding": "gzip"}), payload, crawl.what.max_decoded_bytes)
    is_index, links = sitemap_links(payload.decode("utf-8-sig", "replace"), url)
    return SITEMAP_INDEX if is_index else SITEMAP, "", links


def _canonical(links: Links) -> Links:
    """The links in their one spelling, where they have one; escaping makes them longer."""
    spelled = dict.fromkeys(canonical(link) or escaped(link) for link in links.urls)
    kept = tuple(link for link in spelled if len(link) <= MAX_URL)
    return Links(kept, links.too_long + len(spelled) - len(kept), links.too_many)


def _content_type(head: Head) -> str | None:
    kind = head.headers.get("content-type")
    return kind and escaped(kind)
