"""Word lists and their matching, with correct boundaries in both scripts.

An entry that begins or ends in a letter or digit of a spaced script matches whole words only, also at the ends of
a line; an entry of ideographs matches inside running text. The longest entry wins, and an allowed one is stepped
over. A-Z match in either case, and a single space in an entry matches any white space.
"""

from functools import lru_cache
from pathlib import Path

from kernels.dispatch import Trie


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
def load(lists: tuple[Path, ...], allowed: tuple[Path, ...]) -> Trie:
    """The entries of `lists`, and those of `allowed` that are stepped over; once a process."""
    entries = {word: True for path in lists for word in read_words(path)}
    lowered = {word.lower() for path in allowed for word in read_words(path)}
    # In another case of letters an allowed entry is allowed too.
    kept = {word: counts for word, counts in entries.items() if word.lower() not in lowered}
    return Trie(kept | dict.fromkeys(sorted(lowered), False))
