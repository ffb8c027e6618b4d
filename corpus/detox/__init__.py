"""Word lists and their matching, with correct boundaries in both scripts.

Text and entries are folded: width, case, look-alike letters, traditional and simplified are one. An entry that begins
or ends in a letter or digit of a spaced script matches whole words only, also at the ends of a line; an entry of
ideographs matches where the words around it leave it whole: 性交 in 性交易 and in 一次性|交付 is none. The longest
entry wins, an allowed one is stepped over, and a single space in an entry matches any white space.
"""

from functools import lru_cache
from pathlib import Path

from corpus.detox.evasions import spellings
from corpus.segment import lexicon
from kernels.fold import fold
from kernels.trie import Trie


class WordListError(ValueError):
    """A word list that is not UTF-8, is empty, or holds an entry that cannot be matched."""


def read_words(path: Path) -> list[str]:
    """The entries of a list: one a line; empty lines and those that begin with `# ` are skipped."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise WordListError(f"word list {path} is not UTF-8 ({error}): convert it") from error
    words = [" ".join(line.split()) for line in lines if line.strip() and not line.startswith("# ")]
    if not words:
        raise WordListError(f"word list {path} has no entry: give one a line")
    return words


@lru_cache(maxsize=16)
def load(lists: tuple[Path, ...], allowed: tuple[Path, ...], evasions: bool) -> Trie:
    """The entries of `lists`, with other spellings of them where `evasions`, and those of `allowed` that are stepped
    over; once a process. Spellings of one entry are one entry.
    """
    words = sorted({fold(word) for path in lists for word in read_words(path)})
    passed = {fold(word) for path in allowed for word in read_words(path)}
    entries: dict[str, int] = {}
    for number, word in enumerate((word for word in words if word not in passed), 1):
        entries[word] = number
        for other in spellings(word) if evasions else ():
            entries.setdefault(other, number)
    for word in words:  # never an evasion of another entry
        entries[word] = entries[word] if word not in passed else 0
    return Trie(entries | dict.fromkeys(passed, 0), lexicon())
