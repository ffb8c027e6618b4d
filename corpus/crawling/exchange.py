"""One HTTP/1.1 exchange after another over one connection, within limits on everything that a server sends.

h11 reads the protocol; the limits, the deadline and the socket are here.
"""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import h11

from corpus.crawling.connect import Deadline, FetchError
from corpus.sources.http import Head

_PIECE = 16 << 10
_HEADER_BYTES = 64 << 10  # of a head, of trailers, and of a chunk's size and extensions
_HEADERS = 256  # header lines of a head
_INTERIM = 8  # 1xx answers before the answer
_BODILESS = frozenset({204, 304})
_BLANK = re.compile(rb"\n\r?\n")
_STATUS = re.compile(rb"http(/[0-9]\.[0-9]) ", re.IGNORECASE)
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:([^\n]*)")
_CONTROLS = bytes(32 if (code < 32 and code not in b"\t\r\n") or code == 127 else code for code in range(256))
# Facts of the connection, undone by it: `body` is whole, and its length is written anew.
_FRAMING = frozenset({"transfer-encoding", "content-length", "connection", "keep-alive", "trailer"})


def now() -> datetime:
    """The time in whole seconds, as WARC records hold it."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response whose `body` is after transfer decoding and before content decoding.

    `headers` keep order and spelling; those that spoke of the transfer are left out, so that they are true of
    `body` and nobody decodes it twice. `request` is what was sent, `address` whom it was sent to.
    """

    version: str
    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    fetched_at: datetime
    request: bytes
    address: str

    @property
    def head(self) -> Head:
        """Status and headers by lower-case name."""
        headers: dict[str, str] = {}
        for name, value in self.headers:
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        return Head(self.status, headers)


