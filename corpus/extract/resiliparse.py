"""Resiliparse's main-content mode, with its markup prepared so that three of its losses do not happen.

Measured on Resiliparse 2.0.1; each has a test that shows the loss without the preparation.

1. In main-content mode a text node of exactly three UTF-8 bytes, not all ASCII, is dropped: every lone Chinese
   character or quotation mark between tags. A noncharacter beside it keeps it.
2. A `ul` fewer than three elements below `body` counts as navigation. Lists whose text is mostly not links are
   renamed to `menu`, which is rendered alike and kept.
3. The time grows with the square of the nesting: 5,000 nested elements take 0.4 s, 20,000 take 10 s. A page
   deeper than any written by people is taken whole, which is linear.
"""

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from corpus.configuration import Doc, configuration
from corpus.extract.line_wraps import unwrapped
from corpus.extract.markup import bounded, closed, too_deep
from corpus.extract.page import Page, described
from corpus.pattern import pattern

if TYPE_CHECKING:
    from resiliparse.parse.html import HTMLTree

_MARK = "\ufdd0"
_LONE = pattern(
    "(>\\s*(?:[\u0800-\uffff]|[!-~][\u0080-\u07ff]|[\u0080-\u07ff][!-~]"
    "|&(?:#[xX]?[0-9a-fA-F]{2,6}|[a-zA-Z]{2,8});))(?=\\s*<)"
)
_LIST = pattern(r"<(/?)ul\b([^<>]{0,2000})>", re.IGNORECASE)
_TAG = pattern(r"<(?:(/?)a\b([^<>]*)|[^<>]*)>", re.IGNORECASE)
_HREF = pattern(r"\shref\s*=", re.IGNORECASE)
# Whole words where a longer one is something else: protocol, stock, shareholder, autocomplete.
_NAVIGATION = pattern(
    r"nav|menu|crumb|toolbar|sidebar|footer|header|social|pager|pagination|hidden|display"
    r"|\b_?toc|toc_?\b|\b_?tabs?_?\b|\b_?tags?_?\b|\b_?(?:share|sharing)(?!holder|ware|d)",
    re.IGNORECASE,
)
_LONGEST_LIST = 200_000  # characters: a longer one is left to the library's own rule


@configuration
class ResiliparseExtractor:
    """The library's own rules for main content: fast, and comments and teasers are kept."""

    libraries: ClassVar[tuple[str, ...]] = ("Resiliparse",)

    by: Literal["resiliparse"] = "resiliparse"
    list_bullets: Annotated[bool, Doc("write bullets and numbers before list items")] = True

    def page(self, html: str) -> Page:
        """The page and its text."""
        from resiliparse.parse.html import HTMLTree

        served = html
        html = unwrapped(bounded(html))
        main = not too_deep(html)
        tree = HTMLTree.parse(prepared(html) if main else html)
        page = described(tree, served)
        title, author = (unmarked(each).strip() or None if each else None for each in (page.title, page.author))
        return replace(page, text=main_text(tree, main, self.list_bullets), title=title, author=author)


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
    return _LONE.sub("\\1" + _MARK, _with_lists(closed(html)))


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
