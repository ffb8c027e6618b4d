"""Which elements of a parsed page are no content: by tag, by name, by heading and by their links.

Every element has a weight, the prose in it: UTF-8 bytes of the paragraphs, cells and lines within it that are not
mostly links. What holds most of a page's prose is never taken for noise, so that a misleading name costs nothing.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from corpus.extract.names import Meaning, meaning

if TYPE_CHECKING:
    from resiliparse.parse.html import HTMLTree

_NEVER = (
    "script,style,template,iframe,object,embed,svg,canvas,audio,video,button,select,textarea,input,dialog,rt,rp,rtc,noscript,"
    "[role=navigation],[role=banner],[role=contentinfo],[role=search],[role=dialog],[role=alertdialog],[role=tablist],"
    "[aria-hidden=true],clipboard-copy"
)
_SUSPECT = "nav,aside,footer,form,menu,[role=complementary],[hidden],[style*='display:none'],[style*='display: none']"
_ASIDE = re.compile(r"admonition|note|tip|warning|callout|topic|hint|aside--|starlight-aside|example", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""\s(class|id)\s*=\s*(?:"([^"<>]{1,400})"|'([^'<>]{1,400})'|([^\s"'<>]{1,200}))""", re.IGNORECASE)
_MOST_NAMES = 200  # of noise in a page: one with more is searched element by element
_BLOCKS = (
    "p,pre,blockquote,li,dd,td,th,h2,h3,"
    "div:not(:has(div,p,ul,ol,dl,table,pre,blockquote,section,article)),"
    "section:not(:has(div,p,ul,ol,dl,table,pre,blockquote,section,article)),"
    "div:has(> br),section:has(> br),article:has(> br),body:has(> br),font:has(> br),span:has(> br),center:has(> br)"
)
_LEAST = 40  # bytes of a block that counts as prose
_SMALL = 600  # bytes that small things about a text hold at most
_KEPT_TAGS = frozenset(("html", "body", "main", "article", "pre", "code", "h1"))
_POST = re.compile(r"\bhentry\b|\btype-post\b|\bpost-\d+\b")
_HEADING = re.compile(
    r"(?:related|recommended|trending|popular|latest|recent|more|similar|other)(?: \w+){0,2} (?:articles?|stories|posts?|news|links|topics|reading|products|questions|videos|coverage)"
    r"|(?:you may|you might) (?:also )?(?:like|be interested).*|(?:more|recommended) from .*|most (?:read|popular|viewed|shared)|read (?:more|next|also).*"
    r"|(?:\d+ )?(?:comments?|responses|replies|reviews|thoughts on.*)(?: ?\(\d+\)| \d+)?|(?:leave|post|add|write) a (?:reply|comment|review)|share (?:this|on).*"
    r"|recommended|related|tags|subscribe.*|follow us.*|newsletter|sign up.*|about the author|advertisement|keep reading|up next|what to read next|written by.*"
    r"|(?:相关|相關|推荐|推薦|热门|熱門|延伸|更多|最新|近期|猜你|其他|其它|精彩|大家都在看|你可能|您可能|看了又看|看了又買|看了又买)(?:精彩|相关|相關|推荐|推薦)?(?:阅读|閱讀|新闻|新聞|文章|推荐|推薦|链接|連結|报道|報導|内容|內容|话题|話題|专题|專題|产品|產品|商品|视频|排行|喜欢|喜歡|感兴趣|感興趣|精彩|评论|問題|问题)?.{0,4}"
    r"|(?:网友|網友|用户|用戶|全部|最新|热门|读者)?(?:评论|評論|留言|跟帖|跟贴)(?:区|區)?.{0,8}|(?:发表|發表|我要|添加)(?:评论|評論|回复|回覆|留言).*|分享到.*|作者简介|关于作者|扫码.*",
    re.IGNORECASE,
)

Node = Any  # resiliparse's ElementNode, whose package has no types


def size(text: str | None) -> int:
    """Bytes of a text without its white space: a Chinese character says about as much as three letters."""
    return len("".join(text.split()).encode("utf-8", "replace")) if text else 0


def linked(node: Node) -> int:
    """Bytes of the text within links."""
    return sum(size(link.text) for link in node.query_selector_all("a").values())


