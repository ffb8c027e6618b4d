"""WARC 1.1 records, one gzip member each, so that an offset is enough to read one."""

import hashlib
import uuid
import zlib

from corpus.crawling.fetch import Response
from corpus.sources.http import Head, split_message

# Hop-by-hop or undone by the client: stored bodies are dechunked.
_UNDONE = frozenset({"transfer-encoding", "content-length", "connection", "keep-alive", "trailer"})
_LEVEL = 6


def response_record(response: Response) -> bytes:
    """A gzipped `response` record; the payload digest is SHA-256 of the body after transfer decoding."""
    lines = [f"HTTP/1.1 {response.status} {response.reason}".rstrip()]
    lines += [f"{name}: {value}" for name, value in response.headers if name.lower() not in _UNDONE]
    lines += [f"Content-Length: {len(response.body)}", "", ""]
    block = "\r\n".join(lines).encode("latin-1", "replace") + response.body
    head = [
        "WARC/1.1",
        "WARC-Type: response",
        f"WARC-Record-ID: <urn:uuid:{uuid.uuid4()}>",
        f"WARC-Date: {response.fetched_at:%Y-%m-%dT%H:%M:%SZ}",
        f"WARC-Target-URI: {response.url}",
        f"WARC-Payload-Digest: sha256:{hashlib.sha256(response.body).hexdigest()}",
        f"WARC-Block-Digest: sha256:{hashlib.sha256(block).hexdigest()}",
        "Content-Type: application/http; msgtype=response",
        f"Content-Length: {len(block)}",
        "",
        "",
    ]
    # No time in the gzip header: equal records are equal bytes.
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
    return stream.compress("\r\n".join(head).encode() + block + b"\r\n\r\n") + stream.flush()


def stored_response(member: bytes) -> tuple[Head, bytes]:
    """Head and body of a record written by `response_record`. Raises ValueError for anything else."""
    try:
        record = zlib.decompress(member, 31)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    message = split_message(record.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n\r\n"))
    if message is None:
        raise ValueError("the record holds no HTTP response")
    return message