class Connection:
    """A keep-alive connection. `answered` says whether the exchange under way has brought a byte."""

    def __init__(self, connected: socket.socket, address: str) -> None:
        self._socket, self._address = connected, address
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADER_BYTES)
        self._received = 0
        self._held = bytearray()  # received, and not yet h11's
        self._closed = False

    @property
    def answered(self) -> bool:
        """Whether the latest exchange brought a byte: if not, it may be sent again on another connection."""
        return self._received > 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def get(
        self,
        target: str,
        headers: list[tuple[str, str]],
        most: int,
        deadline: Deadline,
        unwanted: Callable[[Head], str | None],
    ) -> Answer:
        """The answer to a GET with a body of at most `most` bytes. Raises FetchError.

        `unwanted` may refuse a body by its head, with an outcome that ends in `FetchError`. After an error the
        connection is to be closed.
        """
        self._received = 0
        try:
            request = self._send(h11.Request(method="GET", target=target, headers=headers), deadline)
            self._send(h11.EndOfMessage(), deadline)
            return self._answer(request, most, deadline, unwanted)
        except TimeoutError:
            raise FetchError("timeout", "the server stopped sending") from None
        except h11.RemoteProtocolError as error:
            raise FetchError("bad_response", str(error)) from error
        except OSError as error:
            raise FetchError("connection_lost", str(error) or type(error).__name__) from error

    def renew(self) -> bool:
        """Make ready for another exchange; False if the server will have none, or has sent more than it said."""
        done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        if not done or self._held or self._http.trailing_data[0]:
            return False
        self._http.start_next_cycle()
        return True

    def _send(self, event: h11.Request | h11.EndOfMessage, deadline: Deadline) -> bytes:
        data = self._http.send(event) or b""
        self._socket.settimeout(deadline.left())
        self._socket.sendall(data)
        return data

    def _next(self, deadline: Deadline, most: int) -> h11.Event | type[h11.PAUSED]:
        while True:
            left = deadline.left()
            event = self._http.next_event()
            if isinstance(event, h11.Event) or event is h11.PAUSED:
                return event
            if self._pass_on():
                continue
            self._socket.settimeout(left)
            piece = self._socket.recv(_PIECE)
            if not piece and not self._received:
                raise FetchError("connection_lost", "closed without an answer")
            self._held += piece
            self._closed = not piece
            self._received += len(piece)
            if self._received > most:
                raise FetchError("too_large", f"over {most} bytes of head, body and framing")

    def _pass_on(self) -> bool:
        """Give h11 what is held, a head as a whole and mended; False if there is nothing to give yet."""
        data = bytes(self._held)
        if data and self._http.their_state in (h11.IDLE, h11.SEND_RESPONSE) and not self._closed:
            end = _BLANK.search(data)
            if (len(data) if end is None else end.end()) > _HEADER_BYTES:
                raise FetchError("bad_response", f"a head over {_HEADER_BYTES} bytes")
            if end is None:
                return False
            data = data[: end.end()]
            del self._held[: len(data)]
            self._http.receive_data(mended(data))
        elif data or self._closed:
            self._held.clear()
            self._http.receive_data(data)
        return bool(data) or self._closed

    def _answer(self, request: bytes, most: int, deadline: Deadline, unwanted: Callable[[Head], str | None]) -> Answer:
        on_the_wire = 2 * most + _HEADER_BYTES * _INTERIM  # chunks of a few bytes are framing for the most part
        start = self._next(deadline, on_the_wire)
        interim = 0
        while isinstance(start, h11.InformationalResponse) and interim < _INTERIM:
            interim += 1
            start = self._next(deadline, on_the_wire)
        if not isinstance(start, h11.Response):
            raise FetchError("bad_response", f"no answer after {interim} interim ones")
        answer = self._head(start, request)
        refused = unwanted(answer.head)
        if refused is not None:
            raise FetchError(refused, answer.head.media_type or "", answer.status)
        length = next((int(value) for name, value in start.headers if name == b"content-length"), 0)
        if length > most and answer.status not in _BODILESS:
            raise FetchError("too_large", f"{length} bytes, over {most}", answer.status)
        return replace(answer, body=self._body(answer.status, most, on_the_wire, deadline))

    def _head(self, start: h11.Response, request: bytes) -> Answer:
        raw = start.headers.raw_items()
        if len(raw) > _HEADERS:
            raise FetchError("bad_response", f"{len(raw)} headers, over {_HEADERS}")
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in raw)
        kept = tuple((name, value) for name, value in headers if name.lower() not in _FRAMING)
        version, reason = start.http_version.decode("ascii"), start.reason.decode("latin-1")
        return Answer(version, start.status_code, reason, kept, b"", now(), request, self._address)

    def _body(self, status: int, most: int, on_the_wire: int, deadline: Deadline) -> bytes:
        body = bytearray()
        while isinstance(event := self._next(deadline, on_the_wire), h11.Data):
            body += event.data
            if len(body) > most:
                raise FetchError("too_large", f"over {most} bytes", status)
        if not isinstance(event, h11.EndOfMessage):
            raise FetchError("bad_response", "the body has no end", status)
        return bytes(body)


def mended(head: bytes) -> bytes:
    """A head without what h11 refuses and browsers pass over.

    That is: lines that are no field, spaces before a colon, control characters in values, a status line in lower
    case, `chunked` said twice, `identity`.
    """
    status, *fields = re.split(rb"\r?\n", head.rstrip(b"\r\n"))
    lines = [_STATUS.sub(rb"HTTP\1 ", status, count=1)]
    kept = chunked = False
    for line in fields:
        if line[:1] in (b" ", b"\t"):  # the line before goes on
            lines[-1] += b" " + line.translate(_CONTROLS).strip() if kept else b""
            continue
        field = _FIELD.fullmatch(line)
        name, value = (field[1], field[2].translate(_CONTROLS).strip()) if field else (b"", b"")
        coding = value.lower() if name.lower() == b"transfer-encoding" else b""
        kept = field is not None and coding != b"identity" and not (chunked and coding == b"chunked")
        chunked = chunked or coding == b"chunked"
        if kept:
            lines.append(name + b": " + value)
    return b"\r\n".join([*lines, b"", b""])
