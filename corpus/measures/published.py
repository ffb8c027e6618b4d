"""Gopher's and FineWeb's statistics as published code counts them: datatrove 0.10.1's filters, in units of their words.

Words are spaCy's for English (punctuation marks are words, clitics too) and jieba's for Chinese. Lines are text as it
stands. In plain Python: an order slower than `quality` and `repetition`, and for comparing with published corpora.
"""

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Literal

import pyarrow as pa

from corpus.configuration import configuration
from corpus.measures.columns import STOP_WORDS, by_text, fields

if TYPE_CHECKING:
    import jieba

_STOP_WORDS = {zh: frozenset(word for word in STOP_WORDS if word.isascii() != zh) for zh in (False, True)}
_TERMINAL = tuple(".!?‼‽⁇⁈⁉⸮。꘎！．？｡؟۔।॥")
_GRAMS = {"top": range(2, 5), "duplicate": range(5, 11)}
_COLUMNS = (
    "words",  # with anything but punctuation in them
    "mean_word_length",  # of those
    "hashes",  # a word of any kind, as are the next two
    "ellipses",
    "alphabetic_words",
    "stop_words",  # different ones, in this case of letters
    "bullet_lines",  # of lines: that begin with • or -
    "ellipsis_lines",
    "terminal_lines",  # of lines that are not blank, as is the next
    "short_lines",  # of at most 30 characters
    "newlines",  # a word of any kind
    "duplicate_lines",
    "duplicate_line_characters",
    "duplicate_paragraphs",
    "duplicate_paragraph_characters",
    "text_line_characters",  # FineWeb's duplicate lines, of characters without newlines
    *(f"{name}_{n}" for name, sizes in _GRAMS.items() for n in sizes),
)

