"""Siku's own extractor: noise out by name, tag, heading and links, then the element that holds the prose."""

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from corpus.configuration import Doc, configuration
from corpus.extract.line_wraps import unwrapped
from corpus.extract.markup import bounded, closed, too_deep, without_scripts
from corpus.extract.page import Page, described
from corpus.extract.prune import without_noise
from corpus.extract.weights import Node, Weights, linked, size

if TYPE_CHECKING:
    from resiliparse.parse.html import HTMLTree

_SHARE, _PART = 0.85, 0.1  # of the prose: what one child must hold to be looked into, and one behind it to stay
_LITTLE = 300  # bytes of prose below which a page is not narrowed down
_NO_ROOTS = frozenset(("p", "pre", "ul", "ol", "dl", "li", "tbody", "tr", "table"))
_BESIDE = frozenset(("p", "pre", "ul", "ol", "dl", "table", "blockquote", "h2", "h3", "h4"))
_LEGAL = re.compile(r"\s*(?:©|\(c\)|copyright\b|all rights reserved|版权所有|版權所有|未经授权|本网站)", re.IGNORECASE)
_ANCHORS = "a.headerlink,a.hash-link,a.anchor,a.anchorjs-link,a.heading-link,a.permalink,a[aria-hidden=true]"
_SIGNS = frozenset(("", "¶", "#", "§", "🔗", "\u200b", "[¶]", "[#]"))
_LISTS = "ul,ol,menu,table"
_LINKED = 0.6  # share of a list's text within links above which it leads elsewhere


@configuration
class SikuExtractor:
    """Main text by what elements are named, how much prose they hold and how much of it is links."""

    libraries: ClassVar[tuple[str, ...]] = ("Resiliparse",)

    by: Literal["siku"] = "siku"
    main_content: Annotated[bool, Doc("leave out menus, headers, footers, side bars, comments and teasers")] = True
    list_bullets: Annotated[bool, Doc("write bullets and numbers before list items")] = True

    def page(self, html: str) -> Page:
        """The page and its text."""
        from resiliparse.parse.html import HTMLTree

        served = html
        html = closed(unwrapped(bounded(without_scripts(html))))
        tree = HTMLTree.parse(html)
        page = described(tree, served)
        if self.main_content and tree.body is not None and not too_deep(html):
            _keep_content(tree.body, html)
        return replace(page, text=rendered(tree, self.list_bullets))


def rendered(tree: "HTMLTree", list_bullets: bool) -> str:
    """Plain text of what a tree holds; paragraphs, lists, tables and preformatted lines kept."""
    from resiliparse.extract.html2text import extract_plain_text

    text: str = extract_plain_text(tree, preserve_formatting=True, list_bullets=list_bullets, alt_texts=False)
    return text.strip()


def _keep_content(body: Node, html: str) -> None:
    """Leave of the body only the element that holds the prose, what leads to it, and nothing else in it."""
    for figure in body.query_selector_all("figure").values():  # the library leaves them out
        for block in figure.query_selector_all("pre,table,blockquote").values():
            figure.parent.insert_before(block, figure)
    weights = without_noise(body, html)
    _narrow(weights)
    _tidy(weights)


def _narrow(weights: Weights) -> None:
    """Walk down to the innermost element that holds nearly all prose; take out what stands beside the way.

    A lead, a question or a heading before it stays, and so do a paragraph, or a good part of the prose, behind it.
    """
    node = weights.body
    while weights[node] >= _LITTLE:
        children = node.children.values()
        best = max(children, key=lambda child: weights[child], default=None)
        if best is None or best.tag in _NO_ROOTS or weights[best] < _SHARE * weights[node]:
            return
        behind = False
        for child in children:
            if child == best:
                behind = True
            elif not _belongs(child, weights, behind, weights[node]):
                weights.drop(child)
        node = best


def _belongs(child: Node, weights: Weights, behind: bool, prose: int) -> bool:
    """Whether an element beside the one with the prose is of it too."""
    if 2 * weights[child] < size(child.text):
        return child.tag == "h1" and not behind
    if behind and weights[child] < _PART * prose and child.tag not in _BESIDE:
        return False
    return not _LEGAL.match(child.text)


def _tidy(weights: Weights) -> None:
    """Take out of the content its anchors, teasers and lists of links."""
    for anchor in weights.body.query_selector_all(_ANCHORS).values():
        if (anchor.text or "").strip() in _SIGNS:
            anchor.decompose()
    for node in weights.body.query_selector_all(_LISTS).values():
        if node.tag is None:
            continue
        bytes_ = size(node.text)
        if bytes_ and linked(node) > _LINKED * bytes_ and weights.is_part(weights[node]):
            weights.drop(node)
