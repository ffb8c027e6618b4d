"""Markup that parsers are slow or wrong with, made harmless before it is parsed.

Formatting elements left open are opened again in every block that follows, as HTML asks: 83 kB of `<font><p>` take
3.8 GB and 400 kB of `<ul><a>` a second. Each level of a list is indented further: 40,000 nested `<ul><li>` are 1.6 GB
of text. A page with hundreds of either open is read without those tags. XHTML served as HTML closes `<a id="x"/>`,
which HTML reads as open, so that all that follows nests within it: such tags are closed.
"""

import re
from collections import Counter
from typing import Any

import numpy as np

_MAX_DEPTH = 1000
# Formatting elements (HTML standard, section 13.2.4.2) and lists cost the square of how many are open.
_MAX_FORMATTING, _MAX_LISTS = 256, 32
_FORMATTING = re.compile(
    r"<(/?)(a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?=[\s/>])[^<>]*>", re.IGNORECASE
)
_LISTS = re.compile(r"<(/?)(ol|ul)(?=[\s/>])[^<>]*>", re.IGNORECASE)
_SELF_CLOSED = re.compile(
    r"""<(a|b|div|em|i|iframe|li|p|script|span|strong|td|textarea|th|title)((?:\s[^<>]{0,2000})?["'\s]|)/>""",
    re.IGNORECASE,
)


_ENDS = {"<!--": "-->", "<script": "</script", "<style": "</style"}
_HIDDEN = re.compile("<(?:!--|script(?=[\\s>/])|style(?=[\\s>/]))")


def closed(html: str) -> str:
    """The page with self-closed tags closed that HTML would leave open."""
    return _SELF_CLOSED.sub(r"<\1\2></\1>", html) if "/>" in html else html


def without_scripts(html: str) -> str:
    """The page without its comments, scripts and styles, half of many a page; what is left open or odd stays."""
    if "--!>" in html:  # ends a comment too, by mistake
        return html
    out: list[str] = []
    at = 0
    while found := _HIDDEN.search(html, at):
        opening, start = found[0], found.start()
        end = html.find(_ENDS[opening], start + 2)  # `<!-->` is a comment
        if end < 0:
            break
        close = html.find(">", end + (2 if opening == "<!--" else 0)) + 1 or len(html)
        # Another opening within: the end may be another's, written in capitals here.
        known = opening == "<!--" or html.find(opening, start + 1, end) < 0
        out.append(html[at : start if known else close])
        at = close
    return "".join([*out, html[at:]])


def bounded(html: str) -> str:
    """The page; without its formatting tags if more than 256 of them are open at once, or its lists if 32 are."""
    lists = sum(html.count(tag) for tag in ("<ul", "<ol", "<UL", "<OL"))
    if html.count("<") - html.count("</") <= _MAX_FORMATTING and lists <= _MAX_LISTS:
        return html
    depth = _depth_bound(html)
    for tags, most in ((_FORMATTING, _MAX_FORMATTING), (_LISTS, _MAX_LISTS)):
        if depth > most and _opens(html, tags, most):
            html = tags.sub(" ", html)
    return html


def _opens(html: str, tags: re.Pattern[str], most: int) -> bool:
    open_tags: Counter[str] = Counter()
    count = 0
    for tag in tags.finditer(html):
        name = tag.group(2).lower()
        if not tag.group(1):
            open_tags[name] += 1
            count += 1
            if count > most:
                return True
        elif open_tags[name]:
            open_tags[name] -= 1
            count -= 1
    return False


def too_deep(html: str) -> bool:
    """Whether elements nest deeper than main-content extraction can be asked to walk."""
    if html.count("<") <= _MAX_DEPTH:
        return False
    return _depth_bound(html) > _MAX_DEPTH and _dom_depth(html) > _MAX_DEPTH


def _depth_bound(html: str) -> int:
    """The deepest nesting if no tag but the usual void ones were closed by another than its own end tag."""
    data = np.frombuffer(html.encode("utf-8", "replace") + b"    ", np.uint8)
    at = np.flatnonzero(data[:-4] == ord("<"))
    first, second, third = (data[at + n] | 0x20 for n in (1, 2, 3))  # lower case
    void = (second == ord("r")) & ((first == ord("b")) | (first == ord("h")))  # br, hr
    void |= (first == ord("i")) & (second == ord("m"))  # img
    void |= (first == ord("i")) & (second == ord("n")) & (third == ord("p"))  # input
    void |= (first == ord("m")) & (second == ord("e")) & (third == ord("t"))  # meta
    void |= (first == ord("l")) & (second == ord("i")) & (third == ord("n"))  # link
    opens = (first >= ord("a")) & (first <= ord("z")) & ~void
    change = opens.astype(np.int32)
    change[data[at + 1] == ord("/")] = -1
    ends = np.flatnonzero((data[:-1] == ord("/")) & (data[1:] == ord(">")))
    tag = np.searchsorted(at, ends) - 1  # the tag each "/>" ends
    tag = tag[tag >= 0]
    change[tag[opens[tag]]] = 0
    return int(np.cumsum(change).max(initial=0))


def _dom_depth(html: str) -> int:
    from resiliparse.parse.html import HTMLTree

    node: Any = HTMLTree.parse(html).document
    depth = 0
    while node is not None:  # child_nodes would cost the square of the siblings
        following = node.first_child
        depth += following is not None
        if depth > _MAX_DEPTH:
            break
        while following is None and depth > 0:
            following = node.next_sibling
            if following is None:
                node = node.parent
                depth -= 1
        node = following
    return depth
