"""HTTP messages as stored: headers, and bodies undone of their codings."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message


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
        """The charset parameter of the content type."""
        message = Message()
        message["content-type"] = self.headers.get("content-type", "")
        value = message.get_param("charset")
        return value if isinstance(value, str) else None


def split_message(block: bytes) -> tuple[Head, bytes] | None:
    """Head and body of a stored HTTP response, or None if it has no status line."""
    ends = [(at, len(mark)) for mark in (b"\r\n\r\n", b"\n\n") if (at := block.find(mark)) >= 0]
    at, width = min(ends) if ends else (len(block), 0)
    lines = block[:at].decode("latin-1").splitlines()
    parts = lines[0].split(None, 2) if lines else []
    if len(parts) < 2 or not parts[0].upper().startswith("HTTP") or not parts[1].isdigit():
        return None
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        key = name.strip().lower()
        if colon:
            headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    return Head(int(parts[1]), headers), block[at + width :]


def _dechunk(body: bytes) -> bytes:
    out: list[bytes] = []
    at = 0
    while True:
        end = body.find(b"\r\n", at)
        size = body[at:end].split(b";")[0].strip() if end >= 0 else b""
        try:
            length = int(size, 16)
        except ValueError:
            if at == 0:  # crawlers store dechunked bodies under the old header
                return body
            raise CodingError(f"bad chunk size {size[:20]!r} at byte {at}") from None
        if length == 0:
            return b"".join(out)
        if end + 2 + length > len(body):
            raise CodingError(f"chunk of {length} bytes at byte {at} runs past the end")
        out.append(body[end + 2 : end + 2 + length])
        at = end + 2 + length + 2


def _inflate(body: bytes, wbits: int, most: int) -> bytes:
    out: list[bytes] = []
    size = 0
    rest = body
    while rest:  # concatenated gzip members
        stream = zlib.decompressobj(wbits)
        piece = stream.decompress(rest, most - size + 1)
        size += len(piece)
        if size > most:
            raise TooLargeError(f"over {most} bytes once decoded")
        out.append(piece)
        if not stream.eof:
            raise CodingError("compressed body ends early")
        rest = stream.unused_data if stream.unused_data[:2] == b"\x1f\x8b" else b""
    return b"".join(out)


def _uncoded(body: bytes, coding: str, most: int) -> bytes:
    if coding in ("", "identity", "none", "utf-8"):
        return body
    if coding in ("gzip", "x-gzip"):
        return _inflate(body, 31, most) if body[:2] == b"\x1f\x8b" else body
    if coding == "deflate":
        # The name means zlib; some servers send the bare stream.
        zlib_header = len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
        return _inflate(body, 15 if zlib_header else -15, most)
    raise CodingError(f"content coding {coding!r} is not supported")


def decoded_body(head: Head, body: bytes, most: int) -> bytes:
    """The body after transfer and content decoding. Raises CodingError, TooLargeError."""
    if "chunked" in head.headers.get("transfer-encoding", "").lower():
        body = _dechunk(body)
    try:
        for coding in reversed(head.headers.get("content-encoding", "").lower().split(",")):
            body = _uncoded(body, coding.strip(), most)
    except zlib.error as error:
        raise CodingError(str(error)) from error
    if len(body) > most:
        raise TooLargeError(f"{len(body)} bytes, over {most}")
    return body
