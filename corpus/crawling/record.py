"""WARC 1.1 records, one gzip member each. What a crawl knows of a URL is in them, so that they are its journal too.

A URL that was asked is a `metadata` record with its outcome, after the `request` and the `response` where an answer
was kept. Where a server said that nothing has changed, a `revisit` stands between them and refers to the `response`,
which is copied from the crawl before as it is: a snapshot needs no other.
"""

import hashlib
import mmap
import re
import uuid
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from corpus.crawling.exchange import Answer
from corpus.crawling.snapshot import Row
from corpus.sources.http import Head, split_message

_LEVEL = 6
_PIECE = 16 << 10  # zlib copies what lies behind a member
_DATE = "%Y-%m-%dT%H:%M:%SZ"
_HEAD_LINE = re.compile(rb"([^:\r\n]+):[ ]?([^\r\n]*)\r\n")
_UNCHANGED = "http://netpreserve.org/warc/1.1/revisit/server-not-modified"

_Fields = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept answer: its head and body, and its record as it stands in the file."""

    head: Head
    body: bytes
    member: bytes
    record_id: str
    date: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What the records of one URL hold: the row's own facts, and the answer if one was kept.

    `links` are there where the answer was not kept. `offset` is that of the response's gzip member, `end` is where
    the next URL's records begin.
    """

    url: str
    outcome: str
    detail: str
    status: int | None
    fetched_at: datetime
    links: tuple[str, ...]
    kept: Kept | None
    offset: int | None
    end: int


def opening(user_agent: str) -> bytes:
    """The `warcinfo` record that a file begins with."""
    fields = [("software", "Siku"), ("format", "WARC File Format 1.1"), ("http-header-user-agent", user_agent)]
    return _member("warcinfo", [], "application/warc-fields", _fields(fields), datetime.now(UTC))


def written(row: Row, answer: Answer | None = None, unchanged: Kept | None = None) -> tuple[bytes, Row]:
    """The records of one URL, and the row with the kept response's place in them.

    `answer` is what the server said, if it is kept; with `unchanged` it said 304 of that.
    """
    at = row.fetched_at or datetime.now(UTC)
    uri = ("WARC-Target-URI", row.url)
    facts = [("outcome", row.outcome), ("detail", row.detail)]
    facts += [] if row.status is None else [("status", str(row.status))]
    if answer is None:
        facts += [("outlink", link) for link in row.links]
        return _member("metadata", [uri], "application/warc-fields", _fields(facts), at), row
    reply = _record_id()
    beside = [uri, ("WARC-Concurrent-To", reply)]
    request = _member("request", beside, "application/http; msgtype=request", answer.request, at)
    said = _said(row.url, reply, answer, unchanged)
    metadata = _member("metadata", beside, "application/warc-fields", _fields(facts), at)
    before = request if unchanged is None else request + said
    kept = said if unchanged is None else unchanged.member
    return before + kept + metadata, replace(row, offset=len(before), length=len(kept))


def stored(data: bytes | mmap.mmap) -> Iterator[Stored]:
    """What a file of such records holds, in order. Ends at the first URL whose records are not whole.

    The file's records are whole where the last `end` is its size.
    """
    kept, offset = None, None
    for start, end, record in _members(data):
        headers, block = _parsed(record)
        kind = headers.get("warc-type")
        if kind == "response":
            message = split_message(block)
            if message is None:
                return
            kept, offset = Kept(*message, data[start:end], headers["warc-record-id"], headers["warc-date"]), start
        elif kind == "metadata":
            lines = list(_lines(block))
            facts = dict(lines)
            links = tuple(value for name, value in lines if name == "outlink")
            status = int(facts["status"]) if "status" in facts else None
            fetched_at = datetime.strptime(headers["warc-date"], _DATE).replace(tzinfo=UTC)
            uri, outcome, detail = headers["warc-target-uri"], facts["outcome"], facts["detail"]
            yield Stored(uri, outcome, detail, status, fetched_at, links, kept, offset, end)
            kept, offset = None, None


def _said(url: str, record_id: str, answer: Answer, unchanged: Kept | None) -> bytes:
    """What the server said, as a `response`, or as a `revisit` of what it said before."""
    body = answer.body if unchanged is None else unchanged.body
    headers = [
        ("WARC-Target-URI", url),
        ("WARC-Record-ID", record_id),
        ("WARC-IP-Address", answer.address),
        ("WARC-Payload-Digest", f"sha256:{hashlib.sha256(body).hexdigest()}"),
    ]
    if unchanged is not None:
        headers += [("WARC-Profile", _UNCHANGED), ("WARC-Refers-To", unchanged.record_id)]
        headers += [("WARC-Refers-To-Target-URI", url), ("WARC-Refers-To-Date", unchanged.date)]
    kind = "response" if unchanged is None else "revisit"
    return _member(kind, headers, "application/http; msgtype=response", _http(answer), answer.fetched_at)


def _record_id() -> str:
    return f"<urn:uuid:{uuid.uuid4()}>"


def _http(answer: Answer) -> bytes:
    """The response as it was sent, its body as one piece."""
    lines = [f"HTTP/{answer.version} {answer.status} {answer.reason}".rstrip()]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    lines += [f"Content-Length: {len(answer.body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + answer.body


def _fields(fields: _Fields) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode()


def _member(kind: str, headers: _Fields, content_type: str, block: bytes, at: datetime) -> bytes:
    fields = {
        "WARC-Type": kind,
        "WARC-Record-ID": _record_id(),
        "WARC-Date": at.strftime(_DATE),
        **dict(headers),
        "WARC-Block-Digest": f"sha256:{hashlib.sha256(block).hexdigest()}",
        "Content-Type": content_type,
        "Content-Length": str(len(block)),
    }
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
    head = b"WARC/1.1\r\n" + _fields(fields.items()) + b"\r\n"
    return stream.compress(head + block + b"\r\n\r\n") + stream.flush()


def _members(data: bytes | mmap.mmap) -> Iterator[tuple[int, int, bytes]]:
    """Start, end and content of the gzip members that are whole and stand one behind the other."""
    start = 0
    while start < len(data):
        stream, at, out = zlib.decompressobj(31), start, []
        try:
            while not stream.eof and at < len(data):
                out.append(stream.decompress(data[at : at + _PIECE]))
                at = min(at + _PIECE, len(data)) - len(stream.unused_data)
        except zlib.error:
            return
        if not stream.eof:
            return
        yield start, at, b"".join(out)
        start = at


def _parsed(record: bytes) -> tuple[dict[str, str], bytes]:
    head, _, rest = record.partition(b"\r\n\r\n")
    headers = {name.lower(): value for name, value in _lines(head.partition(b"\r\n")[2] + b"\r\n")}
    return headers, rest[: int(headers.get("content-length", 0))]


def _lines(block: bytes) -> Iterator[tuple[str, str]]:
    for name, value in _HEAD_LINE.findall(block):
        yield name.decode(), value.decode("utf-8", "replace")
