"""What the rules of ROOTS, MAP-NEO and ChineseWebText read beside Gopher's statistics.

ROOTS: bigscience-workshop/data-preparation, filtering.py. MAP-NEO: Matrix/chinese_data_clean_pipeline/filter/filter.py.
ChineseWebText: its preprocess.py. In plain Python, as `published` is.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal

import pyarrow as pa

from corpus.configuration import configuration
from corpus.measures.columns import by_text, fields
from corpus.segment import words

_COLUMNS = (
    "character_repetition",  # ROOTS: of 10-grams of characters (Chinese: 3-grams), in the most frequent ones
    "word_repetition",  # ROOTS: of 5-grams of words, that come more than once
    "special_characters",  # ROOTS: of characters, neither letters nor their marks: white space, digits, punctuation
    "unique_characters",  # MAP-NEO: different characters a character
    "entropy",  # MAP-NEO: of the characters, in nats
    "lenticular_brackets",  # MAP-NEO: of characters, 【 and 】
    "mean_line",  # ChineseWebText: characters a line that is not blank
    "repeated_13",  # ChineseWebText: of 13-grams of characters, that came before
)
_CHARACTERS = {False: 10, True: 3}  # a gram, by whether the text is Chinese


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _times(items: Sequence[str], n: int, joint: str) -> list[int]:
    """How often each different n-gram comes, most often first."""
    grams = Counter(joint.join(items[k : k + n]) for k in range(len(items) - n + 1))
    return sorted(grams.values(), reverse=True)


def character_repetition(text: str, n: int) -> float:
    """Share of the n-grams that repeat most: as many as the square root of the different ones; 0 of a shorter text."""
    times = _times(text, n, "")
    often = min(math.isqrt(len(times)), sum(count > 1 for count in times))
    return sum(times[:often]) / sum(times) if times else 0.0


def word_repetition(found: Sequence[str], n: int) -> float:
    """Share of the n-grams of words that come more than once; 0 of a shorter text."""
    times = _times(found, n, " ")
    return sum(count for count in times if count > 1) / sum(times) if times else 0.0


def statistics(text: str, *, chinese: bool) -> dict[str, float]:
    """One text's columns."""
    size, characters = len(text), Counter(text)
    special = sum(n for c, n in characters.items() if not (c.isalpha() or "\u0300" <= c <= "\u036f"))
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    grams = _times(text, 13, "")
    return {
        "character_repetition": character_repetition(text, _CHARACTERS[chinese]),
        "word_repetition": word_repetition([word.lower() for word in words(text)], 5),
        "special_characters": _share(special, size),
        "unique_characters": _share(len(characters), size),
        "entropy": -sum(n / size * math.log(n / size) for n in characters.values()) if size else float("nan"),
        "lenticular_brackets": _share(characters["【"] + characters["】"], size),
        "mean_line": _share(sum(map(len, lines)), len(lines)),
        "repeated_13": _share(sum(grams) - len(grams), sum(grams)) if grams else 0.0,
    }


@configuration
class Survey:
    """Repetition of characters and words, special and different characters, entropy, 【】, length of lines.

    ROOTS cuts Chinese into SentencePiece tokens; here words are Siku's (corpus/segment.py), an ideograph each.
    """

    version: ClassVar[int] = 1

    measure: Literal["survey"] = "survey"

    @property
    def schema(self) -> pa.Schema:
        """Shares, lengths and nats, float64; NaN of an empty text."""
        return fields(_COLUMNS, pa.float64())

    def compute(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """Columns of each text; it is Chinese where more of its words are ideographs than not."""
        return by_text(documents["text"], statistics, self.schema)
