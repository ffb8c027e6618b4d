"""What a page says of its own use: `noindex` and `nofollow`, in the X-Robots-Tag header or a robots meta tag."""

import re
from dataclasses import dataclass

from corpus.crawling.links import HIDDEN, attributes

_META = re.compile(r"<meta[\s/]([^<>]{1,2048})>", re.IGNORECASE)
_HEAD = 64 << 10  # characters searched for meta tags: they stand in the head
_VALUED = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")  # their colon names no crawler


@dataclass(frozen=True, slots=True)
class Directives:
    """Whether a page may be kept, and its links followed."""

    noindex: bool = False
    nofollow: bool = False

    def __or__(self, other: "Directives") -> "Directives":
        return Directives(self.noindex or other.noindex, self.nofollow or other.nofollow)


def _read(names: list[str]) -> Directives:
    given = {name.strip().lower() for name in names}
    everything = "none" in given
    return Directives(everything or "noindex" in given, everything or "nofollow" in given)


def of_header(value: str, token: str) -> Directives:
    """X-Robots-Tag, joined lines included: `noindex, otherbot: nofollow`; a name holds until the next."""
    names, ours = [], True
    for part in value.split(","):
        crawler, colon, rest = part.partition(":")
        if colon and crawler.strip().lower() not in _VALUED:
            ours, part = crawler.strip().lower() == token, rest
        if ours:
            names.append(part)
    return _read(names)


def of_page(html: str, token: str) -> Directives:
    """The meta tags `robots` and those named after the crawler, together."""
    found = Directives()
    for tag in _META.finditer(HIDDEN.sub("", html[:_HEAD])):
        given = attributes(tag[1])
        if given.get("name", "").lower() in ("robots", token):
            found |= _read(given.get("content", "").split(","))
    return found
