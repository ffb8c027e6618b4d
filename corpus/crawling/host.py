"""The fetch loop of one host: robots.txt first, breadth first, every URL in exactly one outcome."""

import threading
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa

from corpus.crawling.ask import Asker, Progress
from corpus.crawling.fetch import Client, Pace
from corpus.crawling.frontier import Link, Target, canonical
from corpus.crawling.journal import Journal
from corpus.crawling.robots import Robots
from corpus.crawling.rules import HostRules
from corpus.crawling.scope import host_of, in_scope
from corpus.crawling.segments import Segments
from corpus.crawling.snapshot import (
    BYTE_LIMIT,
    DISALLOWED,
    GIVEN_UP,
    MALFORMED,
    NO_PAGES,
    OUT_OF_SCOPE,
    PAGE_LIMIT,
    REDIRECT,
    ROBOTS_UNREACHABLE,
    TOO_DEEP,
    TOO_MANY_REDIRECTS,
    URL_LIMIT,
    Row,
    table,
)
from corpus.crawling.source import Crawl
from corpus.escaped import escaped


@dataclass(frozen=True, slots=True)
class HostCrawl:
    """One host's rows (SNAPSHOT), and links in scope that lead to other hosts."""

    host: str
    index: pa.Table
    links: tuple[Link, ...]


def crawl_host(
    host: str,
    targets: Mapping[str, Target],
    crawl: Crawl,
    folder: Path,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> HostCrawl:
    """Fetch what can be reached from `targets` within the host, into WARC segments below `folder`.

    Started again, with more targets or after a kill, it asks only for what no segment holds. Whatever the host
    does is an outcome; raises CrawlError only for a damaged segment, StoppedError once `stop` is set.
    """
    earlier = None if crawl.previous is None else Segments(crawl.previous, host, crawl)
    with (
        Journal(folder, host, crawl) as journal,
        closing(Client(crawl, Pace(crawl.politeness.delay_s, journal.latest, stop))) as client,
    ):
        asker = Asker(journal, client, earlier, progress or _silent)
        return _HostCrawler(host, crawl, asker, client.pace).run(targets)


def _silent(pages: int, size: int) -> None:
    return


class _HostCrawler:
    def __init__(self, host: str, crawl: Crawl, asker: Asker, pace: Pace) -> None:
        self._host, self._crawl, self._what = host, crawl, crawl.what
        self._asker, self._journal, self._pace = asker, asker.journal, pace
        self._rules = HostRules(host, asker)
        self._admits = in_scope(crawl.what)
        self._queue: dict[int, dict[str, int]] = {}  # depth -> URL -> redirects in a row before it
        self._known: set[str] = set()
        self._settled: set[str] = set()
        self._left: dict[str, Row] = {}  # not asked for
        self._others: dict[str, Target] = {}
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
        if url not in self._journal:
            reason = self._refused(url, depth, redirects)
            if reason is not None:
                self._left[url] = Row(url, reason)
                return
        self._arrive(urlsplit(url).scheme, depth)
        row = self._asker.page(url)
        self._settled.add(url)
        if row.outcome not in NO_PAGES:
            self._follow(row.links, Target(depth, redirects + 1) if row.outcome == REDIRECT else Target(depth + 1, 0))

    def _refused(self, url: str, depth: int, redirects: int) -> str | None:
        """Why a URL in scope is not asked for, or None."""
        if depth > self._what.max_depth:
            return TOO_DEEP
        if redirects > self._what.max_redirects:
            return TOO_MANY_REDIRECTS
        rules = self._arrive(urlsplit(url).scheme, depth)
        if not rules.allows(url):
            return ROBOTS_UNREACHABLE if rules.unreachable else DISALLOWED
        if self._asker.lost >= self._what.max_lost:
            return GIVEN_UP
        if self._journal.bytes >= self._what.max_host_bytes:
            return BYTE_LIMIT
        return PAGE_LIMIT if self._journal.pages >= self._what.max_pages else None

    def _arrive(self, scheme: str, depth: int) -> Robots:
        """The rules; the first time, keep the pace they ask for and queue what sitemaps list, a link from a seed."""
        if scheme in self._rules:
            return self._rules.robots(scheme)
        rules, longest = self._rules.robots(scheme), self._crawl.politeness.longest_wait_s
        self._pace.delay_s = max(self._pace.delay_s, min(rules.delay_s, longest))
        if self._what.sitemaps and self._what.max_depth > 0:
            self._follow(self._rules.sitemap_urls(scheme, self._leave), Target(max(depth, 1), 0))
        return rules

    def _leave(self, url: str, reason: str) -> None:
        self._left[escaped(url)] = Row(escaped(url), reason)

    def _follow(self, urls: Iterable[str], target: Target) -> None:
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
