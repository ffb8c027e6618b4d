"""One HTTP request after another to one host: keep-alive, pace and retries. Whatever happens ends in an outcome."""

import math
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from corpus.crawling.connect import Deadline, FetchError, connect
from corpus.crawling.exchange import Answer, Connection, now
from corpus.crawling.snapshot import LOST
from corpus.crawling.source import Crawl
from corpus.escaped import escaped
from corpus.html import HTML_TYPES
from corpus.sources.http import Head

_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_SECONDS = re.compile(r"[0-9]{1,10}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer that can be kept: `outcome` says why, `status` is set where a status line was read."""

    outcome: str
    detail: str
    status: int | None
    failed_at: datetime


class StoppedError(Exception):
    """The crawl was stopped before this request."""


class Pace:
    """Spaces the requests to one host: `delay_s` passes from the end of one to the start of the next."""

    def __init__(self, delay_s: float, latest: datetime | None = None, stop: threading.Event | None = None) -> None:
        """`latest` is when an earlier crawl of the host asked last."""
        self.delay_s = delay_s
        self._stop = stop or threading.Event()
        since = None if latest is None else (datetime.now(UTC) - latest).total_seconds()
        self._ended = -math.inf if since is None else time.monotonic() - max(since, 0.0)

    def wait(self, at_least: float = 0.0) -> None:
        """Return when the next request may be sent, after `at_least` seconds. Raises StoppedError."""
        self.sleep(max(self._ended + self.delay_s - time.monotonic(), at_least))

    def sleep(self, seconds: float) -> None:
        """Let time pass. Raises StoppedError."""
        if self._stop.wait(max(seconds, 0.0)):
            raise StoppedError

    def sent(self) -> None:
        """A request has ended."""
        self._ended = time.monotonic()


class Client:
    """Asks hosts, one request at a time; the connection to the host asked last is kept open."""

    def __init__(self, crawl: Crawl, pace: Pace) -> None:
        self._crawl, self.pace = crawl, pace
        self._open: tuple[tuple[str, str], Connection] | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def fetch(self, url: str, headers: Sequence[tuple[str, str]] = (), *, any_type: bool = False) -> Answer | Failure:
        """The answer for a canonical URL after at most `retries` further attempts; redirects are not followed.

        A 200 that is no HTML is a Failure, its body unread, unless `any_type`.
        """
        politeness, retries = self._crawl.politeness, self._crawl.what.retries
        unwanted = _anything if any_type else _no_html
        result, asked = self._attempt(url, headers, unwanted), None
        for attempt in range(retries):
            if isinstance(result, Failure):
                if result.outcome not in LOST:
                    break
            elif result.status not in _AGAIN:
                break
            else:
                asked = retry_after(result.head.headers.get("retry-after", ""), result.fetched_at)
            wait = politeness.retry_wait_s * 2**attempt if asked is None else asked
            self.pace.wait(min(wait, politeness.longest_wait_s))
            result, asked = self._attempt(url, headers, unwanted), None
        return result

    def _attempt(
        self, url: str, headers: Sequence[tuple[str, str]], unwanted: Callable[[Head], str | None]
    ) -> Answer | Failure:
        self.pace.wait()
        try:
            return self._exchange(url, headers, unwanted)
        except FetchError as error:
            self.close()
            return Failure(error.outcome, escaped(error.detail), error.status, now())
        except Exception as error:  # noqa: BLE001 - what nobody foresaw costs its URL, and says so, never the crawl
            self.close()
            detail = escaped(f"{type(error).__name__}: {error}")
            return Failure("crawler_error", detail, None, now())
        finally:
            self.pace.sent()

    def _exchange(
        self, url: str, conditions: Sequence[tuple[str, str]], unwanted: Callable[[Head], str | None]
    ) -> Answer:
        parts = urlsplit(url)
        key = (parts.scheme, parts.netloc)
        headers = [
            ("Host", parts.netloc),
            ("User-Agent", self._crawl.user_agent),
            ("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1"),
            ("Accept-Encoding", "gzip, deflate"),
            *conditions,
        ]
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        most, deadline = self._crawl.what.max_bytes, Deadline(self._crawl.what.timeout_s)
        connection, reused = self._connection(key, deadline)
        try:
            answer = connection.get(target, headers, most, deadline, unwanted)
        except FetchError as error:
            # The server had closed an idle connection before the request came: it was not answered, nor refused.
            if not reused or connection.answered or error.outcome != "connection_lost":
                raise
            self.close()
            connection, _ = self._connection(key, deadline)
            answer = connection.get(target, headers, most, deadline, unwanted)
        if not connection.renew():
            self.close()
        return answer

    def _connection(self, key: tuple[str, str], deadline: Deadline) -> tuple[Connection, bool]:
        """A connection to (scheme, host and port), and whether it was open already."""
        if self._open is not None and self._open[0] == key:
            return self._open[1], True
        self.close()
        strangers = bool(self._crawl.politeness.contact)
        connection = Connection(*connect(*key, self._crawl.addresses, deadline, strangers=strangers))
        self._open = key, connection
        return connection, False


def _anything(head: Head) -> str | None:
    return None


def _no_html(head: Head) -> str | None:
    kind = head.media_type
    return "not_html" if head.status == 200 and kind is not None and kind not in HTML_TYPES else None


def retry_after(value: str, at: datetime) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3: a number, or a date); None if it is neither."""
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
        return max((date.replace(tzinfo=date.tzinfo or UTC) - at).total_seconds(), 0.0)
    except (ValueError, OverflowError):
        return None
