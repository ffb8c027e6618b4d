"""Spellings by which a listed word slips past a list: stars, digits for letters, letters set apart.

Width, case, look-alike letters, traditional characters and repeated letters are folded where texts are matched
(kernels/fold.py, kernels/text/trie.py). A spelling begins and ends as a word does, so that its boundaries hold.
"""

from collections.abc import Iterator

_LEET = {"a": "4@", "e": "3", "i": "1!", "o": "0", "s": "5$"}
_APART = (" ", ".", "-", "*", "_")
_LETTERS = 4  # shorter words spelled so are too often something else: a.s.s, t1t
_IDEOGRAPHS = 3


def spellings(word: str) -> Iterator[str]:
    """Other spellings of one entry; none for what is neither one English word nor ideographs alone."""
    if word.isascii() and word.isalpha() and len(word) >= _LETTERS:
        yield from _starred(word)
        yield from _digits(word)
        yield from (mark.join(word) for mark in _APART)
    elif word.isalpha() and not any(character.isascii() for character in word):
        yield from (mark.join(word) for mark in _APART if len(word) >= _IDEOGRAPHS)
        if len(word) == _IDEOGRAPHS - 1:
            yield "*".join(word)


def _starred(word: str) -> Iterator[str]:
    """One letter inside, every vowel inside, or all but the first and the last, as stars."""
    yield from (f"{word[:k]}*{word[k + 1 :]}" for k in range(1, len(word) - 1))
    inside = "".join("*" if letter in "aeiou" else letter for letter in word[1:-1])
    yield from (f"{word[0]}{middle}{word[-1]}" for middle in (inside, "*" * (len(word) - 2)))


def _digits(word: str) -> Iterator[str]:
    """One letter, or every one of its kind, as the digit or sign that looks like it; signs inside only."""
    for letter, signs in _LEET.items():
        for sign in signs:
            places = [k for k, c in enumerate(word) if c == letter and (sign.isdigit() or 0 < k < len(word) - 1)]
            yield from (f"{word[:k]}{sign}{word[k + 1 :]}" for k in places)
            if len(places) > 1:
                yield "".join(sign if k in places else c for k, c in enumerate(word))
