"""Siku's own extractor: noise out by name, tag, heading and links, then the element that holds the prose."""

import re
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from corpus.configuration import Doc, configuration
from corpus.extract.line_wraps import unwrapped
from corpus.extract.markup import bounded, closed, too_deep
from corpus.extract.page import Page, titled
from corpus.extract.prune import Node, Weights, linked, size, without_noise

if TYPE_CHECKING:
    from resiliparse.parse.html import HTMLTree

_SHARE = 0.8  # of the prose that one child must hold to be looked into
_ANCHORS = "a.headerlink,a.hash-link,a.anchor,a.anchorjs-link,a.heading-link,a.permalink,a[aria-hidden=true]"
_SIGNS = frozenset(("", "¶", "#", "§", "🔗", "\u200b", "[¶]", "[#]"))
_LISTS = "ul,ol,dl,menu,table"
_LINKED = 0.6  # share of a list's text within links above which it leads elsewhere


@configuration
class SikuExtractor:
    """Main text by what elements are named, how much prose they hold and how much of it is links."""

    libraries: ClassVar[tuple[str, ...]] = ("Resiliparse",)

    name: Literal["siku"] = "siku"
    main_content: Annotated[bool, Doc("leave out menus, headers, footers, side bars, comments and teasers")] = True
    list_bullets: Annotated[bool, Doc("write bullets and numbers before list items")] = True

    def page(self, html: str) -> Page:
        """Text, title and declared language."""
        from resiliparse.parse.html import HTMLTree

        html = closed(unwrapped(bounded(html)))
        tree = HTMLTree.parse(html)
        page = titled(tree, "")
        if self.main_content and tree.body is not None and not too_deep(html):
            _keep_content(tree, html)
        return Page(rendered(tree, self.list_bullets), page.title, page.language)


def rendered(tree: "HTMLTree", list_bullets: bool) -> str:
    """Plain text of what a tree holds; paragraphs, lists, tables and preformatted lines kept."""
    from resiliparse.extract.html2text import extract_plain_text

    text: str = extract_plain_text(tree, preserve_formatting=True, list_bullets=list_bullets, alt_texts=False)
    return text.strip()


def _keep_content(tree: "HTMLTree", html: str) -> None:
    """Leave of the body only the element that holds the prose, without the noise in it."""
    weights = without_noise(tree, html)
    root = _root(weights)
    if weights.total:
        _tidy(root, weights)
    if root != weights.body:
        root.parent.remove_child(root)
        for child in weights.body.child_nodes.values():
            child.decompose()
        weights.body.append_child(root)


def _root(weights: Weights) -> Node:
    """The innermost element that holds nearly all prose."""
    node = weights.body
    while True:
        best = max(node.children.values(), key=lambda child: weights[child], default=None)
        if best is None or weights[best] < _SHARE * max(weights[node], 1) or best.tag in ("p", "pre", "li", "tr", "tbody"):
            return node
        node = best


def _tidy(root: Node, weights: Weights) -> None:
    """Take out of the content its anchors, teasers and lists of links."""
    for anchor in root.query_selector_all(_ANCHORS).values():
        if (anchor.text or "").strip() in _SIGNS:
            anchor.decompose()
    for node in root.query_selector_all(_LISTS).values():
        if node.parent is None:
            continue
        bytes_ = size(node.text)
        if bytes_ and linked(node) > _LINKED * bytes_ and weights[node] < 0.5 * weights.total:
            weights.drop(node)
