"""Which URLs a crawl may ask for."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from corpus.crawling.source import CrawlSource, hosts_of


def host_of(url: str) -> str:
    """The host a canonical URL is asked of, port included: what politeness and robots.txt are kept by."""
    return urlsplit(url).netloc


def in_scope(what: CrawlSource) -> Callable[[str], bool]:
    """A predicate on canonical URLs. Seeds are in scope whatever their path."""
    hosts = hosts_of(what)
    seeds = frozenset(what.seeds)
    exclude = re.compile("|".join(f"(?:{pattern})" for pattern in what.exclude)) if what.exclude else None

    def admits(url: str) -> bool:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.netloc not in hosts:
            return False
        if exclude is not None and exclude.search(url):
            return False
        return url in seeds or not what.paths or parts.path.startswith(what.paths)

    return admits
