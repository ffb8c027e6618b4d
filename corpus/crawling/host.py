"""The fetch loop of one host: robots.txt first, breadth first, every URL in exactly one outcome."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa

from corpus.crawling.exchange import Answer
from corpus.crawling.fetch import Client, Failure, Pace
from corpus.crawling.frontier import Link, Target, canonical
from corpus.crawling.journal import Journal
from corpus.crawling.outcome import answered, location
from corpus.crawling.robots import REDIRECTS, Robots
from corpus.crawling.scope import host_of, in_scope
from corpus.crawling.snapshot import (
    DISALLOWED,
    GIVEN_UP,
    LOST,
    MALFORMED,
    OUT_OF_SCOPE,
    PAGE_LIMIT,
    REDIRECT,
    ROBOTS_FILE,
    ROBOTS_UNREACHABLE,
    TOO_DEEP,
    TOO_MANY_REDIRECTS,
    URL_LIMIT,
    Row,
    table,
)
from corpus.crawling.source import Crawl
from corpus.html import HTML_TYPES
from corpus.sources.http import Head, decoded_body

_BUSY = frozenset({429, 502, 503, 504})  # as good as lost: a host that only ever says so keeps its crawl waiting

Progress = Callable[[int, int], None]  # called with pages and bytes since the last call


@dataclass(frozen=True, slots=True)
class HostCrawl:
    """One host's rows (SNAPSHOT), and links in scope that lead to other hosts."""

    host: str
    index: pa.Table
    links: tuple[Link, ...]


def crawl_host(
    host: str, targets: Mapping[str, Target], crawl: Crawl, folder: Path, progress: Progress | None = None
) -> HostCrawl:
    """Fetch what can be reached from `targets` within the host, into WARC segments below `folder`.

    Started again, with more targets or after a kill, it asks only for what no segment holds. Whatever the host
    does is an outcome; raises CrawlError only for a damaged segment.
    """
    with (
        Journal(folder, host, crawl) as journal,
        closing(Client(crawl, Pace(crawl.politeness.delay_s, journal.latest))) as client,
    ):
        return _HostCrawler(host, crawl, journal, client, progress or _silent).run(targets)


def _silent(pages: int, size: int) -> None:
    return


