"""The index of a crawl: every URL seen, with one outcome, and the digest downstream identity starts from."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.escaped import escaped

# Outcomes of URLs that were answered and stored.
FETCHED, REDIRECT, NOT_FOUND, HTTP_ERROR = "fetched", "redirect", "http_404", "http_error"
ROBOTS_FILE, SITEMAP, SITEMAP_INDEX = "robots_file", "sitemap", "sitemap_index"
NO_PAGES = (ROBOTS_FILE, SITEMAP, SITEMAP_INDEX)  # kept for the record; no document is made of them
# Pages that ask not to be kept: their links are followed, unless they ask for that too.
NO_INDEX = "noindex"
# Outcomes of URLs asked for in vain. `crawler_error` is a case that nobody foresaw, said in the detail.
LOST = frozenset({"timeout", "connection_lost", "bad_response", "unreachable_host"})  # worth another attempt
FAILURES = (*sorted(LOST), "refused_address", "bad_certificate", "too_large", "not_html", "bad_coding", "crawler_error")
# Outcomes of URLs never asked for.
OUT_OF_SCOPE, DISALLOWED, ROBOTS_UNREACHABLE = "out_of_scope", "robots_disallowed", "robots_unreachable"
PAGE_LIMIT, BYTE_LIMIT, URL_LIMIT, GIVEN_UP = "page_limit", "byte_limit", "url_limit", "host_given_up"
TOO_DEEP, TOO_MANY_REDIRECTS, MALFORMED = "too_deep", "too_many_redirects", "malformed_url"

SNAPSHOT = pa.schema(
    [
        pa.field("url", pa.string(), nullable=False),  # canonical, or as written when malformed
        pa.field("status", pa.int16()),
        pa.field("payload_digest", pa.binary(32)),  # SHA-256 after transfer and content decoding
        pa.field("content_type", pa.string()),
        pa.field("fetched_at", pa.timestamp("us", "UTC")),
        pa.field("warc", pa.string()),
        pa.field("offset", pa.int64()),
        pa.field("length", pa.int64()),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)
# What a finished WARC segment remembers, so that a killed crawl goes on without asking again.
SEGMENT = SNAPSHOT.append(pa.field("end", pa.int64(), nullable=False)).append(
    pa.field("links", pa.list_(pa.string()), nullable=False)
)


class CrawlError(RuntimeError):
    """A crawl that cannot start or cannot be sealed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One URL of the index.

    `links` are a page's links or a redirect's target, canonical where they can be; `end` is where its records end.
    """

    url: str
    outcome: str
    detail: str = ""
    status: int | None = None
    payload_digest: bytes | None = None
    content_type: str | None = None
    fetched_at: datetime | None = None
    warc: str | None = None
    offset: int | None = None
    length: int | None = None
    end: int | None = None
    links: tuple[str, ...] = ()

    def columns(self, schema: pa.Schema) -> dict[str, Any]:
        """The row as a mapping of the schema's columns."""
        return {name: getattr(self, name) for name in schema.names}


def table(rows: Iterable[Row], schema: pa.Schema = SNAPSHOT) -> pa.Table:
    """Rows as a table, in their order."""
    return pa.Table.from_pylist([row.columns(schema) for row in rows], schema=schema)


def sealed(indexes: Iterable[pa.Table]) -> pa.Table:
    """One index of all hosts, sorted by URL. A URL that several hosts met is there once: as a page if it is one,
    else as a kept answer if there is one, else as it was asked for.

    Raises CrawlError when no page was fetched.
    """
    import pyarrow.compute as pc

    together = pa.concat_tables(list(indexes))
    kept, asked = np.asarray(together["warc"].is_valid()), np.asarray(together["fetched_at"].is_valid())
    pages = kept & ~np.asarray(pc.is_in(together["outcome"], pa.array(NO_PAGES)))
    rank = np.select([pages, kept, asked], [0, 1, 2], 3)
    ordered = together.append_column("rank", pa.array(rank)).sort_by([("url", "ascending"), ("rank", "ascending")])
    urls = ordered["url"].combine_chunks()
    first = np.ones(len(urls), bool)
    first[1:] = np.asarray(pc.not_equal(urls[1:], urls[:-1]))
    found = ordered.filter(pa.array(first)).select(SNAPSHOT.names).cast(SNAPSHOT)
    counts = outcomes(found)
    if not counts.get(FETCHED):
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise CrawlError(
            f"no page was fetched ({_cause(found)}{told}): start the servers, or check the source's seeds and "
            "paths, robots.txt and site.hosts"
        )
    return found


def _cause(index: pa.Table) -> str:
    """The first request that failed, in words."""
    import pyarrow.compute as pc

    failed = index.filter(pc.is_in(index["outcome"], pa.array(FAILURES))).slice(0, 1).to_pylist()
    return "".join(f"{escaped(row['url'])}: {row['outcome']}: {row['detail']}; " for row in failed)


def outcomes(index: pa.Table) -> dict[str, int]:
    """URLs by outcome; they sum to the rows of the index."""
    return {
        item["values"]: item["counts"]
        for item in sorted(index["outcome"].combine_chunks().value_counts().to_pylist(), key=lambda i: str(i["values"]))
    }


def snapshot_digest(index: pa.Table) -> bytes:
    """SHA-256 over the sorted (canonical URL, status, payload digest, content type) of kept answers to pages.

    The content type is there because extraction decodes by its charset. Nothing of time or place is, and neither
    are robots.txt and sitemaps, which no document is made of.
    """
    import pyarrow.compute as pc

    digest = hashlib.sha256()
    captured = index.filter(pc.and_not(index["warc"].is_valid(), pc.is_in(index["outcome"], pa.array(NO_PAGES))))
    names = ("url", "status", "payload_digest", "content_type")
    keys = zip(*(captured[name].to_pylist() for name in names), strict=True)
    for url, status, payload, kind in sorted(keys, key=lambda key: (*key[:3], key[3] or "")):
        for part in (url.encode(), int(status).to_bytes(2, "little"), payload, (kind or "").encode()):
            digest.update(len(part).to_bytes(4, "little") + part)
    return digest.digest()