# spaCy 3's tokenizer for English, simplified: no units, abbreviations or emoticons.
_WHOLE = re.compile(r"(?:https?|ftp)://\S+|www\.\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_MARKS = r"—–,:;!?¿¡()\[\]{}<>_#*&。？！，、；：～·'\"”“`‘´’‚„»«「」『』（）〔〕【】《》〈〉©®™"
_PREFIX = re.compile(rf"\.\.+|…|\+(?![0-9])|[§%=$£€¥{_MARKS}]")
_SUFFIX = re.compile(
    r"(?:\.\.+|…|['’][sS]|(?<=[0-9])[+%$£€¥]|(?<=[0-9a-z)\]\"'”’%²+-])\.|(?<=[A-Z]{2})\."
    rf"|[{_MARKS}])\Z"
)
_INFIX = re.compile(
    r"(\.\.+|…|(?<=[0-9])[+\-*^](?=[0-9-])|(?<=[a-z\"'])\.(?=[A-Z\"'])|(?<=[A-Za-z]),(?=[A-Za-z])"
    r"|(?<=[A-Za-z])(?:--+|-|–|—|~)(?=[A-Za-z])|(?<=[A-Za-z0-9])[:<>=/](?=[A-Za-z]))"
)
# Words of spaCy's exceptions that pages have; the whole list has 1,300.
_TITLES = ("Mr.", "Mrs.", "Ms.", "Dr.", "St.", "Jr.", "Inc.", "Co.", "Corp.", "Ltd.", "Jan.", "Feb.", "Dec.")
_KEPT = frozenset(
    (*_TITLES, "and/or", "a.m.", "p.m.", "e.g.", "i.e.", "p.", "vs.", ";)", ":)", ":(", ";-)", ":-)", ":-(")
)
_CLITIC = re.compile(r"(.+?)(n['’]t|['’](?:ll|re|ve|d|m))\Z", re.I)


@lru_cache(maxsize=1 << 16)
def _pieces(chunk: str) -> tuple[str, ...]:
    """Words of a stretch without white space."""
    front: list[str] = []
    back: list[str] = []
    while chunk and chunk not in _KEPT and not _WHOLE.fullmatch(chunk):
        prefix = _PREFIX.match(chunk)
        first = prefix.end() if prefix else 0
        suffix = _SUFFIX.search(chunk, max(first, len(chunk) - 32))
        last = suffix.start() if suffix else len(chunk)
        if first == 0 and last == len(chunk):
            break
        front += [chunk[:first]] if first else []
        back += [chunk[last:]] if last < len(chunk) else []
        chunk = chunk[first:last]
    if chunk and chunk not in _KEPT and not _WHOLE.fullmatch(chunk):
        clitic = _CLITIC.fullmatch(chunk)
        inner = clitic.groups() if clitic else tuple(piece for piece in _INFIX.split(chunk) if piece)
    else:
        inner = (chunk,) if chunk else ()
    return (*front, *inner, *reversed(back))


@lru_cache(maxsize=1)
def _jieba() -> "jieba.Tokenizer":
    """jieba with its own dictionary, loaded without the file that it would keep in the temporary folder."""
    import jieba

    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer


def words(text: str, *, chinese: bool) -> list[str]:
    """The words of a text, punctuation included."""
    if chinese:
        return [word for each in _jieba().cut(text) if (word := each.strip())]
    return [piece for chunk in text.split() for piece in _pieces(chunk)]


@lru_cache(maxsize=1 << 16)
def _is_symbol(word: str) -> bool:
    return all(unicodedata.category(character)[0] in "PSC" for character in word)


def _duplicates(blocks: list[str]) -> tuple[int, int]:
    """How many repeat one before, and their characters."""
    repeated = [(times - 1, len(block)) for block, times in Counter(blocks).items()]
    return sum(times for times, _ in repeated), sum(times * size for times, size in repeated)


def _top(found: list[str], n: int) -> int:
    grams = Counter(" ".join(found[k : k + n]) for k in range(len(found) - n + 1))
    gram, times = grams.most_common(1)[0] if grams else ("", 0)
    return len(gram) * times


def _repeated(found: list[str], n: int) -> int:
    seen: set[str] = set()
    characters, k = 0, 0
    while k < len(found) - n + 1:
        gram = "".join(found[k : k + n])
        if gram in seen:
            characters += len(gram)
            k += n
        else:
            seen.add(gram)
            k += 1
    return characters


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _blocks(text: str) -> dict[str, float]:
    """Shares of lines and paragraphs."""
    lines, filled = text.splitlines(), [line for line in text.split("\n") if line.strip()]
    runs, paragraphs = re.split(r"\n+", text), re.split(r"\n{2,}", text.strip())
    (same, size), (other, length), (_, flat) = map(_duplicates, (runs, paragraphs, filled))
    return {
        "bullet_lines": _share(sum(line.lstrip().startswith(("•", "-")) for line in lines), len(lines)),
        "ellipsis_lines": _share(sum(line.rstrip().endswith(("...", "…")) for line in lines), len(lines)),
        "terminal_lines": _share(sum(line.endswith(_TERMINAL) for line in filled), len(filled)),
        "short_lines": _share(sum(len(line) <= 30 for line in filled), len(filled)),
        "duplicate_lines": same / len(runs),
        "duplicate_line_characters": _share(size, len(text)),
        "duplicate_paragraphs": other / len(paragraphs),
        "duplicate_paragraph_characters": _share(length, len(text)),
        "text_line_characters": _share(flat, len(text.replace("\n", ""))),
    }


def statistics(text: str, *, chinese: bool) -> dict[str, float]:
    """One text's columns."""
    found = words(text, chinese=chinese)
    real, all_of = [len(word) for word in found if not _is_symbol(word)], len(found)
    alphabetic = sum(any(map(str.isalpha, word)) for word in found)
    return {
        "words": len(real),
        "mean_word_length": _share(sum(real), len(real)),
        "hashes": _share(text.count("#"), all_of),
        "ellipses": _share(text.count("...") + text.count("…"), all_of),
        "alphabetic_words": _share(alphabetic, all_of),
        "stop_words": len(_STOP_WORDS[chinese].intersection(found)),
        "newlines": _share(text.count("\n"), all_of),
        **_blocks(text),
        **{f"top_{n}": _share(_top(found, n), len(text)) for n in _GRAMS["top"]},
        **{f"duplicate_{n}": _share(_repeated(found, n), len(text)) for n in _GRAMS["duplicate"]},
    }


@configuration
class Published:
    """The columns of `quality`, `repetition` and `length.words` that Gopher and FineWeb judge, as datatrove counts.

    datatrove decides as these columns do on .9985 of 1,979 English pages or more by every rule, and on .9995 by any
    (tests/benchmarks/agreement.py); as those of Siku's own units on .70 (alphabetic_words) to 1.0, and on .89 by any.
    """

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("jieba",)

    measure: Literal["published"] = "published"

    @property
    def schema(self) -> pa.Schema:
        """Counts and shares, float64."""
        return fields(_COLUMNS, pa.float64())

    def compute(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """Columns of each text; one of more ideographs than other words is cut by jieba."""
        return by_text(documents["text"], statistics, self.schema)
