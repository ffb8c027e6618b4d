"""URLs still to be asked, by host, and the rounds a crawl over several hosts takes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from corpus.crawling.scope import host_of
from corpus.crawling.source import CrawlSource
from corpus.document import canonical_url


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """How a URL was reached: links from a seed, and redirects in a row before it."""

    depth: int
    redirects: int


@dataclass(frozen=True, slots=True)
class Link:
    """A URL of another host, found on the way."""

    url: str
    target: Target


@lru_cache(maxsize=1 << 16)
def canonical(url: str) -> str | None:
    """The canonical spelling, or None for a URL that has none."""
    try:
        return canonical_url(url)
    except ValueError:
        return None


class Frontier:
    """Per host, the URLs other hosts or the seeds led to. Adding is idempotent and keeps the shortest way."""

    def __init__(self, what: CrawlSource) -> None:
        self._hosts: dict[str, dict[str, Target]] = {}
        self.add(Link(seed, Target(0, 0)) for seed in what.seeds)

    def add(self, links: Iterable[Link]) -> list[str]:
        """Take links in; returns the hosts that learnt something, which the next round visits (again)."""
        changed: set[str] = set()
        for link in links:
            host = host_of(link.url)
            known = self._hosts.setdefault(host, {})
            if link.url not in known or link.target < known[link.url]:
                known[link.url] = link.target
                changed.add(host)
        return sorted(changed)

    def hosts(self) -> list[str]:
        """All hosts, sorted."""
        return sorted(self._hosts)

    def targets(self, host: str) -> Mapping[str, Target]:
        """What `crawl_host` starts from."""
        return dict(self._hosts[host])
