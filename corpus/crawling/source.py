"""What a crawl fetches (hashed) and how politely and from where (not hashed)."""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from corpus.configuration import Doc, configuration
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


def _address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{value!r} is not host:port, such as 127.0.0.1:8080")
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
    max_depth: Annotated[int, Field(ge=0), Doc("links followed from a seed at most")] = 50
    max_redirects: Annotated[int, Field(ge=0), Doc("redirects followed in a row at most")] = 5
    max_bytes: Annotated[int, Field(ge=1), Doc("longer bodies are left as too_large, as transferred")] = 8 << 20
    max_decoded_bytes: Annotated[int, Field(ge=1), Doc("the same once decompressed")] = 64 << 20
    timeout_s: Annotated[float, Field(gt=0), Doc("seconds without an answer before a request counts as lost")] = 20.0
    retries: Annotated[int, Field(ge=0), Doc("attempts after the first, for lost requests, 429 and 5xx")] = 2
    user_agent: Annotated[str, Field(min_length=1), Doc("name given to servers and looked up in robots.txt")] = (
        "SikuBot/0.1"
    )


@configuration
class Politeness:
    """How a crawl behaves at one host, and where hosts are found."""

    delay_s: Annotated[
        float, Field(ge=0), Doc("seconds between two requests to a host; robots.txt may ask for more")
    ] = 1.0
    connections: Annotated[int, Field(ge=1, le=64), Doc("open connections to a host, where the delay is 0")] = 2
    retry_wait_s: Annotated[float, Field(ge=0), Doc("seconds before the first retry, doubled for each one after")] = 1.0
    hosts: Annotated[
        Mapping[str, Annotated[str, AfterValidator(_address)]], Doc("host -> address:port, in place of name resolution")
    ] = Field(default_factory=dict)
    segment_pages: Annotated[
        int, Field(ge=1), Doc("responses a WARC segment holds; a killed crawl loses one at most")
    ] = 200
