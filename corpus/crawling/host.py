"""The fetch loop of one host: breadth first, robots.txt first, every URL in exactly one outcome."""

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pyarrow as pa

from corpus.charset import DecodingError, decode
from corpus.crawling.fetch import Client, Failure, Pace, Response, address_of
from corpus.crawling.frontier import Link, Target, canonical
from corpus.crawling.journal import Journal
from corpus.crawling.scope import Robots, host_of, in_scope
from corpus.crawling.snapshot import (
    DISALLOWED,
    FETCHED,
    HTTP_ERROR,
    MALFORMED,
    NOT_FOUND,
    OUT_OF_SCOPE,
    PAGE_LIMIT,
    REDIRECT,
    ROBOTS_FILE,
    TOO_DEEP,
    TOO_MANY_REDIRECTS,
    CrawlError,
    Row,
    table,
)
from corpus.crawling.source import CrawlSource, Politeness
from corpus.html import HTML_TYPES, links, looks_like_html
from corpus.sources.http import CodingError, Head, TooLargeError, decoded_body

_ROBOTS_BYTES = 512_000  # RFC 9309, section 2.5: parsed at least as far
_ROBOTS_REDIRECTS = 5  # section 2.3.1.2
_AHEAD = 16  # requests a connection may be ahead of the writer

Progress = Callable[[int, int], None]  # called with pages and bytes since the last call


@dataclass(frozen=True, slots=True)
class HostCrawl:
    """One host's rows (SNAPSHOT), and links in scope that lead to other hosts."""

    host: str
    index: pa.Table
    links: tuple[Link, ...]


def crawl_host(
    host: str,
    targets: Mapping[str, Target],
    what: CrawlSource,
    where: Politeness,
    folder: Path,
    progress: Progress | None = None,
) -> HostCrawl:
    """Fetch what can be reached from `targets` within the host, into WARC segments below `folder`.

    Started again, with more targets or after a kill, it asks only for what no committed segment holds.
    Raises CrawlError if the host of a seed does not answer.
    """
    with Journal(folder, host, where.segment_pages) as journal:
        return _HostCrawler(host, what, where, journal, progress).run(targets)


