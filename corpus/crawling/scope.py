"""Which URLs a crawl may ask for."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from protego import Protego

from corpus.crawling.source import CrawlSource


def host_of(url: str) -> str:
    """The host a canonical URL is asked of, port included: what politeness and robots.txt are kept by."""
    return urlsplit(url).netloc


def in_scope(what: CrawlSource) -> Callable[[str], bool]:
    """A predicate on canonical URLs. Seeds are in scope whatever their path."""
    hosts = {host.lower() for host in what.hosts} or {host_of(seed) for seed in what.seeds}
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


class Robots:
    """The rules of one host (RFC 9309). Without a readable robots.txt all is allowed or nothing is."""

    def __init__(self, text: str | None, *, allow_all: bool = False) -> None:
        self._rules = None if text is None else Protego.parse(text)
        self._allow_all = allow_all

    @classmethod
    def from_response(cls, status: int | None, body: str) -> "Robots":
        """2xx: the rules; 4xx: all allowed; 5xx or no answer (status None): nothing allowed (section 2.3.1)."""
        if status is not None and 200 <= status < 300:
            return cls(body)
        return cls(None, allow_all=status is not None and 400 <= status < 500)

    def allows(self, url: str, user_agent: str) -> bool:
        """Whether the product token of `user_agent` may fetch the URL."""
        if self._rules is None:
            return self._allow_all
        return bool(self._rules.can_fetch(url, _token(user_agent)))

    def delay(self, user_agent: str) -> float:
        """Seconds between requests the site asks for, 0 where it does not."""
        wanted = None if self._rules is None else self._rules.crawl_delay(_token(user_agent))
        return float(wanted or 0.0)


def _token(user_agent: str) -> str:
    """The product token: robots.txt names crawlers without their version."""
    return user_agent.split("/")[0].split()[0]
