"""WARC 1.1 records, one gzip member each. What a crawl knows of a URL is in them, so that they are its journal too.

A URL that was asked is a `metadata` record with its outcome, after the `request` and the `response` where an answer
was kept.
"""

import hashlib
import mmap
import re
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from corpus.crawling.exchange import Answer
from corpus.crawling.snapshot import Row
from corpus.sources.http import Head, split_message

_LEVEL = 6
_PIECE = 16 << 10  # zlib copies what lies behind a member
_DATE = "%Y-%m-%dT%H:%M:%SZ"
_HEAD_LINE = re.compile(rb"([^:\r\n]+):[ ]?([^\r\n]*)\r\n")


@dataclass(frozen=True, slots=True)
class Stored:
    """What the records of one URL hold: the row's own facts, and the answer if one was kept.

    `offset` and `length` are those of the response's gzip member, `end` is where the next URL's records begin.
    """

    url: str
    outcome: str
    detail: str
    status: int | None
    fetched_at: datetime
    head: Head | None
    body: bytes
    offset: int | None
    length: int | None
    end: int


def opening(user_agent: str) -> bytes:
    """The `warcinfo` record that a file begins with."""
    fields = {"software": "Siku", "format": "WARC File Format 1.1", "http-header-user-agent": user_agent}
    return _member("warcinfo", {}, "application/warc-fields", _fields(fields), datetime.now(UTC))


def written(row: Row, answer: Answer | None) -> tuple[bytes, Row]:
    """The records of one URL, and the row with the response's place in them."""
    at = row.fetched_at or datetime.now(UTC)
    uri = {"WARC-Target-URI": row.url}
    facts = {"outcome": row.outcome, "detail": row.detail, "status": "" if row.status is None else str(row.status)}
    if answer is None:
        return _member("metadata", uri, "application/warc-fields", _fields(facts), at), row
    reply = f"<urn:uuid:{uuid.uuid4()}>"
    beside = {**uri, "WARC-Concurrent-To": reply}
    request = _member("request", beside, "application/http; msgtype=request", answer.request, at)
    headers = {
        **uri,
        "WARC-Record-ID": reply,
        "WARC-IP-Address": answer.address,
        "WARC-Payload-Digest": f"sha256:{hashlib.sha256(answer.body).hexdigest()}",
    }
    response = _member("response", headers, "application/http; msgtype=response", _http(answer), at)
    metadata = _member("metadata", beside, "application/warc-fields", _fields(facts), at)
    return request + response + metadata, replace(row, offset=len(request), length=len(response))


def stored(data: bytes | mmap.mmap) -> Iterator[Stored]:
    """What a file of such records holds, in order. Ends at the first URL whose records are not whole.

    The file's records are whole where the last `end` is its size.
    """
    head: Head | None = None
    body, offset, length = b"", None, None
    for start, end, record in _members(data):
        headers, block = _parsed(record)
        kind = headers.get("warc-type")
        if kind == "response":
            message = split_message(block)
            if message is None:
                return
            (head, body), offset, length = message, start, end - start
        elif kind == "metadata":
            facts = dict(_lines(block))
            status = facts.get("status", "")
            fetched_at = datetime.strptime(headers["warc-date"], _DATE).replace(tzinfo=UTC)
            row = (headers["warc-target-uri"], facts["outcome"], facts.get("detail", ""))
            yield Stored(*row, int(status) if status else None, fetched_at, head, body, offset, length, end)
            head, body, offset, length = None, b"", None, None


def _http(answer: Answer) -> bytes:
    """The response as it was sent, its body as one piece."""
    lines = [f"HTTP/{answer.version} {answer.status} {answer.reason}".rstrip()]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    lines += [f"Content-Length: {len(answer.body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + answer.body


def _fields(fields: Mapping[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()


def _member(kind: str, headers: Mapping[str, str], content_type: str, block: bytes, at: datetime) -> bytes:
    fields = {
        "WARC-Type": kind,
        "WARC-Record-ID": f"<urn:uuid:{uuid.uuid4()}>",
        "WARC-Date": at.strftime(_DATE),
        **headers,
        "WARC-Block-Digest": f"sha256:{hashlib.sha256(block).hexdigest()}",
        "Content-Type": content_type,
        "Content-Length": str(len(block)),
    }
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
    return stream.compress(b"WARC/1.1\r\n" + _fields(fields) + b"\r\n" + block + b"\r\n\r\n") + stream.flush()


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
