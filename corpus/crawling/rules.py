"""What a host says of itself: robots.txt, and the sitemaps it names."""

from collections import deque
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from corpus.crawling.ask import Asker, is_lost
from corpus.crawling.frontier import canonical
from corpus.crawling.outcome import Kind, location
from corpus.crawling.robots import REDIRECTS, Robots
from corpus.crawling.scope import host_of, in_scope
from corpus.crawling.sitemap import MAX_FILES
from corpus.crawling.snapshot import DISALLOWED, OUT_OF_SCOPE, SITEMAP, SITEMAP_INDEX
from corpus.html import HTML_TYPES
from corpus.sources.http import Head, decoded_body

_SCHEMES = ("http://", "https://")


class HostRules:
    """Robots.txt of one host, read once a scheme."""

    def __init__(self, host: str, asker: Asker) -> None:
        self._host, self._asker, self._crawl = host, asker, asker.journal.crawl
        self._admits = in_scope(self._crawl.what)
        self._robots: dict[str, Robots] = {}

    def __contains__(self, scheme: str) -> bool:
        return scheme in self._robots

    def robots(self, scheme: str) -> Robots:
        """The rules for a scheme, asked for at the first call."""
        if scheme not in self._robots:
            self._robots[scheme] = self._read(f"{scheme}://{self._host}/robots.txt")
        return self._robots[scheme]

    def sitemap_urls(self, scheme: str, left: Callable[[str, str], None]) -> Iterator[str]:
        """URLs in the sitemaps that robots.txt names, and those that these name, as far as they lie on this host.

        `left` is told of sitemaps that are not asked for, with the reason.
        """
        robots = self.robots(scheme)
        due = deque(dict.fromkeys(canonical(url) or url for url in robots.sitemaps))
        seen: set[str] = set()
        lost = 0  # in a row
        while due and len(seen) < MAX_FILES and lost < self._crawl.what.max_lost:
            url = due.popleft()
            if url in seen:
                continue
            seen.add(url)
            if not url.startswith(_SCHEMES) or host_of(url) != self._host:
                left(url, OUT_OF_SCOPE)
                continue
            if not robots.allows(url):
                left(url, DISALLOWED)
                continue
            row = self._asker.file(url, lambda head: "sitemap")
            lost = lost + 1 if is_lost(row) else 0
            if row.outcome == SITEMAP_INDEX:
                due.extend(row.links)
            elif row.outcome == SITEMAP:
                yield from row.links

    def _read(self, url: str) -> Robots:
        """The rules at a URL, redirects followed: to other hosts too, over HTTP, at addresses that may be asked."""
        token = self._crawl.token
        for _ in range(REDIRECTS + 1):
            row = self._asker.file(url, self._kind(url))
            if row.payload_digest is None:
                return Robots.absent(None, token)
            kept = self._asker.journal.kept(row)
            target = location(url, kept.head)
            if target is None:
                payload = decoded_body(kept.head, kept.body, self._crawl.what.max_decoded_bytes)
                return Robots.of(kept.head.status, payload, token)
            url = canonical(target) or ""
            if not url.startswith(_SCHEMES):
                break
        return Robots.absent(404, token)  # section 2.3.1.2: a redirect without end, or to nowhere, is no file

    def _kind(self, url: str) -> Callable[[Head], Kind]:
        """Sites send what they lack to their home: what robots.txt redirects to may be a page of this crawl."""
        elsewhere = urlsplit(url).path == "/robots.txt" or host_of(url) != self._host or not self._admits(url)

        def kind(head: Head) -> Kind:
            return "robots" if elsewhere or (head.status == 200 and head.media_type not in HTML_TYPES) else "page"

        return kind
