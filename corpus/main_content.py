"""Main text of a page by Resiliparse, with its markup prepared so that four of its losses do not happen.

Measured on Resiliparse 2.0.1; each has a test that shows the loss without the preparation.

1. In main-content mode a text node of exactly three UTF-8 bytes, not all ASCII, is dropped: every lone Chinese
   character or quotation mark between tags. A noncharacter beside it keeps it.
2. A `ul` fewer than three elements below `body` counts as navigation. Lists whose text is mostly not links are
   renamed to `menu`, which is rendered alike and kept.
3. The time grows with the square of the nesting: 5,000 nested elements take 0.4 s, 20,000 take 10 s. A page
   deeper than any written by people is taken whole, which is linear.
4. XHTML served as HTML closes `<a id="x"/>`, which HTML reads as open: all that follows nests within it and most
   is dropped (42 % of Debian Reference). Such tags are closed.

Formatting elements left open are opened again in every block that follows, as HTML asks: 83 kB of `<font><p>` take
3.8 GB and 400 kB of `<ul><a>` a second. Each level of a list is indented further: 40,000 nested `<ul><li>` are 1.6 GB
of text. A page with hundreds of either open is read without those tags.
"""

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from resiliparse.parse.html import HTMLTree

_MAX_DEPTH = 1000
# Formatting elements (HTML standard, section 13.2.4.2) and lists cost the square of how many are open.
_MAX_FORMATTING, _MAX_LISTS = 256, 32
_FORMATTING = re.compile(
    r"<(/?)(a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?=[\s/>])[^<>]*>", re.IGNORECASE
)
_LISTS = re.compile(r"<(/?)(ol|ul)(?=[\s/>])[^<>]*>", re.IGNORECASE)

_MARK = "\ufdd0"
_LONE = re.compile(
    "(>\\s*(?:[\u0800-\uffff]|[!-~][\u0080-\u07ff]|[\u0080-\u07ff][!-~]"
    "|&(?:#[xX]?[0-9a-fA-F]{2,6}|[a-zA-Z]{2,8});))(?=\\s*<)"
)

_SELF_CLOSED = re.compile(
    r"""<(a|b|div|em|i|iframe|li|p|script|span|strong|td|textarea|th|title)((?:\s[^<>]{0,2000})?["'\s]|)/>""",
    re.IGNORECASE,
)

_LIST = re.compile(r"<(/?)ul\b([^<>]{0,2000})>", re.IGNORECASE)
_TAG = re.compile(r"<(?:(/?)a\b([^<>]*)|[^<>]*)>", re.IGNORECASE)
_HREF = re.compile(r"\shref\s*=", re.IGNORECASE)
# Whole words where a longer one is something else: protocol, stock, shareholder, autocomplete.
_NAVIGATION = re.compile(
    r"nav|menu|crumb|toolbar|sidebar|footer|header|social|pager|pagination|hidden|display"
    r"|\b_?toc|toc_?\b|\b_?tabs?_?\b|\b_?tags?_?\b|\b_?(?:share|sharing)(?!holder|ware|d)",
    re.IGNORECASE,
)
_LONGEST_LIST = 200_000  # characters: a longer one is left to the library's own rule


def main_text(tree: "HTMLTree", main: bool, list_bullets: bool) -> str:
    """Plain text of a parsed page, paragraphs, lists and preformatted lines kept."""
    from resiliparse.extract.html2text import extract_plain_text

    text: str = extract_plain_text(
        tree,
        main_content=main,
        preserve_formatting=True,
        list_bullets=list_bullets,
        alt_texts=False,
        links=False,
        form_fields=False,
        noscript=False,
        comments=True,
    )
    return unmarked(text).strip()


def unmarked(text: str) -> str:
    """The text without what `prepared` put in."""
    return text.replace(_MARK, "")


def prepared(html: str) -> str:
    """The page with lone characters marked, prose lists renamed and self-closed tags closed."""
    if "/>" in html:
        html = _SELF_CLOSED.sub(r"<\1\2></\1>", html)
    return _LONE.sub("\\1" + _MARK, _with_lists(html))


def bounded(html: str) -> str:
    """The page; without its formatting tags if more than 256 of them are open at once, or its lists if 32 are."""
    if html.count("<") <= _MAX_LISTS:
        return html
    for tags, most in ((_FORMATTING, _MAX_FORMATTING), (_LISTS, _MAX_LISTS)):
        if _opens(html, tags, most):
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
    opens = (first >= ord("a")) & (first <= ord("z")) & ~void
    change = np.zeros(len(data), np.int32)
    change[at[opens]] = 1
    change[at[data[at + 1] == ord("/")]] = -1
    ends = np.flatnonzero((data[:-1] == ord("/")) & (data[1:] == ord(">")))
    tag = np.searchsorted(at, ends) - 1  # the tag each "/>" ends
    change[ends[(tag >= 0) & opens[tag]] if len(at) else ends[:0]] -= 1
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


def _is_prose(attributes: str, inner: str) -> bool:
    """Whether a list is text rather than a menu: more than half of its characters are outside links."""
    if _NAVIGATION.search(attributes):
        return False
    linked = total = at = 0
    in_link = False  # a link ends where another begins, or nowhere
    for tag in _TAG.finditer(inner):
        size = len("".join(inner[at : tag.start()].split()))
        total += size
        linked += size if in_link else 0
        at = tag.end()
        if tag.group(1) is not None:
            in_link = not tag.group(1) and _HREF.search(tag.group(2)) is not None
    rest = len("".join(inner[at:].split()))
    return 2 * (linked + rest * in_link) < total + rest


def _with_lists(html: str) -> str:
    """Outermost lists of prose, and the lists within them, as `menu`."""
    out: list[str] = []
    copied = depth = 0
    first: re.Match[str] | None = None
    for match in _LIST.finditer(html):
        if not match.group(1):
            first = match if depth == 0 else first
            depth += 1
            continue
        depth -= depth > 0
        if depth or first is None:
            continue
        start, stop = first.end(), match.start()
        if stop - start <= _LONGEST_LIST and _is_prose(first.group(2), html[start:stop]):
            out += [html[copied : first.start()], _LIST.sub(r"<\1menu\2>", html[first.start() : match.end()])]
            copied = match.end()
        first = None  # end tags without a list end nothing
    return "".join([*out, html[copied:]])
