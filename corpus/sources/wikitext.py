"""Wikitext to plain text by mwparserfromhell: templates, tables, references, files and categories out."""

import html
import re
from typing import Any

_LEFT_OUT = re.compile(
    "table|ref|references|gallery|chem|score|syntaxhighlight|source|timeline|imagemap|hiero|graph|mapframe"
)
# Names of the file and category namespaces, whose links are no text (MediaWiki's MessagesEn, MessagesZh_hans, _hant).
_NO_TEXT = re.compile(
    r"\s*:?\s*(?:file|image|media|category|文件|档案|檔案|图像|圖像|媒体|媒體|分类|分類)\s*:", re.IGNORECASE
)
_VARIANT = re.compile(r"-\{([^{}]*)\}-")
_TRADITIONAL = ("zh-hant", "zh-tw", "zh-hk", "zh-mo")
_FLAGS = re.compile(r"^[A-Za-z;,-]{1,12}\|")
_SWITCH = re.compile(r"__[A-Z]{3,20}__")
_MARKER = re.compile(r"^[*#:;]+[ \t]*", re.MULTILINE)
_EMPTY_LINES = re.compile(r"\n{3,}")
_EMPTY_BRACKETS = re.compile(r"[(（][\s,，;；、:：]*[)）]")


def plain(wikitext: str, variant: str) -> str:
    """The text of a page; of `-{zh-hans:软件;zh-hant:軟體}-` what the variant names, or else the first."""
    import mwparserfromhell

    code = mwparserfromhell.parse(_VARIANT.sub(lambda match: _chosen(match[1], variant), wikitext))
    text = "".join(_text(node) for node in code.nodes)
    text = _MARKER.sub("", _EMPTY_BRACKETS.sub("", _SWITCH.sub("", html.unescape(text))))
    return _EMPTY_LINES.sub("\n\n", "\n".join(line.rstrip() for line in text.splitlines())).strip()


def _text(node: Any) -> str:  # noqa: ANN401 - any of the library's nodes
    from mwparserfromhell.nodes import ExternalLink, Heading, HTMLEntity, Tag, Text, Wikilink

    if isinstance(node, Text):
        return str(node.value)
    if isinstance(node, HTMLEntity):
        return str(node.normalize())
    if isinstance(node, Heading):
        return _texts(node.title).strip()
    if isinstance(node, Wikilink):
        if _NO_TEXT.match(str(node.title)) or re.match(r"[a-z-]{2,12}:", str(node.title)):
            return ""
        return _texts(node.text) if node.text is not None else str(node.title).lstrip(":")
    if isinstance(node, ExternalLink):
        return _texts(node.title) if node.title is not None else ""
    if isinstance(node, Tag):
        name = str(node.tag).strip().lower()
        if _LEFT_OUT.fullmatch(name):
            return ""
        if name == "math":
            return f"${node.contents}$"
        if name in ("br", "p", "div"):
            return f"\n{_texts(node.contents)}"
        if node.wiki_markup in ("*", "#", ":", ";"):
            return str(node.wiki_markup)
        return _texts(node.contents)
    return ""  # templates, their arguments, comments


def _texts(code: Any) -> str:  # noqa: ANN401 - the library's Wikicode, or None
    return "".join(_text(node) for node in code.nodes) if code is not None else ""


def _chosen(rule: str, variant: str) -> str:
    """What a rule of language conversion shows in a variant (mediawiki.org, Writing systems/Syntax)."""
    rule = _FLAGS.sub("", rule)
    choices = dict(part.strip().split(":", 1) for part in rule.split(";") if re.match(r"\s*zh[a-z-]*:", part))
    if not choices:
        return rule
    script = "zh-hant" if variant in _TRADITIONAL else "zh-hans"
    return choices.get(variant) or choices.get(script) or next(iter(choices.values()))
