"""HTTP messages as stored: headers, and bodies undone of their codings."""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

_STATUS = re.compile(r"HTTP/[0-9](?:\.[0-9])?[ \t]+([0-9]{3})(?![0-9])", re.ASCII | re.IGNORECASE)
_CHARSET = re.compile(r""";\s*charset\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s;"']+))""", re.ASCII | re.IGNORECASE)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]{0,4096})?\r\n")
_TRAILER = re.compile(rb"(?:[^\r\n]+\r\n)*(?:\r\n)?\Z")
_HEAD = 256 << 10  # bytes a head may take
_GZIP = b"\x1f\x8b"
_PIECE = 64 << 10  # zlib copies what lies behind a member: small pieces keep many members linear
_MEMBERS = 1000  # gzip members a body may have; servers send one
_RATIO, _FREE = 250, 1 << 20  # a body over 1 MiB may decode to 250 times its size: text reaches a tenth of that


class CodingError(ValueError):
    """A body whose transfer or content coding cannot be undone."""


class TooLargeError(ValueError):
    """A body over the limit once decoded."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers (names in lower case, repeated ones joined by a comma)."""

    status: int
    headers: Mapping[str, str]

    @property
    def media_type(self) -> str | None:
        """Content type without parameters, in lower case."""
        return (self.headers.get("content-type", "").partition(";")[0].strip().lower()) or None

    @property
    def charset(self) -> str | None:
        """The charset parameter of the content type, the first of several; RFC 2231's `charset*` is not read."""
        found = _CHARSET.search(self.headers.get("content-type", ""))
        return None if found is None else next((value for value in found.groups() if value), None)


def split_message(block: bytes) -> tuple[Head, bytes] | None:
    """Head and body of a stored HTTP response, or None if it has no status line or a head over 256 KiB."""
    ends = [(at, len(mark)) for mark in (b"\r\n\r\n", b"\n\n") if (at := block.find(mark, 0, _HEAD)) >= 0]
    at, width = min(ends) if ends else (len(block), 0)
    # Not str.splitlines: it breaks at \x0b, \x1c or \x85 too, and a header's value could forge another header.
    lines = re.split(r"\r?\n", block[:at].decode("latin-1")) if at <= _HEAD else [""]
    status = _STATUS.match(lines[0])
    if status is None:
        return None
    values: dict[str, list[str]] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            values.setdefault(name.strip().lower(), []).append(value.strip())
    return Head(int(status[1]), {name: ", ".join(given) for name, given in values.items()}), block[at + width :]


def _dechunk(body: bytes) -> bytes:
    """The data of a chunked body (RFC 9112, section 7.1).

    Crawlers store dechunked bodies under the old header: one whose first chunk does not hold is returned as it is.
    """
    out: list[bytes] = []
    at = 0
    while chunk := _CHUNK.match(body, at):
        length = int(chunk[1], 16)
        end = chunk.end() + length
        if length == 0 and (at or _TRAILER.match(body, end)):
            return b"".join(out)
        if end > len(body):
            raise CodingError(f"chunk of {length} bytes at byte {at} runs past the end")
        if length == 0 or body[end : end + 2] != b"\r\n":
            break
        out.append(body[chunk.end() : end])
        at = end + 2
    if at == 0:
        return body
    raise CodingError(f"bad chunk {body[at : at + 20]!r} at byte {at}")


def _inflate(body: bytes, wbits: int, most: int) -> bytes:
    """Decompressed bytes of a zlib or raw deflate stream, or of gzip members one after another."""
    out: list[bytes] = []
    size = members = at = 0
    stream = zlib.decompressobj(wbits)
    while at < len(body):
        piece = stream.decompress(body[at : at + _PIECE], most - size + 1)
        size += len(piece)
        if size > most:
            raise TooLargeError(f"over {most} bytes once decoded")
        out.append(piece)
        at = min(at + _PIECE, len(body)) - len(stream.unconsumed_tail) - len(stream.unused_data)
        if not stream.eof:
            continue
        if body[at : at + 2] != _GZIP:
            return b"".join(out)
        members += 1
        if members == _MEMBERS:
            raise CodingError(f"over {_MEMBERS} gzip members")
        stream = zlib.decompressobj(wbits)
    if not stream.eof:
        raise CodingError("compressed body ends early")
    return b"".join(out)


def _uncoded(body: bytes, coding: str, most: int) -> bytes:
    if not body or coding in ("", "identity", "none", "utf-8"):
        return body
    most = min(most, max(len(body) * _RATIO, _FREE))
    if coding in ("gzip", "x-gzip"):
        return _inflate(body, 31, most) if body[:2] == _GZIP else body
    if coding == "deflate":
        # The name means zlib; some servers send the bare stream.
        zlib_header = len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
        return _inflate(body, 15 if zlib_header else -15, most)
    raise CodingError(f"content coding {coding[:40]!r} is not supported")


def decoded_body(head: Head, body: bytes, most: int) -> bytes:
    """The body after transfer and content decoding. Raises CodingError, TooLargeError."""
    if "chunked" in head.headers.get("transfer-encoding", "").lower():
        body = _dechunk(body)
    codings = [coding.strip() for coding in head.headers.get("content-encoding", "").lower().split(",")]
    if len(codings) > 3:  # each multiplies what a bomb costs
        raise CodingError(f"{len(codings)} content codings")
    try:
        for coding in reversed(codings):
            body = _uncoded(body, coding, most)
    except zlib.error as error:
        raise CodingError(str(error)) from error
    if len(body) > most:
        raise TooLargeError(f"{len(body)} bytes, over {most}")
    return body
