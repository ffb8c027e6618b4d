"""Line ends in the source of a page, where a browser shows none between characters that are written without spaces."""

import re
from collections.abc import Iterator

from corpus.pattern import pattern

# Characters of East_Asian_Width F, W or H, Hangul aside; and punctuation of ambiguous width that Chinese uses.
_WIDE = (
    "\u2329\u232a\u2e80-\u2fd5\u2ff0-\u3029\u3030-\u3130\u318f-\u31ff\u3220-\u3247\u3250-\u325f\u3280-\ua4cf\uf900-\ufaff\ufe10-\ufe19"
    "\ufe30-\ufe6b\uff01-\uff9f\uffe0-\uffee\U0001f200-\U0001f202\U0001f210-\U0001f265\U00020000-\U0003fffd"
)
_AMBIGUOUS = "\u00b7\u2014-\u2016\u2018\u2019\u201c\u201d\u2025-\u2027\u2030-\u2033\u203b"
_INLINE = (
    r"</?(?:a|abbr|b|bdi|bdo|big|cite|code|dfn|em|font|i|kbd|mark|q|s|samp|small|span|strong|sub|sup|tt|u|var)\b"
    r"[^<>]{0,2000}>"
)
# The last line end of a gap, what follows it and the character after that; what stands in front is looked up.
_WRAP = pattern(rf"\n[^\S\n]*+((?:{_INLINE})*+)(?=([{_WIDE}])|[{_AMBIGUOUS}])", re.IGNORECASE)
_TAG = pattern(_INLINE, re.IGNORECASE)
_FRONT = pattern(f"([{_WIDE}])|[{_AMBIGUOUS}]")
# What keeps its line ends, or is no text. What is left open reaches to the end, as in a browser: it keeps this linear.
_VERBATIM = pattern(r"<!--.*?(?:-->|\Z)|<(pre|textarea|script|style)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)


def unwrapped(html: str) -> str:
    """The page without the line ends that become spaces between ideographs, kana or their punctuation.

    CSS Text Module Level 3, section 4.1.3 (segment break transformation). Hangul and Latin keep their spaces.
    """
    if _WRAP.search(html) is None:
        return html
    out: list[str] = []
    at = 0
    for verbatim in _VERBATIM.finditer(html):
        out += [*_pieces(html, at, verbatim.start()), verbatim.group()]
        at = verbatim.end()
    return "".join([*out, *_pieces(html, at, len(html))])


def _pieces(html: str, start: int, stop: int) -> Iterator[str]:
    """html[start:stop] without the gaps that go; tags within them stay."""
    at = start
    for wrap in _WRAP.finditer(html, start, stop):
        gap = front = _behind_space(html, at, wrap.start())
        while front > at and html[front - 1] == ">":
            opening = html.rfind("<", at, front)
            if opening < 0 or not _TAG.fullmatch(html, opening, front):
                break
            front = opening
        before = _FRONT.fullmatch(html, front - 1, front) if front > at else None
        if before and (before.group(1) or wrap.group(2)):
            yield html[at:gap]
            at = wrap.start(1)
    yield html[at:stop]


def _behind_space(html: str, start: int, stop: int) -> int:
    while stop > start and html[stop - 1].isspace():
        stop -= 1
    return stop
