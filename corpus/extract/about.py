"""Who wrote a page and when: what it says of itself to machines, then to readers.

In this order: JSON-LD (schema.org `author`, `datePublished`), `meta` elements, elements marked for it (`rel=author`,
`itemprop`, `time`), and, since Chinese pages seldom mark anything, lines below the heading:
`2024年01月02日 08:15 来源：… 作者：…`. Nothing is guessed from URLs or from what stands in the text.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from html import unescape
from typing import TYPE_CHECKING, Any

from corpus.extract.markup import without_scripts
from corpus.extract.weights import Node

if TYPE_CHECKING:
    from resiliparse.parse.html import HTMLTree

_MOST_JSON, _MOST_BLOCKS, _MOST_NODES = 1 << 18, 8, 2000  # characters a block, blocks a page, objects a block
# Dublin Core, Open Graph, schema.org, and what Parse.ly, Sailthru, Toutiao and Baidu read.
_AUTHORS = ("author", "article:author", "og:article:author", "dc.creator", "dcterms.creator", "parsely-author",
            "sailthru.author", "byl")  # fmt: skip
_DATES = ("article:published_time", "og:published_time", "datepublished", "publishdate", "pubdate", "publish_date",
          "publication_date", "parsely-pub-date", "sailthru.date", "dc.date.issued", "dcterms.issued", "dc.date",
          "dcterms.date", "dcterms.created", "bytedance:published_time", "date")  # fmt: skip
_WRITTEN_BY = "[rel=author],[itemprop=author],.byline .author,.author-name,.byline-name,.post-author,address.author"
_WRITTEN_AT = "time[pubdate],time[itemprop=datePublished],[itemprop=datePublished],time[datetime]"
_HEADING = re.compile("</h1", re.IGNORECASE)
_HEAD = 2000  # characters of markup below a heading within which a line of names and days stands
_HINT = re.compile(r"\b(?:19|20)\d\d\b|[Bb][Yy][\s<]|作|撰|[记記]者")
_TAGS = re.compile("<[^<>]*>")
_NAME = r"[A-Z][\w.'’-]*"
_LINE_AUTHOR = re.compile(
    r"(?:作[^\S\n]{0,4}者|撰文|撰稿|記者|记者)\s?[:：]\s?([^\s:：|｜/／·，。；]{2,20})"
    rf"|^(?:[Ww]ritten by|[Pp]osted by|By|BY)\s({_NAME}(?:[ ]{_NAME}){{1,3}})",
    re.MULTILINE,
)
_LINE_DATE = re.compile(
    r"(?<!\d)(?:19|20)\d\d年\d{1,2}月\d{1,2}日|(?<!\d)(?:19|20)\d\d[-/]\d{1,2}[-/]\d{1,2}(?:\s|T)\d?\d:\d\d"
    r"|(?:[Pp]ublished|[Pp]osted)(?:\son|:)?\s[^\n]{8,30}"
)
_NUMERIC = re.compile(
    r"(?<!\d)((?:19|20)\d\d)\s?[-/.年]\s?(\d{1,2})\s?[-/.月]\s?(\d{1,2})(?!\d)|(?<!\d)((?:19|20)\d\d)(\d\d)(\d\d)(?!\d)"
)
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec"
_ENGLISH = re.compile(
    r"\b([A-Za-z]{3})[a-z]{0,6}\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+((?:19|20)\d\d)\b"
    r"|\b(\d{1,2})(?:st|nd|rd|th)?\s+([A-Za-z]{3})[a-z]{0,6}\.?,?\s+((?:19|20)\d\d)\b"
)
_BY = re.compile(
    r"^(?:written\s+by|posted\s+by|by|作者|发帖者|發佈者|撰文|记者|記者)(?:\s+|\s*[:：]\s*)", re.IGNORECASE
)
_LONGEST, _DEEPEST = 200, 8


@dataclass(frozen=True, slots=True)
class About:
    """Author, several joined by `, `, and the day of publication as ISO 8601."""

    author: str | None = None
    published: str | None = None


def about(tree: "HTMLTree", html: str) -> About:
    """What a page says of its author and day; `html` is the page with its scripts, `tree` may be without them."""
    linked = list(_linked_data(html))
    meta = _meta(tree)
    author = _first(map(author_of, [*(each.get("author") for each in linked), *_listed(meta, _AUTHORS)]))
    day = _first(map(day_in, [*(each.get("datePublished") for each in linked), *_listed(meta, _DATES)]))
    if tree.body is None or (author is not None and day is not None):
        return About(author, day)
    if author is None and any(word in html for word in ("author", "byline")):
        author = _first(author_of(node.text) for node in _some(tree.body, _WRITTEN_BY))
    if day is None and any(word in html for word in ("<time", "datePublished")):
        found = _some(tree.body, _WRITTEN_AT)
        day = _first(day_in(node.getattr("datetime") or node.getattr("content") or node.text) for node in found)
    lines = About() if author and day else below_heading(html)
    return About(author or lines.author, day or lines.published)


def below_heading(html: str) -> About:
    """What the lines that follow a page's heading tell: `By Ada Lee`, `Published March 3, 2026`, `作者：李明`."""
    heading = _HEADING.search(html)
    if heading is None or _HINT.search(html, heading.end(), heading.end() + _HEAD) is None:
        return About()
    pieces = unescape(_TAGS.sub("\n", without_scripts(html[heading.end() : heading.end() + _HEAD]))).split("\n")
    text = "\n".join(line for piece in pieces if (line := piece.strip()))
    author, day = _LINE_AUTHOR.search(text), _LINE_DATE.search(text)
    return About(author_of(author[1] or author[2]) if author else None, day_in(day[0]) if day else None)


