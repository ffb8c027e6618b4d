"""What an extractor makes of a page."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from corpus.extract.about import about

if TYPE_CHECKING:
    from resiliparse.parse.html import HTMLTree


@dataclass(frozen=True, slots=True)
class Page:
    """The text of a page, its title, the language its `html` element declares, its author, and its day (ISO 8601)."""

    text: str
    title: str | None = None
    language: str | None = None
    author: str | None = None
    published: str | None = None


def described(tree: "HTMLTree", html: str) -> Page:
    """What a page says of itself, without its text; `html` is the page as it came, scripts included."""
    document = tree.document
    root = document.query_selector("html") if document is not None else None
    language = (root.getattr("lang") or root.getattr("xml:lang") or "") if root is not None else ""
    known = about(tree, html)
    return Page("", (tree.title or "").strip() or None, language.strip() or None, known.author, known.published)
