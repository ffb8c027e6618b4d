"""Which elements of a parsed page are no content: by tag, by name and by heading."""

import re
from collections.abc import Iterable, Iterator

from corpus.extract.headings import LEADS_ON, LEADS_ON_BEHIND, heading
from corpus.extract.names import Meaning, meaning
from corpus.extract.weights import ARTICLE, Node, Weights, size

_NEVER = (
    "noscript,script,style,template,iframe,object,embed,svg,canvas,audio,video,"
    "button,select,textarea,input,dialog,rt,rp,rtc,"
    "[role=navigation],[role=banner],[role=contentinfo],[role=search],[role=dialog],[role=alertdialog],[role=tablist],"
    "[aria-hidden=true],clipboard-copy,sup.reference"
)
# Contents of DocBook, a list of terms, are of the manual's text, as its publisher's plain text has them.
_SUSPECT = (
    ".toc:not(:has(dl)):not(dl),nav,aside,footer,form,menu,[role=complementary],"
    "[hidden],[style*='display:none'],[style*='display: none']"
)
_ASIDE = re.compile(r"admonition|note|tip|warning|callout|topic|hint|aside--|starlight-aside|example", re.IGNORECASE)
# Literal beginnings, for `re` is ten times as fast with them; a name that is missed is a hint less.
_VALUE = r"""=(?:"([^"<>]{1,400})"|'([^'<>]{1,400})'|([^\s"'<>]{1,200}))"""
_ATTRIBUTES = {written: re.compile(written + _VALUE) for written in ("class", "id", "CLASS", "ID")}
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_MOST_NAMES = 200  # of noise in a page: one with more is searched element by element
_PROSE = "p,br,pre,td,dd,section,article,main,h1"  # what stands in a text, and seldom in a menu
_SMALL = 600  # bytes that small things about a text hold at most
_CARD_LINKS = "a:has(h2,h3,h4,h5),h2 > a,h3 > a,h4 > a,h5 > a"
_CARD, _CARDS = 500, 3  # characters a card holds at most, and how many make a list of teasers
_KEPT_TAGS = frozenset(("html", "body", "main", "article", "pre", "code", "h1"))
_POST = re.compile(r"\bhentry\b|\btype-post\b|\bpost-\d+\b")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_TALK = 300  # bytes: a page with less than that beside its comments is for them


def named(html: str, body: Node) -> dict[Meaning, list[Node]]:
    """Elements whose class or id means something, in document order."""
    wanted: dict[tuple[str, str], Meaning] = {}
    for written, pattern in _ATTRIBUTES.items():
        for values in set(pattern.findall(html)):
            for name in "".join(values).split():
                if (found := meaning(name)) is not None:
                    wanted[written.lower(), name] = found
    nodes: dict[Meaning, list[Node]] = {"noise": [], "small": [], "comments": []}
    if not wanted:
        return nodes
    for node in body.query_selector_all(_selector(wanted)).values():
        found_here = {wanted.get(("class", name)) for name in (node.class_name or "").split()}
        found_here.add(wanted.get(("id", node.id)))
        if node.tag in _KEPT_TAGS or (node.class_name and _POST.search(node.class_name)):
            continue
        for each in ("comments", "noise", "small"):
            if each in found_here:
                nodes[each].append(node)
                break
    return nodes


def _selector(names: Iterable[tuple[str, str]]) -> str:
    parts = []
    for kind, name in sorted(names):
        if _PLAIN.fullmatch(name):
            parts.append(f".{name}" if kind == "class" else f"#{name}")
        else:
            quoted = name.replace("\\", "\\\\").replace('"', '\\"')
            parts.append(f'[class~="{quoted}"]' if kind == "class" else f'[id="{quoted}"]')
    return ",".join(parts) if len(parts) <= _MOST_NAMES else "[class],[id]"


