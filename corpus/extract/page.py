"""What an extractor makes of a page."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resiliparse.parse.html import HTMLTree


@dataclass(frozen=True, slots=True)
class Page:
    """The text of a page, its title, and the language its `html` element declares."""

    text: str
    title: str | None = None
    language: str | None = None


def titled(tree: "HTMLTree", text: str) -> Page:
    """The page of a parsed tree and its text."""
    document = tree.document
    root = document.query_selector("html") if document is not None else None
    language = (root.getattr("lang") or root.getattr("xml:lang") or "") if root is not None else ""
    return Page(text, (tree.title or "").strip() or None, language.strip() or None)
