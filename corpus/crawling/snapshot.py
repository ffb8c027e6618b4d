"""The index of a crawl: every URL seen, with one outcome, and the digest downstream identity starts from."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

# Outcomes of URLs that were answered and stored.
FETCHED, ROBOTS_FILE, REDIRECT, NOT_FOUND, HTTP_ERROR = "fetched", "robots_file", "redirect", "http_404", "http_error"
# Outcomes of URLs asked for in vain.
FAILURES = ("timeout", "connection_lost", "bad_response", "unreachable_host", "too_large", "not_html", "bad_coding")
# Outcomes of URLs never asked for.
OUT_OF_SCOPE, DISALLOWED, PAGE_LIMIT = "out_of_scope", "robots_disallowed", "page_limit"
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
SEGMENT = SNAPSHOT.append(pa.field("links", pa.list_(pa.string()), nullable=False))


class CrawlError(RuntimeError):
    """A crawl that cannot start or cannot be sealed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One URL of the index; `links` are a page's links or a redirect's target, canonical where they can be."""

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
    links: tuple[str, ...] = ()

    def columns(self, schema: pa.Schema) -> dict[str, Any]:
        """The row as a mapping of the schema's columns."""
        return {name: getattr(self, name) for name in schema.names}


def table(rows: Iterable[Row], schema: pa.Schema = SNAPSHOT) -> pa.Table:
    """Rows as a table, in their order."""
    return pa.Table.from_pylist([row.columns(schema) for row in rows], schema=schema)


def sealed(indexes: Iterable[pa.Table]) -> pa.Table:
    """One index of all hosts, sorted by URL, status and digest; a URL two hosts left alone is there once.

    Raises CrawlError when no page was fetched.
    """
    seen: dict[str, dict[str, Any]] = {}
    for index in indexes:
        for row in index.to_pylist():
            kept = seen.get(row["url"])
            if kept is None or (kept["warc"] is None and row["warc"] is not None):
                seen[row["url"]] = row
    ordered = sorted(seen.values(), key=lambda row: (row["url"], row["status"] or 0, row["payload_digest"] or b""))
    found = pa.Table.from_pylist(ordered, schema=SNAPSHOT)
    counts = outcomes(found)
    if not counts.get(FETCHED):
        raise CrawlError(f"no page was fetched, outcomes {counts}: check source.seeds, source.paths and robots.txt")
    return found


def outcomes(index: pa.Table) -> dict[str, int]:
    """URLs by outcome; they sum to the rows of the index."""
    return {
        item["values"]: item["counts"]
        for item in sorted(index["outcome"].combine_chunks().value_counts().to_pylist(), key=lambda i: str(i["values"]))
    }


def snapshot_digest(index: pa.Table) -> bytes:
    """SHA-256 over the sorted (canonical URL, status, payload digest, content type) of stored responses.

    The content type is there because extraction decodes by its charset. Nothing of time or place is.
    """
    digest = hashlib.sha256()
    captured = index.filter(index["warc"].is_valid())
    names = ("url", "status", "payload_digest", "content_type")
    keys = zip(*(captured[name].to_pylist() for name in names), strict=True)
    for url, status, payload, kind in sorted(keys, key=lambda key: (*key[:3], key[3] or "")):
        for part in (url.encode(), int(status).to_bytes(2, "little"), payload, (kind or "").encode()):
            digest.update(len(part).to_bytes(4, "little") + part)
    return digest.digest()
