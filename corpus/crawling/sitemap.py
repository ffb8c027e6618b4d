"""Sitemaps (sitemaps.org): lists of a site's pages, or of more such lists. Read without an XML parser, so that
entities expand to nothing and a file that breaks off gives what it has."""

import re
from html import unescape

from corpus.crawling.links import MAX_URL, Links, absolute

MAX_URLS = 50_000  # of one file, as the protocol says
MAX_FILES = 1000  # of one host
_INDEX = re.compile(r"<(?:\w{1,20}:)?sitemapindex\b", re.IGNORECASE)
_XML = re.compile(r"<(?:\w{1,20}:)?(?:urlset|sitemapindex)\b", re.IGNORECASE)
_LOC = re.compile(r"<loc\s{0,20}>\s{0,200}(?:<!\[CDATA\[)?([^<>]{1,8192})", re.IGNORECASE)
_NEAR = 8192  # characters in which the root element begins
GZIP = b"\x1f\x8b"


def sitemap_links(text: str, url: str) -> tuple[bool, Links]:
    """Whether a sitemap lists more sitemaps, and the absolute URLs in it: of XML, or of text with a URL a line."""
    if _XML.search(text[:_NEAR]):
        listed = (each[1].strip().removesuffix("]]") for each in _LOC.finditer(text))
        found = (unescape(each) if len(each) <= MAX_URL else each for each in listed)
    else:
        lines = (line.strip() for line in text.splitlines())
        found = (line for line in lines if line.lower().startswith(("http://", "https://")))
    urls: dict[str, None] = {}
    too_long = too_many = 0
    for each in found:
        target = absolute(url, each).partition("#")[0] if len(each) <= MAX_URL else each
        if len(target) > MAX_URL:
            too_long += 1
        elif len(urls) == MAX_URLS:
            too_many += 1
        else:
            urls[target] = None
    return _INDEX.search(text[:_NEAR]) is not None, Links(tuple(urls), too_long, too_many)