def without_noise(body: Node, html: str) -> Weights:
    """Take out what is no content, but for what only stands out within the content; the weights of the rest."""
    for node in body.query_selector_all(_NEVER).values():
        if node.tag is not None and node != body:
            node.decompose()
    nodes = named(html, body)
    suspects = [*nodes["noise"], *(node for node in body.query_selector_all(_SUSPECT).values() if not _is_aside(node))]
    for node in suspects:
        if node.tag is not None and node.query_selector(_PROSE) is None:
            node.decompose()
    weights = Weights.measured(body)
    weights.drop_unless_most(suspects)
    weights.drop_unless_most(node for node in nodes["small"] if node.tag is not None and _is_small(node))
    _drop_comments(weights, nodes["comments"])
    _drop_headed(weights)
    _discount_teasers(weights)
    return weights


def _is_small(node: Node) -> bool:
    return size(node.text) <= _SMALL and node.query_selector("pre,table,p + p,blockquote") is None


def _discount_teasers(weights: Weights) -> None:
    """Let cards that lead to other pages, each a heading that is a link with a line or two about it, weigh nothing.

    Then they do not decide where the content is; those within it, as in a manual's list of commands, stay.
    """
    cards: list[Node] = []
    large: set[Node] = set()
    for link in weights.body.query_selector_all(_CARD_LINKS).values():
        if (link.getattr("href") or "#").startswith("#"):
            continue
        card = link
        while (parent := card.parent) is not None and parent != weights.body and parent.tag not in _KEPT_TAGS:
            if parent in large or len(parent.text or "") > _CARD:
                large.add(parent)
                break
            card = parent
        cards.append(card)
    rest = weights.total - sum(weights[card] for card in set(cards))
    if len(cards) >= _CARDS and rest >= ARTICLE / 2:
        for card in set(cards):
            weights.add(card, -weights[card])


def _is_aside(node: Node) -> bool:
    if node.tag == "aside":
        return _ASIDE.search(node.class_name or "") is not None
    return bool(node.tag == "footer" and node.parent.tag == "blockquote")


def _drop_comments(weights: Weights, nodes: list[Node]) -> None:
    """Take out readers' comments, unless they are what the page is for."""
    there = {node for node in nodes if node.tag is not None}
    outer = [node for node in nodes if node in there and there.isdisjoint(weights.above(node))]
    written = sum(weights[node] for node in outer)
    rest = weights.total - written
    if rest >= _TALK or written <= 2 * rest:
        for node in outer:
            weights.drop(node)


def _drop_headed(weights: Weights) -> None:
    """Take out sections whose heading says that they lead elsewhere."""
    for node in weights.body.query_selector_all(",".join((*_HEADINGS, "dt", "strong", "legend"))).values():
        if node.tag is None or not (words := heading(node.text)):
            continue
        behind = LEADS_ON_BEHIND.fullmatch(words) is not None and not any(each.tag == node.tag for each in _after(node))
        if not behind and not LEADS_ON.fullmatch(words):
            continue
        section = _headed(node, weights)
        if section is not node:
            weights.drop(section)
        elif node.tag in _HEADINGS:
            following = list(_below(node))
            if weights.is_part(sum(weights[each] for each in following)):
                for each in (node, *following):
                    weights.drop(each)


def _headed(node: Node, weights: Weights) -> Node:
    """The element that a heading begins, and that holds no more than noise may."""
    while (parent := node.parent) is not None and parent != weights.body and node.previous_element_sibling is None:
        if parent.tag in _KEPT_TAGS or not weights.is_part(weights[parent]):
            break
        node = parent
    return node


def _below(node: Node) -> Iterator[Node]:
    """What a heading heads: elements behind it up to the next heading of its level or above."""
    for each in _after(node):
        if each.tag in _HEADINGS and each.tag <= node.tag:
            return
        yield each


def _after(node: Node) -> Iterator[Node]:
    """Elements behind this one within its parent."""
    while (node := node.next_element_sibling) is not None:
        yield node
