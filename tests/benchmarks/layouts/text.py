"""Sentences, titles and names to fill a layout with, drawn from the sample site by a seed."""

import html
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from corpus.sample.server import load

_PARAGRAPH = re.compile(r"<p[^>]*>(.*?)</p>", re.DOTALL)
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
_HAN = re.compile("[\u4e00-\u9fff]")
NAMES = {
    "en": "Ada Whitfield,Tom Okafor,Maria Lindqvist,J. Park,Priya Raman,Sam Doyle,Lena Vogt,Chris Abara".split(","),
    "zh": "陈晓雯,李建国,王小明,赵一鸣,林书豪,周海燕,吴志强,孙丽华".split(","),
}


@dataclass(frozen=True, slots=True)
class Labelled:
    """A page, the text that is its content, and the kind and language it belongs to."""

    kind: str
    layout: str
    language: str
    html: bytes
    truth: str


@cache
def _pool(language: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sentences of at least 60 or 25 characters and titles, sorted, of one script each."""
    site, chinese = load(), language == "zh"
    tree, least = ("zh-CN", 25) if chinese else ("en-US", 60)
    found: list[set[str]] = []
    for pattern, shortest, longest in ((_PARAGRAPH, least, 400), (_TITLE, 3, 60)):
        texts = set()
        for path in sorted(site)[::6]:  # enough, and quick
            if path.startswith(f"{tree}/text/"):
                for match in pattern.findall(site[path].decode()):
                    text = " ".join(html.unescape(re.sub("<[^>]+>", "", match)).split())
                    share = len(_HAN.findall(text)) / max(len(text), 1)
                    if (
                        shortest <= len(text) <= longest
                        and (share > 0.5 if chinese else share == 0)
                        and "<" not in text
                    ):
                        texts.add(text)
        found.append(texts)
    sentences, titles = (tuple(sorted(texts)) for texts in found)
    return sentences, titles


@dataclass(slots=True)
class Text:
    """What a layout writes: `keep` gives a text of the content and remembers it, the others give what surrounds it."""

    language: str
    seed: int
    kept: list[str] = field(default_factory=list)
    draw: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.draw = random.Random(f"{self.language}-{self.seed}")

    @property
    def zh(self) -> bool:
        return self.language == "zh"

    def say(self, english: str, chinese: str) -> str:
        return chinese if self.zh else english

    def sentence(self) -> str:
        return html.escape(self.draw.choice(_pool(self.language)[0]), quote=False)

    def title(self) -> str:
        return html.escape(self.draw.choice(_pool(self.language)[1]), quote=False)

    def name(self) -> str:
        return self.draw.choice(NAMES[self.language])

    def keep(self, text: str) -> str:
        """HTML of the content: its text is the truth."""
        self.kept.append(html.unescape(re.sub("<[^>]+>", "", text)))
        return text

    def paragraph(self, most: int = 4) -> str:
        """One to `most` sentences that belong to the content, now and then with a link or emphasis within."""
        text = ("" if self.zh else " ").join(self.sentence() for _ in range(self.draw.randint(1, most)))
        if self.draw.random() < 0.4:
            middle = len(text) // 2 if self.zh else text.find(" ", len(text) // 2) + 1
            end = middle + 4 if self.zh else text.find(" ", middle + 1)
            if "&" not in text and 0 < middle < end:
                tag = self.draw.choice(('<a href="/t/{}">', "<strong>", "<em>")).format(self.draw.randint(1, 999))
                text = f"{text[:middle]}{tag}{text[middle:end]}</{tag[1:].split()[0].rstrip('>')}>{text[end:]}"
        return self.keep(text)

    def paragraphs(self, wrap: str = "<p>{}</p>", least: int = 5, most: int = 12) -> list[str]:
        return [wrap.format(self.paragraph()) for _ in range(self.draw.randint(least, most))]

    def many(self, make: Callable[[], str], least: int, most: int) -> str:
        return "\n".join(make() for _ in range(self.draw.randint(least, most)))


def bloat(t: Text, kilobytes: int) -> str:
    """Style and script as sites carry them."""
    rules = "".join(f".c{n}-{t.draw.randint(0, 9999)}{{margin:0 {n}px;color:#{n:06x}}}" for n in range(kilobytes * 12))
    state = ",".join(f'{{"id":{n},"t":"{t.title()}","u":"/a/{n}.html"}}' for n in range(kilobytes * 5))
    return f"<style>{rules}</style><script>window.__STATE__=[{state}];(function(){{var a=1<2;}})();</script>"


def head(t: Text, title: str, kilobytes: int = 20) -> str:
    """The head of a page, and the start of it."""
    return (
        f'<!DOCTYPE html>\n<html lang="{t.say("en", "zh-CN")}"><head><meta charset="utf-8"><title>{title} - Site</title>'
        f'<meta property="og:title" content="{title}"><link rel="stylesheet" href="/s.css">{bloat(t, kilobytes)}</head>\n'
    )


def links(t: Text, least: int = 6, most: int = 14) -> str:
    """A list of links, as menus and footers have."""
    item = lambda: f'<li><a href="/c/{t.draw.randint(1, 99)}">{t.title()}</a></li>'
    return f"<ul>{t.many(item, least, most)}</ul>"


def consent(t: Text) -> str:
    return (
        '<div id="cookie-consent" class="cookie-banner"><p>'
        + t.say(
            "We use cookies to give you the best experience on our site. You can change this at any time in settings.",
            "本网站使用 Cookie 以提供更好的浏览体验。继续使用即表示您同意我们的隐私政策和使用条款。",
        )
        + f"</p><button>{t.say('Accept all', '全部接受')}</button></div>"
    )


def copyright_line(t: Text) -> str:
    return t.say(
        "© 2026 Example Media Group. All rights reserved. Reproduction without permission is prohibited.",
        "版权所有 © 2026 示例传媒集团 京ICP备00000000号-1 未经书面授权禁止转载、摘编、复制或建立镜像。",
    )


def comment_text(t: Text) -> str:
    """What a reader wrote under an article: surroundings."""
    return f"{t.say('I think so too.', '我也这么看。')} {t.sentence()} {t.sentence()}"


def code(t: Text) -> str:
    """A few lines of a program, part of the content."""
    lines = [f"def f{t.draw.randint(1, 99)}(value, other):"]
    lines += [
        f"    total_{n} = value[{n}] + other.get('key_{t.draw.randint(1, 9)}', {n})"
        for n in range(t.draw.randint(3, 9))
    ]
    return "\n".join([*lines, "    return total_0"])
