"""What a crawl fetches (hashed), and how politely and from where (not hashed)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from corpus.configuration import Doc, FileRef, configuration, form
from corpus.document import canonical_url


def _url(value: str) -> str:
    url = canonical_url(value)
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{value!r} is not an http or https URL")
    return url


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}") from error
    return value


@configuration
class CrawlSource:
    """A crawl: where it starts, how far it goes and what it takes."""

    version: ClassVar[int] = 1

    kind: Literal["crawl"] = "crawl"
    seeds: Annotated[
        tuple[Annotated[str, AfterValidator(_url)], ...], Field(min_length=1), Doc("URLs the crawl starts from")
    ]
    hosts: Annotated[tuple[str, ...], Doc("hosts in scope; empty means the seeds' own")] = ()
    paths: Annotated[tuple[str, ...], Doc("path prefixes in scope, seeds aside; empty means all")] = ()
    exclude: Annotated[
        tuple[Annotated[str, AfterValidator(_pattern)], ...], Doc("regular expressions of URLs left out")
    ] = ()
    max_pages: Annotated[int, Field(ge=1), Doc("URLs asked of one host at most")] = 100_000
    max_host_bytes: Annotated[int, Field(ge=1), Doc("bytes of WARC that one host may fill")] = 1 << 40
    max_urls: Annotated[
        int, Field(ge=1), Doc("URLs of one host's crawl that are remembered, asked or not; later ones are counted")
    ] = 1_000_000
    max_depth: Annotated[int, Field(ge=0), Doc("links followed from a seed at most")] = 50
    max_redirects: Annotated[int, Field(ge=0), Doc("redirects followed in a row at most")] = 5
    sitemaps: Annotated[
        bool, Doc("sitemaps that robots.txt names are read, and what is in scope of them asked for")
    ] = True
    max_bytes: Annotated[int, Field(ge=1), Doc("longer bodies are left as too_large, as transferred")] = 8 << 20
    max_decoded_bytes: Annotated[int, Field(ge=1), Doc("the same once decompressed")] = 64 << 20
    timeout_s: Annotated[
        float, Field(gt=0), Doc("seconds a request may take in all, from name resolution to the last byte")
    ] = 60.0
    retries: Annotated[int, Field(ge=0), Doc("attempts after the first, for lost requests, 429 and 5xx")] = 2
    max_lost: Annotated[int, Field(ge=1), Doc("requests lost in a row after which a host is given up")] = 10
    user_agent: Annotated[
        str,
        form(r"[A-Za-z_-]+(/[0-9A-Za-z._-]+)?( [ -~]*)?", "a product and its version in ASCII, such as SikuBot/0.1"),
        Doc("name given to servers; its product token, before any `/`, is looked up in robots.txt"),
    ] = "SikuBot/0.1"


@configuration
class Politeness:
    """What a crawler owes to hosts: one request at a time, spaced."""

    delay_s: Annotated[
        float, Field(ge=0), Doc("seconds between two requests to a host; robots.txt may ask for more")
    ] = 1.0
    longest_wait_s: Annotated[
        float, Field(ge=0), Doc("longest Crawl-delay and Retry-After obeyed; longer ones are cut to it")
    ] = 60.0
    retry_wait_s: Annotated[float, Field(ge=0), Doc("seconds before the first retry, doubled for each one after")] = 1.0
    hosts_at_once: Annotated[int, Field(ge=1, le=1024), Doc("hosts that one worker asks at the same time")] = 32
    contact: Annotated[
        str,
        form(r"|https?://[!-'*-~]+|[!-'*-~]+@[!-'*-~]+", "a URL or an e-mail address, such as you@example.org"),
        Doc("URL or e-mail address that the User-Agent names; without it only hosts on loopback are asked"),
    ] = ""
    segment_pages: Annotated[int, Field(ge=1), Doc("URLs asked for after which a WARC segment is closed")] = 200


@configuration
class Host:
    """A host name that does not resolve by DNS, and the address that serves it."""

    name: Annotated[str, Doc("host name as it stands in URLs")]
    address: Annotated[str, Doc("host:port to connect to; port 0 with `serve`: a free one")] = "127.0.0.1:0"
    delay_s: Annotated[float | None, Field(ge=0), Doc("seconds between requests, instead of site.politeness")] = None
    serve: Annotated[FileRef | None, Doc("site archive to serve there, on loopback, while the crawl runs")] = None


@dataclass(frozen=True, slots=True)
class Crawl:
    """What is crawled, how politely, and at which address:port hosts are found that DNS is not asked for.

    Only hosts in `addresses` may lie in the crawler's own network. `previous` is the folder of an earlier crawl's
    segments: what has not changed since is not sent again.
    """

    what: CrawlSource
    politeness: Politeness = field(default_factory=Politeness)
    addresses: Mapping[str, str] = field(default_factory=dict)
    previous: Path | None = None

    @property
    def user_agent(self) -> str:
        """What servers are told: who asks, and whom to write to."""
        contact = self.politeness.contact
        return f"{self.what.user_agent} (+{contact})" if contact else self.what.user_agent

    @property
    def token(self) -> str:
        """What robots.txt calls the crawler: the product token of its name (RFC 9309, section 2.2.1)."""
        return self.what.user_agent.split("/")[0].split()[0].lower()

    def strangers(self) -> list[str]:
        """Hosts in scope that are not placed on loopback, where a contact is needed."""
        hosts = hosts_of(self.what)
        return sorted(host for host in hosts if not _on_loopback(placed(host, self.addresses) or host))


def hosts_of(what: CrawlSource) -> frozenset[str]:
    """Hosts in scope."""
    return frozenset(host.lower() for host in what.hosts) or frozenset(urlsplit(seed).netloc for seed in what.seeds)


def placed(netloc: str, addresses: Mapping[str, str]) -> str | None:
    """The address:port that `addresses` gives a host, by its name with or without the port."""
    return addresses.get(netloc) or addresses.get(urlsplit(f"//{netloc}").hostname or "")


def _on_loopback(address: str) -> bool:
    host = urlsplit(f"//{address}").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