@dataclass(slots=True)
class Weights:
    """Prose by element, and what of it is still there."""

    body: Node
    of: dict[Node, int] = field(default_factory=dict)

    @classmethod
    def measured(cls, body: Node) -> "Weights":
        """Weights of a body and all it holds; each block's own prose counts once."""
        self = cls(body)
        own: dict[Node, int] = {}
        for block in body.query_selector_all(_BLOCKS).values():
            text = block.text
            if text is not None and len(text) >= _LEAST // 3 and (bytes_ := size(text)) >= _LEAST:
                own[block] = bytes_ if 2 * linked(block) < bytes_ else 0
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
        while node != self.body and (node := node.parent) is not None:
            yield node

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
        if node == self.body or node.parent is None:
            return
        if weight := self[node]:
            self.add(node, -weight)
        node.decompose()

    def drop_unless_most(self, nodes: Iterable[Node], most: float = 0.5) -> None:
        """Take out those of the elements that hold no more than `most` of the page's prose."""
        for node in nodes:
            if node.parent is not None and (self[node] == 0 or self[node] <= most * self.total):
                self.drop(node)


def named(html: str, body: Node) -> dict[Meaning, list[Node]]:
    """Elements whose class or id means something, in document order."""
    wanted: dict[tuple[str, str], Meaning] = {}
    for kind, *values in set(_ATTRIBUTE.findall(html)):
        for name in "".join(values).split():
            if (found := meaning(name)) is not None:
                wanted[kind.lower(), name] = found
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
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        parts.append(f'[class~="{quoted}"]' if kind == "class" else f'[id="{quoted}"]')
    return ",".join(parts) if len(parts) <= _MOST_NAMES else "[class],[id]"


def without_noise(tree: "HTMLTree", html: str) -> Weights:
    """Take out what is no content, but for what only stands out within the content; the weights of the rest."""
    body = tree.body
    for node in body.query_selector_all(_NEVER).values():
        if node.parent is not None and node != body:
            node.decompose()
    weights = Weights.measured(body)
    nodes = named(html, body)
    weights.drop_unless_most(node for node in nodes["noise"])
    suspects = body.query_selector_all(_SUSPECT).values()
    weights.drop_unless_most(node for node in suspects if node.parent is not None and not _is_aside(node))
    weights.drop_unless_most(
        node for node in nodes["small"] if node.parent is not None and weights[node] <= _SMALL and size(node.text) <= _SMALL
    )
    _drop_comments(weights, nodes["comments"])
    _drop_headed(weights)
    return weights


def _is_aside(node: Node) -> bool:
    if node.tag == "aside":
        return _ASIDE.search(node.class_name or "") is not None
    return node.tag == "footer" and node.parent.tag == "blockquote"


def _drop_comments(weights: Weights, nodes: list[Node]) -> None:
    """Take out readers' comments, unless they are what the page is for."""
    nodes = [node for node in nodes if node.parent is not None]
    outer = [node for node in nodes if not any(above in nodes_set for above in weights.above(node))] if (nodes_set := set(nodes)) else []
    written = sum(weights[node] for node in outer)
    if weights.total - written < 300 and written > 2 * (weights.total - written):
        return
    for node in outer:
        weights.drop(node)


def _drop_headed(weights: Weights) -> None:
    """Take out sections whose heading says that they lead elsewhere, and what follows it at its level."""
    for heading in weights.body.query_selector_all("h1,h2,h3,h4,h5,h6,dt,strong,legend").values():
        if heading.parent is None:
            continue
        text = " ".join((heading.text or "").split()).strip(" :：»›-")
        if not 0 < len(text) <= 60 or not _HEADING.fullmatch(text):
            continue
        target = heading
        while (parent := target.parent) is not None and parent != weights.body and target.previous_element_sibling is None:
            if weights[parent] > 0.5 * weights.total or parent.tag in _KEPT_TAGS:
                break
            target = parent
        if target is not heading:
            weights.drop(target)
            continue
        if heading.tag in ("strong", "dt", "legend"):
            continue
        following = []
        node = heading.next_element_sibling
        while node is not None and not (node.tag in ("h1", "h2", "h3", "h4", "h5", "h6") and node.tag <= heading.tag):
            following.append(node)
            node = node.next_element_sibling
        if sum(weights[node] for node in following) <= 0.5 * weights.total:
            for node in (heading, *following):
                weights.drop(node)
