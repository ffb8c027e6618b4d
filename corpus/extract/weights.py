"""How much prose each element of a parsed page holds.

A weight is UTF-8 bytes of the paragraphs, cells and lines within an element that are not mostly links. What holds most
of a page's prose is never taken for noise, so that a misleading name costs nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

_BLOCKS = (
    "p,pre,blockquote,h2,h3,table,ul,ol,dl,td:has(> br),"
    "div:not(:has(div,p,ul,ol,dl,table,pre,blockquote,section,article)),"
    "section:not(:has(div,p,ul,ol,dl,table,pre,blockquote,section,article)),"
    "div:has(> br),section:has(> br),article:has(> br),body:has(> br),font:has(> br),span:has(> br),center:has(> br)"
)
_LEAST = 40  # bytes of a block that counts as prose
ARTICLE = 1000  # bytes that a text without its surroundings has at least

Node = Any  # resiliparse's ElementNode, whose package has no types


def size(text: str | None) -> int:
    """Bytes of a text without its white space: a Chinese character says about as much as three letters."""
    return len("".join(text.split()).encode("utf-8", "replace")) if text else 0


def linked(node: Node) -> int:
    """Bytes of the text within links."""
    links = node.get_elements_by_tag_name("a")
    return sum(size(link.text) for link in links.values()) if len(links) else 0


@dataclass(slots=True)
class Weights:
    """Prose by element, and what of it is still there."""

    body: Node
    of: dict[Node, int] = field(default_factory=dict)
    parents: dict[Node, Node] = field(default_factory=dict)

    @classmethod
    def measured(cls, body: Node) -> "Weights":
        """Weights of a body and all it holds; each block's own prose counts once."""
        self = cls(body)
        own: dict[Node, int] = {}
        for block in body.query_selector_all(_BLOCKS).values():
            text = block.text
            if text is not None and 3 * len(text) >= _LEAST and (bytes_ := size(text)) >= _LEAST:
                links = linked(block)
                own[block] = bytes_ - links if 2 * links < bytes_ else 0
        for block in list(own):
            for above in self.above(block):
                if above in own:
                    own[above] -= own[block] if own[block] > 0 else 0
                    break
        for block, bytes_ in own.items():
            if bytes_ >= _LEAST:
                self.add(block, bytes_)
        return self

    def above(self, node: Node) -> Iterator[Node]:
        """Ancestors up to the body."""
        while node != self.body:
            parent = self.parents.get(node)
            if parent is None:
                parent = self.parents[node] = node.parent
            if parent is None:
                return
            yield parent
            node = parent

    def add(self, node: Node, bytes_: int) -> None:
        """Count prose to an element and all around it."""
        self.of[node] = self.of.get(node, 0) + bytes_
        for above in self.above(node):
            self.of[above] = self.of.get(above, 0) + bytes_

    def __getitem__(self, node: Node) -> int:
        return self.of.get(node, 0)

    @property
    def total(self) -> int:
        return self[self.body]

    def drop(self, node: Node) -> None:
        """Take an element out of the page."""
        if node == self.body or node.tag is None:
            return
        if weight := self[node]:
            self.add(node, -weight)
        node.decompose()

    def drop_unless_most(self, nodes: Iterable[Node]) -> None:
        """Take out those of the elements that do not hold most of the page's prose."""
        for node in nodes:
            if node.tag is not None and self.is_part(self[node]):
                self.drop(node)

    def is_part(self, prose: int) -> bool:
        """Whether so much prose may be noise: half of the page's, or more where an article's worth is left."""
        rest = self.total - prose
        return prose <= rest or (rest >= ARTICLE and prose <= 3 * rest)