def author_of(value: object, deepest: int = _DEEPEST) -> str | None:
    """A name out of what stands for one: a text, a schema.org Person, or a list of these; None for URLs and others.

    What is nested deeper than anybody means is none. Half surrogate pairs, which JSON can write, are left out.
    """
    if deepest == 0:
        return None
    if isinstance(value, dict):
        return author_of(value.get("name"), deepest - 1)
    if isinstance(value, list):
        names = [name for each in value[:20] if (name := author_of(each, deepest - 1))]
        return ", ".join(dict.fromkeys(names))[:_LONGEST] or None
    if not isinstance(value, str):
        return None
    name = _BY.sub("", " ".join(unescape(value).encode("utf-8", "ignore").decode("utf-8").split()))
    is_name = bool(name) and len(name) <= _LONGEST and "://" not in name and any(each.isalpha() for each in name)
    return name if is_name else None


def day_in(value: object) -> str | None:
    """The first day that a text names, as `YYYY-MM-DD`: numbers, English months, Chinese; None if there is none."""
    if not isinstance(value, str):
        return None
    value = value[:_LONGEST]
    if match := _NUMERIC.search(value):
        year, month, day = (int(group) for group in match.groups() if group is not None)
    elif match := _ENGLISH.search(value):
        first, second, last, day_first, month_second, year_last = match.groups()
        names, name = _MONTHS.split(), (first or month_second).lower()
        if name not in names:
            return None
        year, month, day = int(last or year_last), names.index(name) + 1, int(second or day_first)
    else:
        return None
    try:
        return date(year, month, day).isoformat()
    except ValueError:  # no such day
        return None


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value is not None), None)


def _listed(meta: dict[str, str], names: tuple[str, ...]) -> list[str]:
    return [meta[name] for name in names if name in meta]


def _meta(tree: "HTMLTree") -> dict[str, str]:
    """Contents of `meta` elements by name, property or itemprop in lower case, the first of each."""
    found: dict[str, str] = {}
    if tree.head is None:
        return found
    for node in tree.head.get_elements_by_tag_name("meta").values():
        name = node.getattr("name") or node.getattr("property") or node.getattr("itemprop")
        if name and (content := node.getattr("content")):
            found.setdefault(name.strip().lower(), content)
    return found


def _some(body: Node, selector: str) -> Iterator[Node]:
    """The first elements that a selector finds."""
    found = body.query_selector_all(selector)
    return (found[at] for at in range(min(len(found), 3)))


def _linked_data(html: str) -> Iterator[dict[str, Any]]:
    """Objects of JSON-LD blocks that name an author or a day of publication, in the order they stand."""
    at = 0
    for _ in range(_MOST_BLOCKS):
        if (at := html.find("ld+json", at)) < 0:
            return
        at = start = html.find(">", at) + 1
        end = html.find("</script", start, start + _MOST_JSON)
        if start == 0 or end < 0:
            return
        try:
            waiting = [json.loads(html[start:end])]
        except (ValueError, RecursionError):
            continue
        seen = 0
        while waiting and seen < _MOST_NODES:
            node = waiting.pop(0)
            seen += 1
            if isinstance(node, list):
                waiting += node
            elif isinstance(node, dict):
                if "author" in node or "datePublished" in node:
                    yield node
                waiting += [node[name] for name in ("@graph", "mainEntity", "mainEntityOfPage") if name in node]
