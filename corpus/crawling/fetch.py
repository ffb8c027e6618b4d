"""One HTTP request after another to one host: keep-alive, limits, pace and retries."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from corpus.crawling.source import CrawlSource, Politeness
from corpus.html import HTML_TYPES
from corpus.sources.http import Head

_PIECE = 1 << 16
_BODY_TIMEOUTS = 10  # a body may take this many times timeout_s: servers that drip bytes never time out otherwise
_LONGEST_WAIT = 60.0  # seconds of Retry-After honoured
_AGAIN = frozenset({429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: `body` is after transfer decoding and before content decoding."""

    url: str
    status: int
    reason: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    fetched_at: datetime

    @property
    def head(self) -> Head:
        """Status and headers by lower-case name."""
        headers: dict[str, str] = {}
        for name, value in self.headers:
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        return Head(self.status, headers)

    @property
    def location(self) -> str | None:
        """Where a redirect points, as written."""
        return self.head.headers.get("location") if self.status in _REDIRECTS else None


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer that can be kept: `outcome` says why, `status` is set where a status line was read."""

    url: str
    outcome: str
    detail: str
    status: int | None = None


class Pace:
    """Spaces the requests to one host, whichever thread sends them."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Return when the next request may be sent."""
        if self.delay_s <= 0:
            return
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self.delay_s
        time.sleep(max(start - now, 0.0))


class Client:
    """Connections of one thread, one for each scheme and host."""

    def __init__(self, what: CrawlSource, where: Politeness, pace: Pace) -> None:
        self._what, self._where, self._pace = what, where, pace
        self._open: dict[tuple[str, str], http.client.HTTPConnection] = {}

    def close(self) -> None:
        """Close all connections."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def fetch(self, url: str, *, any_type: bool = False) -> Response | Failure:
        """The answer for a canonical URL after at most `retries` further attempts; redirects are not followed.

        A 200 that is no HTML is a Failure, its body unread, unless `any_type`.
        """
        wait = self._where.retry_wait_s
        for attempt in range(self._what.retries + 1):
            result = self._attempt(url, any_type)
            status = result.status
            lost = isinstance(result, Failure) and result.outcome in ("timeout", "connection_lost", "bad_response")
            if attempt == self._what.retries or not (lost or status in _AGAIN):
                break
            asked = result.head.headers.get("retry-after", "") if isinstance(result, Response) else ""
            time.sleep(min(float(asked), _LONGEST_WAIT) if asked.isdigit() else wait)
            wait *= 2
        return result

    def _attempt(self, url: str, any_type: bool) -> Response | Failure:
        parts = urlsplit(url)
        key = (parts.scheme, parts.netloc)
        self._pace.wait()
        reused = key in self._open
        try:
            return self._exchange(url, key, any_type)
        except (http.client.RemoteDisconnected, ConnectionError) as error:
            self._drop(key)
            if not reused:
                return Failure(url, "connection_lost", str(error) or type(error).__name__)
        except _UnreachableError as error:
            return Failure(url, "unreachable_host", str(error))
        except TimeoutError:
            self._drop(key)
            return Failure(url, "timeout", f"no answer in {self._what.timeout_s} s")
        except (http.client.HTTPException, OSError) as error:
            self._drop(key)
            return Failure(url, "bad_response", f"{type(error).__name__}: {error}"[:300])
        return self._attempt(url, any_type)  # the server had closed an idle connection: nothing was answered yet

    def _drop(self, key: tuple[str, str]) -> None:
        connection = self._open.pop(key, None)
        if connection is not None:
            connection.close()

    def _connection(self, key: tuple[str, str]) -> http.client.HTTPConnection:
        if key not in self._open:
            scheme, netloc = key
            connection = http.client.HTTPConnection(netloc, timeout=self._what.timeout_s)
            connection.auto_open = 0  # it would resolve the name itself
            connection.sock = self._socket(scheme, netloc)
            self._open[key] = connection
        return self._open[key]

    def _socket(self, scheme: str, netloc: str) -> socket.socket:
        host, port = address_of(scheme, netloc, self._where)
        try:
            plain = socket.create_connection((host, port), timeout=self._what.timeout_s)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if scheme == "http":
                return plain
            name = urlsplit(f"//{netloc}").hostname
            return ssl.create_default_context().wrap_socket(plain, server_hostname=name)
        except OSError as error:
            raise _UnreachableError(f"{netloc} at {host}:{port}: {error}") from error

    def _exchange(self, url: str, key: tuple[str, str], any_type: bool) -> Response | Failure:
        parts = urlsplit(url)
        connection = self._connection(key)
        headers = {
            "Host": parts.netloc,
            "User-Agent": self._what.user_agent,
            "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1",
            "Accept-Encoding": "gzip, deflate",
        }
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), headers=headers)
        answer = connection.getresponse()
        response = Response(url, answer.status, answer.reason, answer.getheaders(), b"", datetime.now(UTC))
        kind = response.head.media_type
        if not any_type and response.status == 200 and kind is not None and kind not in HTML_TYPES:
            self._drop(key)  # cheaper than reading a body nobody wants
            return Failure(url, "not_html", kind, 200)
        body = self._body(answer)
        if body is None:
            self._drop(key)
            return Failure(url, "too_large", f"over {self._what.max_bytes} bytes", response.status)
        if answer.will_close:
            self._drop(key)
        return Response(url, response.status, response.reason, response.headers, body, response.fetched_at)

    def _body(self, answer: http.client.HTTPResponse) -> bytes | None:
        """The body, or None if it is longer than the crawl takes."""
        deadline = time.monotonic() + self._what.timeout_s * _BODY_TIMEOUTS
        pieces: list[bytes] = []
        size = 0
        while piece := answer.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > self._what.max_bytes:
                return None
            if time.monotonic() > deadline:
                raise TimeoutError
        if answer.length:  # bytes promised and never sent; read(amt) does not mind
            raise http.client.IncompleteRead(b"", answer.length)
        return b"".join(pieces)


class _UnreachableError(Exception):
    """A host nobody answers for."""


def address_of(scheme: str, netloc: str, where: Politeness) -> tuple[str, int]:
    """Address and port a host is asked at: from `where.hosts` (with or without its port), else its own name."""
    parts = urlsplit(f"//{netloc}")
    mapped = where.hosts.get(netloc) or where.hosts.get(parts.hostname or "")
    if mapped is not None:
        host, _, port = mapped.rpartition(":")
        return host.strip("[]"), int(port)
    return parts.hostname or "", parts.port or (443 if scheme == "https" else 80)
