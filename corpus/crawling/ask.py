"""Asking for a URL and writing down what became of it: once, whatever it is asked for."""

from collections.abc import Callable

from corpus.crawling.exchange import Answer
from corpus.crawling.fetch import Client, Failure
from corpus.crawling.journal import Journal
from corpus.crawling.outcome import Kind, answered
from corpus.crawling.record import Kept
from corpus.crawling.segments import Segments
from corpus.crawling.snapshot import LOST, Row
from corpus.sources.http import Head

_BUSY = frozenset({429, 502, 503, 504})  # as good as lost: a host that only ever says so keeps its crawl waiting
_VALIDATORS = (("etag", "If-None-Match"), ("last-modified", "If-Modified-Since"))
_LONGEST = 1024  # characters of a validator

Progress = Callable[[int, int], None]  # called with pages and bytes since the last call


class Asker:
    """What the journal has is not asked for again; what the crawl before has is asked for only if it has changed.

    `lost` is how many pages in a row, up to the latest, got no answer.
    """

    def __init__(self, journal: Journal, client: Client, earlier: Segments | None, progress: Progress) -> None:
        self.journal, self._client, self._earlier, self._progress = journal, client, earlier, progress
        self.lost = 0

    def page(self, url: str) -> Row:
        """Ask for a page: a 200 that is no HTML is left unread."""
        row = self._ask(url, lambda head: "page", any_type=False)
        self.lost = self.lost + 1 if is_lost(row) else 0
        return row

    def file(self, url: str, kind: Callable[[Head], Kind]) -> Row:
        """Ask for anything; its head says what it is read as."""
        return self._ask(url, kind, any_type=True)

    def _ask(self, url: str, kind: Callable[[Head], Kind], *, any_type: bool) -> Row:
        known = self.journal.get(url)
        if known is not None:
            return known
        kept = self._before(url)
        result = self._client.fetch(url, [] if kept is None else validators(kept.head), any_type=any_type)
        if isinstance(result, Failure):
            row = Row(url, result.outcome, result.detail, result.status, fetched_at=result.failed_at)
            return self.journal.add(row)
        unchanged = kept if result.status == 304 else None
        head, body = (result.head, result.body) if unchanged is None else (unchanged.head, unchanged.body)
        row = answered(url, head, body, result.fetched_at, self.journal.crawl, kind(head))
        self._progress(1, len(result.body))
        return self._keep(row, result, unchanged)

    def _keep(self, row: Row, answer: Answer, unchanged: Kept | None) -> Row:
        if row.payload_digest is None:
            return self.journal.add(row)
        return self.journal.add(row, answer, unchanged)

    def _before(self, url: str) -> Kept | None:
        """What the crawl before kept of a URL that was there."""
        row = None if self._earlier is None else self._earlier.get(url)
        if self._earlier is None or row is None or row.payload_digest is None or row.status != 200:
            return None
        return self._earlier.kept(row)


def is_lost(row: Row) -> bool:
    """Whether a request got no answer, or as good as none."""
    return row.outcome in LOST or row.status in _BUSY


def validators(head: Head) -> list[tuple[str, str]]:
    """Headers that make a request conditional on what an answer said of itself (RFC 9110, section 13.1)."""
    given = ((name, head.headers.get(field, "")) for field, name in _VALIDATORS)
    return [
        (name, value) for name, value in given if value.isascii() and value.isprintable() and 0 < len(value) <= _LONGEST
    ]