class _HostCrawler:
    def __init__(
        self, host: str, what: CrawlSource, where: Politeness, journal: Journal, progress: Progress | None
    ) -> None:
        self._host, self._what, self._where, self._journal = host, what, where, journal
        self._progress = progress or (lambda pages, size: None)
        self._admits = in_scope(what)
        self._rows: dict[str, Row] = {}
        self._others: dict[str, Target] = {}
        self._robots: dict[str, Robots] = {}
        self._robots_files: dict[str, tuple[Head, bytes]] = {}
        self._pace = Pace(where.delay_s)
        self._threads = threading.local()
        self._clients: list[Client] = []
        self._asked = 0

    def run(self, targets: Mapping[str, Target]) -> HostCrawl:
        """Depth by depth; within a depth, redirects are followed before the next."""
        queue: dict[int, dict[str, int]] = {}
        for url, target in targets.items():
            queue.setdefault(target.depth, {})[url] = target.redirects
        pool = ThreadPoolExecutor(self._where.connections)
        try:
            for depth in range(self._what.max_depth + 2):
                wave = queue.pop(depth, {})
                while wave:
                    wave = self._wave(wave, depth, queue, pool)
        finally:
            pool.shutdown(cancel_futures=True)
            for client in self._clients:
                client.close()
        self._journal.commit()
        known = {**{url: row for url, row in self._journal.rows.items() if row.outcome == ROBOTS_FILE}, **self._rows}
        found = tuple(Link(url, target) for url, target in sorted(self._others.items()))
        return HostCrawl(self._host, table(known[url] for url in sorted(known)), found)

    def _wave(
        self, wave: Mapping[str, int], depth: int, queue: dict[int, dict[str, int]], pool: ThreadPoolExecutor
    ) -> dict[str, int]:
        """Settle the wave's URLs; returns the redirect targets still to be asked at this depth."""
        to_ask: list[str] = []
        for url in sorted(wave):
            if url in self._rows:
                continue
            reason = self._refused(url, depth, wave[url])
            if reason is not None:
                self._rows[url] = Row(url, reason)
                continue
            self._asked += 1
            to_ask.append(url)
        redirected: dict[str, int] = {}
        following = queue.setdefault(depth + 1, {})
        for row in self._answers(to_ask, pool):
            self._rows[row.url] = row
            hops = wave[row.url] + 1 if row.outcome == REDIRECT else 0
            self._follow(row.links, Target(depth if hops else depth + 1, hops), redirected if hops else following)
        return redirected

    def _refused(self, url: str, depth: int, redirects: int) -> str | None:
        """Why a URL in scope is not asked for, or None."""
        if depth > self._what.max_depth:
            return TOO_DEEP
        if redirects > self._what.max_redirects:
            return TOO_MANY_REDIRECTS
        if not self._rules(url).allows(url, self._what.user_agent):
            return DISALLOWED
        return PAGE_LIMIT if self._asked >= self._what.max_pages else None

    def _follow(self, urls: Sequence[str], target: Target, queue: dict[str, int]) -> None:
        """Queue links of this host, keep links to other hosts in scope, settle the rest."""
        for url in urls:
            if url in self._rows:
                continue
            if canonical(url) != url:
                self._rows[url] = Row(url, MALFORMED)
            elif not self._admits(url):
                self._rows[url] = Row(url, OUT_OF_SCOPE)
            elif host_of(url) == self._host:
                queue[url] = min(queue.get(url, target.redirects), target.redirects)
            else:
                self._others[url] = min(self._others.get(url, target), target)

    def _answers(self, urls: Sequence[str], pool: ThreadPoolExecutor) -> Iterator[Row]:
        """Rows of the URLs, in their order, whatever order the answers come in."""
        width = self._where.connections * _AHEAD if self._pace.delay_s <= 0 else 1
        for start in range(0, len(urls), width):
            chunk = urls[start : start + width]
            asked = [url for url in chunk if url not in self._journal.rows]
            answers = dict(zip(asked, pool.map(self._fetch, asked), strict=True))
            for url in chunk:
                yield self._store(answers[url]) if url in answers else self._journal.rows[url]

    def _fetch(self, url: str, any_type: bool = False) -> Response | Failure:
        client: Client | None = getattr(self._threads, "client", None)
        if client is None:
            client = self._threads.client = Client(self._what, self._where, self._pace)
            self._clients.append(client)
        return client.fetch(url, any_type=any_type)

    def _store(self, answer: Response | Failure, outcome: str | None = None) -> Row:
        if isinstance(answer, Failure):
            return self._journal.add(Row(answer.url, answer.outcome, answer.detail, answer.status))
        row = row_of(answer, self._what.max_decoded_bytes, outcome)
        stored = answer if row.payload_digest is not None else None
        self._progress(1, len(answer.body))
        return self._journal.add(row, stored)

    def _rules(self, url: str) -> Robots:
        scheme = urlsplit(url).scheme
        if scheme not in self._robots:
            robots = self._ask_robots(f"{scheme}://{self._host}/robots.txt")
            self._robots[scheme] = robots
            self._pace.delay_s = max(self._pace.delay_s, robots.delay(self._what.user_agent))
        return self._robots[scheme]

    def _ask_robots(self, url: str) -> Robots:
        """robots.txt, redirects followed; stored like any other response."""
        for _ in range(_ROBOTS_REDIRECTS + 1):
            row = self._journal.rows.get(url)
            if url in self._robots_files:
                head, body = self._robots_files[url]
            elif row is not None and row.outcome == ROBOTS_FILE:
                head, body = self._journal.response(row)
            else:
                answer = self._fetch(url, any_type=True)
                if isinstance(answer, Failure):
                    return self._silent(answer)
                if self._store(answer, ROBOTS_FILE).outcome != ROBOTS_FILE:
                    return Robots.from_response(None, "")  # a body that cannot be decoded
                head, body = answer.head, answer.body
            self._robots_files[url] = head, body
            target = canonical(urljoin(url, head.headers.get("location", "")))
            if not 300 <= head.status < 400 or target is None:
                text = decoded_body(head, body, self._what.max_decoded_bytes)[:_ROBOTS_BYTES]
                return Robots.from_response(head.status, text.decode("utf-8-sig", "replace"))
            url = target
        return Robots.from_response(404, "")  # section 2.3.1.2: as if there were none

    def _silent(self, failure: Failure) -> Robots:
        if any(host_of(seed) == self._host for seed in self._what.seeds) and failure.outcome != "too_large":
            scheme = urlsplit(failure.url).scheme
            address, port = address_of(scheme, host_of(failure.url), self._where)
            raise CrawlError(
                f"host {self._host!r} of source.seeds does not answer at {address}:{port} ({failure.outcome}: "
                f"{failure.detail}): start its server, or set the crawl's hosts to {{{self._host}: address:port}}"
            )
        return Robots.from_response(None, "")


def row_of(answer: Response, max_decoded_bytes: int, outcome: str | None = None) -> Row:
    """The index row of an answer, with its links; a body that cannot be decoded is an outcome without digest."""
    head = answer.head
    try:
        payload = decoded_body(head, answer.body, max_decoded_bytes)
    except TooLargeError as error:
        return Row(answer.url, "too_large", str(error), answer.status)
    except CodingError as error:
        return Row(answer.url, "bad_coding", str(error), answer.status)
    found: Iterable[str] = ()
    if outcome is None:
        if answer.location is not None:
            outcome, found = REDIRECT, [urljoin(answer.url, answer.location.strip()).partition("#")[0]]
        elif answer.status == 200:
            outcome, found = FETCHED, page_links(payload, answer.url, head.media_type, head.charset)
        else:
            outcome = NOT_FOUND if answer.status == 404 else HTTP_ERROR
    return Row(
        url=answer.url,
        outcome=outcome,
        status=answer.status,
        payload_digest=hashlib.sha256(payload).digest(),
        content_type=head.headers.get("content-type"),
        fetched_at=answer.fetched_at,
        links=tuple(dict.fromkeys(canonical(url) or url for url in found)),
    )


def page_links(payload: bytes, url: str, media_type: str | None, charset: str | None) -> list[str]:
    """Links of a page; none where the bytes are no readable HTML."""
    if media_type not in HTML_TYPES if media_type else not looks_like_html(payload):
        return []
    try:
        return links(decode(payload, charset).text, url)
    except DecodingError:
        return []
