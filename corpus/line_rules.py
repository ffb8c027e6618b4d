"""The edit that drops lines: C4's rules unless told otherwise, RefinedWeb's and the Chinese corpora's when asked for.

C4: Raffel et al. 2020, JMLR 21(140), and its code, tensorflow_datasets' c4_utils.py. RefinedWeb: Penedo et al. 2023,
arXiv:2306.01116, appendix G.2. MNBVC and WuDao (Yuan et al. 2021): paragraphs with few Chinese characters, a last
sentence that is cut off.
"""

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.edit import spans_from_lists
from corpus.pattern import pattern

_CITATION = pattern(r"\[\d*\]|\[edit\]|\[citation needed\]")
_COUNTER = pattern(
    r"[\d.,]+ ?[kKmM万萬]?\+? ?(?:likes?|shares?|comments?|retweets?|reposts?|quotes?|bookmarks?|upvotes?|downvotes?"
    r"|downloads?|views?|followers?|replies|个?赞|次?分享|条?评论|次?转发|次?阅读|次?浏览|收藏|回复|人?关注|讚|則?留言)\Z",
    re.I,
)
_HAN = pattern("[\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_SENTENCE_END = pattern("[。！？!?…；;.][\"'”’」』）)】]*")
_ENDS = tuple("。！？!?…；;.\"'”’」』）)】：:")
ENDS = ".!?\"'。！？”’」』"
PHRASES = (
    "javascript",
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
Cut = tuple[int, int, str]


def _words(text: str) -> int:
    """Words between white space; an ideograph is one."""
    return len(_HAN.findall(text)) + len(_HAN.sub(" ", text).split())


@configuration
class Lines:
    """Lines go by the first rule they break: long_word, no_terminal, few_words, uppercase_line, numeric_line,
    counter_line, boilerplate_line, short_boilerplate, few_chinese. In lines that stay, citation goes; half_sentence
    goes from the last one. A text that would lose more than `lost` goes whole (too_many_lines), and rules for length
    drop its document. The defaults are C4's, with the ends of Chinese sentences beside its own (. ! ? " ').
    """

    version: ClassVar[int] = 1
    reasons: ClassVar[tuple[str, ...]] = (
        "long_word",
        "no_terminal",
        "few_words",
        "uppercase_line",
        "numeric_line",
        "counter_line",
        "boilerplate_line",
        "short_boilerplate",
        "few_chinese",
        "citation",
        "half_sentence",
        "too_many_lines",
    )

    edit: Literal["lines"] = "lines"
    order: Annotated[int, Doc("place among the edits of its stage, ascending")] = 5
    ends: Annotated[str, Doc("characters that a line must end in, three full stops excepted; empty: any")] = ENDS
    words: Annotated[int, Field(ge=0), Doc("fewest words; an ideograph is one")] = 3
    longest_word: Annotated[int, Field(ge=1), Doc("characters between white space, ideographs apart")] = 1000
    uppercase: Annotated[float, Field(ge=0, le=1), Doc("largest share of capitals among characters")] = 1.0
    numeric: Annotated[bool, Doc("lines of digits and punctuation alone stay")] = True
    counters: Annotated[bool, Doc("lines such as `3 likes` stay")] = True
    phrases: Annotated[tuple[str, ...], Doc("what no line may hold, in any case of letters")] = PHRASES
    short: Annotated[int, Field(ge=0), Doc("words of a line that the three lists below may drop")] = 10
    beginnings: Annotated[tuple[str, ...], Doc("what no short line may begin with")] = ()
    endings: Annotated[tuple[str, ...], Doc("what no short line may end in")] = ()
    inside: Annotated[tuple[str, ...], Doc("what no short line may hold")] = ()
    chinese: Annotated[int, Field(ge=0), Doc("fewest Chinese characters of a line")] = 0
    citations: Annotated[bool, Doc("[1], [edit] and [citation needed] stay")] = False
    half_sentence: Annotated[bool, Doc("a last sentence without an end stays")] = True
    lost: Annotated[
        float,
        Field(ge=0, le=1),
        Doc("largest share of words that may go with lines; of a document that would lose more all text goes"),
    ] = 1.0

    def spans(self, text: pa.LargeStringArray) -> pa.RecordBatch:
        """SPANS of whole lines with the newline behind them, or before where there is none behind."""
        found: list[tuple[int, int, int, str, str]] = []
        for row, value in enumerate(text.to_pylist()):
            cursor, size = 0, 0
            for start, stop, reason in self._cuts(value or ""):
                first = size + len(value[cursor:start].encode())
                size = first + len(value[start:stop].encode())
                cursor = stop
                found.append((row, first, size, "", reason))
        rows, starts, stops, news, reasons = zip(*found, strict=True) if found else ((), (), (), (), ())
        return spans_from_lists(rows, starts, stops, news, reasons)

    def _cuts(self, text: str) -> list[Cut]:
        """What goes, in characters, in order and disjoint."""
        cuts: list[Cut] = []
        at = 0
        for line in text.splitlines(keepends=True):
            content = line.strip()
            if content and (reason := self._breaks(content)):
                cuts.append((at, at + len(line), reason))
            elif content and not self.citations:
                cuts += [(at + m.start(), at + m.end(), "citation") for m in _CITATION.finditer(line)]
            at += len(line)
        if self.lost < 1 and sum(_words(text[a:b]) for a, b, _ in cuts) > self.lost * _words(text):
            return [(0, len(text), "too_many_lines")]
        if not self.half_sentence:
            cuts += self._half_sentence(text, cuts)
        return sorted(cuts)

    def _breaks(self, line: str) -> str | None:
        """The first rule that a stripped line breaks."""
        return next((reason for reason, broken in self._rules(line) if broken), None)

    def _rules(self, line: str) -> Iterator[tuple[str, bool]]:
        pieces, lower = line.split(), line.lower()
        words = _words(line)
        yield "long_word", any(len(word) > self.longest_word for word in _HAN.sub(" ", line).split())
        bare = line if self.citations else _CITATION.sub("", line).rstrip()
        yield "no_terminal", bool(self.ends) and (not bare.endswith(tuple(self.ends)) or bare.endswith("..."))
        yield "few_words", words < self.words
        yield "uppercase_line", sum(map(str.isupper, line)) > self.uppercase * len(line)
        yield "numeric_line", not self.numeric and any(map(str.isdigit, line)) and not any(map(str.isalpha, line))
        yield "counter_line", not self.counters and len(pieces) <= 3 and _COUNTER.match(line) is not None
        yield "boilerplate_line", any(phrase in lower for phrase in self.phrases)
        begun = lower.startswith(self.beginnings) or lower.endswith(self.endings)
        boilerplate = begun or any(phrase in lower for phrase in self.inside)
        yield "short_boilerplate", words <= self.short and boilerplate
        yield "few_chinese", len(_HAN.findall(line)) < self.chinese

    def _half_sentence(self, text: str, cuts: list[Cut]) -> list[Cut]:
        """The end of the last line that stays, from behind its last whole sentence; a line without one stays."""
        at, last = 0, (0, 0)
        gone = {start for start, _, reason in cuts if reason != "citation"}
        for line in text.splitlines(keepends=True):
            if line.strip() and at not in gone:
                last = (at, at + len(line.rstrip()))
            at += len(line)
        start, stop = last
        if text[start:stop].endswith(_ENDS):
            return []
        ends = [match.end() for match in _SENTENCE_END.finditer(text, start, stop)]
        first = max([ends[-1] if ends else stop, *(b for _, b, _ in cuts if b <= stop)], default=stop)
        return [(first, stop, "half_sentence")] if ends and first < stop else []
