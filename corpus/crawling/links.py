"""The links of a page, found without a DOM and in linear time and memory, whatever the page holds."""

import re
from dataclasses import dataclass
from html import unescape
from urllib.parse import urljoin

MAX_URL = 2083  # characters; Scrapy's URLLENGTH_LIMIT
MAX_LINKS = 20_000  # links taken of a page
_BASE_LENGTH = 1024  # characters of a base: every relative link is as long again

# Registering DOM nodes costs Python ten times as much as these patterns. An unclosed comment or script reaches to
# the end, as in a browser; repeats are bounded where another tag could begin the same search anew.
HIDDEN = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_ANCHOR = re.compile(r"<(?:a|area)[\s/]([^<>]{1,8192})>", re.IGNORECASE)
_BASE = re.compile(r"<base[\s/]([^<>]{1,2048})>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""(?<![^\s"'/])(href|rel|name|content)\s*=\s*("[^"]*"|'[^']*'|[^\s"']+)""", re.IGNORECASE)
_SKIPPED_SCHEMES = ("javascript:", "mailto:", "tel:", "data:", "about:", "ftp:", "file:", "#")


@dataclass(frozen=True, slots=True)
class Links:
    """Targets of a page, and how many tags were left out: over MAX_URL characters, or after MAX_LINKS targets."""

    urls: tuple[str, ...] = ()
    too_long: int = 0
    too_many: int = 0

    @property
    def note(self) -> str:
        """What was left out, in words; empty where nothing was."""
        notes = []
        if self.too_long:
            notes.append(f"{self.too_long} links over {MAX_URL} characters left out")
        if self.too_many:
            notes.append(f"{self.too_many} links after the first {len(self.urls)} left out")
        return ", ".join(notes)


def page_links(html: str, url: str) -> Links:
    """Absolute targets of a page's `a` and `area` elements, each once, in order of appearance.

    Honours `<base href>` up to 1,024 characters; drops fragments, `rel=nofollow` and schemes other than http(s).
    Malformed targets are returned as written: the crawler counts them.
    """
    base = _base(html, url)
    targets: dict[str, None] = {}
    too_long = too_many = 0
    for anchor in _ANCHOR.finditer(HIDDEN.sub("", html)):
        if len(targets) == MAX_LINKS:
            too_many += 1
            continue
        given = attributes(anchor[1])
        href = given.get("href", "")
        if not href or href.lower().startswith(_SKIPPED_SCHEMES) or "nofollow" in given.get("rel", "").lower():
            continue
        target = absolute(base, href).partition("#")[0] if len(href) <= MAX_URL else href
        if len(target) > MAX_URL:
            too_long += 1
        else:
            targets[target] = None
    return Links(tuple(targets), too_long, too_many)


def _base(html: str, url: str) -> str:
    """What relative links are relative to: the first `base`, unless it leads nowhere."""
    first = _BASE.search(html)
    base = absolute(url, attributes(first[1]).get("href", "")) if first else url
    leads = base.lower().startswith(("http://", "https://")) and absolute(base, "x") != "x"
    return base if leads and len(base) <= _BASE_LENGTH else url


def absolute(base: str, reference: str) -> str:
    """The target of a reference; as written where it is malformed, such as an unclosed IPv6 bracket."""
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference


def attributes(tag: str) -> dict[str, str]:
    """`href`, `rel`, `name` and `content` of a tag; the first of each counts, as in a browser."""
    found: dict[str, str] = {}
    for name, value in _ATTRIBUTE.findall(tag):
        plain = value[1:-1] if value[0] in "\"'" else value
        # Longer ones are no links; int() inside unescape refuses a character reference of 4,301 digits.
        found.setdefault(name.lower(), (unescape(plain) if len(plain) <= MAX_URL else plain).strip())
    return found