class _HostCrawler:
    def __init__(self, host: str, crawl: Crawl, journal: Journal, client: Client, progress: Progress) -> None:
        self._host, self._crawl, self._what = host, crawl, crawl.what
        self._journal, self._client, self._progress = journal, client, progress
        self._admits = in_scope(crawl.what)
        self._queue: dict[int, dict[str, int]] = {}  # depth -> URL -> redirects in a row before it
        self._known: set[str] = set()
        self._settled: set[str] = set()
        self._left: dict[str, Row] = {}  # not asked for
        self._others: dict[str, Target] = {}
        self._robots: dict[str, Robots] = {}
        self._lost = 0  # requests lost in a row
        self._beyond: list[tuple[str, int]] = []  # the first URL over max_urls, and how many there were

    def run(self, targets: Mapping[str, Target]) -> HostCrawl:
        """Depth by depth; within a depth, redirects are followed before the next."""
        for url, target in targets.items():
            self._queue.setdefault(target.depth, {})[url] = target.redirects
        self._known.update(targets)
        for depth in range(self._what.max_depth + 2):
            while wave := self._queue.pop(depth, None):
                for url in sorted(wave):
                    self._settle(url, depth, wave[url])
        self._journal.commit()
        left = list(self._left.values())
        for url, count in self._beyond:
            left.append(Row(url, URL_LIMIT, f"and {count - 1} more links over max_urls, {self._what.max_urls}"))
        index = pa.concat_tables([self._journal.index(), table(left)]).sort_by("url")
        return HostCrawl(self._host, index, tuple(Link(url, way) for url, way in sorted(self._others.items())))

    def _settle(self, url: str, depth: int, redirects: int) -> None:
        """Ask for a URL in scope, or say why not."""
        if url in self._settled or url in self._left:
            return
        row = self._journal.get(url)
        if row is None:
            reason = self._refused(url, depth, redirects)
            if reason is not None:
                self._left[url] = Row(url, reason)
                return
            # Meanwhile robots.txt may have led to this page.
            row = self._journal.get(url) or self._store(self._row(url, self._client.fetch(url)))
        self._settled.add(url)
        self._lost = self._lost + 1 if row.outcome in LOST or row.status in _BUSY else 0
        self._follow(row.links, Target(depth, redirects + 1) if row.outcome == REDIRECT else Target(depth + 1, 0))

    def _refused(self, url: str, depth: int, redirects: int) -> str | None:
        """Why a URL in scope is not asked for, or None."""
        if depth > self._what.max_depth:
            return TOO_DEEP
        if redirects > self._what.max_redirects:
            return TOO_MANY_REDIRECTS
        rules = self._rules(urlsplit(url).scheme)
        if not rules.allows(url):
            return ROBOTS_UNREACHABLE if rules.unreachable else DISALLOWED
        if self._lost >= self._what.max_lost:
            return GIVEN_UP
        return PAGE_LIMIT if self._journal.pages >= self._what.max_pages else None

    def _follow(self, urls: Sequence[str], target: Target) -> None:
        """Queue links of this host, keep links to other hosts in scope, settle the rest."""
        wave = self._queue.setdefault(target.depth, {})
        for url in urls:
            if url not in self._known and len(self._known) >= self._what.max_urls:
                first, count = self._beyond.pop() if self._beyond else (url, 0)
                self._beyond.append((first, count + 1))
                continue
            self._known.add(url)
            if canonical(url) != url:
                self._left[url] = Row(url, MALFORMED)
            elif not self._admits(url):
                self._left[url] = Row(url, OUT_OF_SCOPE)
            elif host_of(url) == self._host:
                wave[url] = min(wave.get(url, target.redirects), target.redirects)
            else:
                self._others[url] = min(self._others.get(url, target), target)

    def _row(self, url: str, result: Answer | Failure, *, robots: bool = False) -> tuple[Row, Answer | None]:
        """The row of a request that has ended, and its answer if it is kept."""
        if isinstance(result, Failure):
            return Row(url, result.outcome, result.detail, result.status, fetched_at=result.failed_at), None
        most = self._what.max_decoded_bytes
        row = answered(url, result.head, result.body, result.fetched_at, most, robots=robots)
        return row, result if row.payload_digest is not None else None

    def _store(self, ended: tuple[Row, Answer | None]) -> Row:
        row, answer = ended
        if answer is not None:
            self._progress(1, len(answer.body))
        return self._journal.add(row, answer)

    def _rules(self, scheme: str) -> Robots:
        if scheme not in self._robots:
            rules = self._robots[scheme] = self._read_robots(f"{scheme}://{self._host}/robots.txt")
            pace, longest = self._client.pace, self._crawl.politeness.longest_wait_s
            pace.delay_s = max(pace.delay_s, min(rules.delay_s, longest))
        return self._robots[scheme]

    def _read_robots(self, url: str) -> Robots:
        """The rules at a URL, redirects followed: to other hosts too, over HTTP, at addresses that may be asked."""
        agent = self._what.user_agent
        for _ in range(REDIRECTS + 1):
            row = self._journal.get(url) or self._ask_robots(url)
            if row.payload_digest is None:
                return Robots.absent(None, agent)
            head, body = self._journal.answer(row)
            target = location(url, head)
            if target is None:
                return self._rules_in(head, body)
            url = canonical(target) or ""
            if not url.startswith(("http://", "https://")):
                break
        return Robots.absent(404, agent)  # section 2.3.1.2: a redirect without end, or to nowhere, is no file

    def _ask_robots(self, url: str) -> Row:
        result = self._client.fetch(url, any_type=True)
        if isinstance(result, Failure):
            return self._store(self._row(url, result))
        row, answer = self._row(url, result, robots=not self._is_page(url, result.head))
        if row.outcome == ROBOTS_FILE:
            wanted, longest = self._rules_in(result.head, result.body).delay_s, self._crawl.politeness.longest_wait_s
            if wanted > longest:
                row = replace(row, detail=f"Crawl-delay {wanted:g} cut to {longest:g} s")
        return self._store((row, answer))

    def _rules_in(self, head: Head, body: bytes) -> Robots:
        return Robots.of(head.status, decoded_body(head, body, self._what.max_decoded_bytes), self._what.user_agent)

    def _is_page(self, url: str, head: Head) -> bool:
        """Whether what robots.txt redirects to is a page of this crawl: sites send what they lack to their home."""
        if urlsplit(url).path == "/robots.txt" or host_of(url) != self._host or not self._admits(url):
            return False
        return head.status != 200 or head.media_type in HTML_TYPES
