"""The plain truth of every text kernel, in Python over strings: slow, and what the fast ones must equal."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from kernels import characters as ch
from kernels.columns import STATISTICS, STOP_WORD_BYTES
from kernels.fold import fold, simplified_table
from kernels.lexicon import SEED, Lexicon, step
from kernels.trie import Trie

_MASK = (1 << 64) - 1
_P1, _P2, _P3 = 11400714785074694791, 14029467366897019727, 1609587929392839161
_P4, _P5 = 9650029242287828579, 2870177450012600261


def _rotate(x: int, bits: int) -> int:
    return ((x << bits) | (x >> (64 - bits))) & _MASK


def _round(accumulator: int, value: int) -> int:
    return _rotate((accumulator + value * _P2) & _MASK, 31) * _P1 & _MASK


def xxh64(data: bytes) -> int:
    """xxh64 with seed 0."""
    size, i = len(data), 0
    if size >= 32:
        lanes = [(_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK]
        while i <= size - 32:
            for k in range(4):
                lanes[k] = _round(lanes[k], int.from_bytes(data[i + 8 * k : i + 8 * k + 8], "little"))
            i += 32
        h = sum(_rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & _MASK
        for lane in lanes:
            h = ((h ^ _round(0, lane)) * _P1 + _P4) & _MASK
    else:
        h = _P5
    h = (h + size) & _MASK
    while i <= size - 8:
        h = (_rotate(h ^ _round(0, int.from_bytes(data[i : i + 8], "little")), 27) * _P1 + _P4) & _MASK
        i += 8
    if i <= size - 4:
        h = (_rotate(h ^ (int.from_bytes(data[i : i + 4], "little") * _P1 & _MASK), 23) * _P2 + _P3) & _MASK
        i += 4
    for byte in data[i:]:
        h = _rotate(h ^ (byte * _P5 & _MASK), 11) * _P1 & _MASK
    h = (h ^ (h >> 33)) * _P2 & _MASK
    h = (h ^ (h >> 29)) * _P3 & _MASK
    return h ^ (h >> 32)


def sha1_32(data: bytes) -> int:
    """The first four digest bytes of SHA-1, little endian, as datasketch's sha1_hash32."""
    return int.from_bytes(hashlib.sha1(data).digest()[:4], "little")


def _entries(text: str) -> list[int]:
    table = ch.table()
    return [int(table[ord(c)]) for c in text]


def word_spans(text: str) -> list[tuple[int, int, bool]]:
    """(start, stop, whether an ideograph) of each word, in characters."""
    entries = _entries(text)
    kinds = [entry & ch.CLASS for entry in entries]
    spans: list[tuple[int, int, bool]] = []
    i = 0
    while i < len(text):
        if kinds[i] not in (ch.WORD, ch.IDEOGRAPH):
            i += 1
            continue
        kind, start = kinds[i], i
        i += 1
        while i < len(text):
            joins = kinds[i] == ch.JOIN and kind == ch.WORD and kinds[i + 1 : i + 2] == [ch.WORD]
            if not (joins or kinds[i] == ch.EXTEND or (kinds[i] == ch.WORD and kind == ch.WORD)):
                break
            i += 2 if joins else 1
        spans.append((start, i, kind == ch.IDEOGRAPH))
    return spans


def words(text: str) -> list[str]:
    """Words in order."""
    return [text[start:stop] for start, stop, _ in word_spans(text)]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """(start, stop) in characters of each sentence that has a word."""
    entries = _entries(text)
    cuts, i = [0], 0
    while i < len(text):
        entry = entries[i]
        i += 1
        if text[i - 1] == "\n":
            cuts.append(i)
        elif entry & (ch.FULL_STOP | ch.STOP):
            strong = bool(entry & ch.FULL_STOP)
            while i < len(text) and entries[i] & (ch.CLOSER | ch.STOP | ch.FULL_STOP):
                strong = strong or bool(entries[i] & ch.FULL_STOP)
                i += 1
            if strong or i == len(text) or entries[i] & ch.CLASS in (ch.SPACE, ch.IDEOGRAPH):
                cuts.append(i)
    cuts.append(len(text))
    has_word = (ch.WORD, ch.IDEOGRAPH)
    return [(a, b) for a, b in pairwise(cuts) if any(e & ch.CLASS in has_word for e in entries[a:b])]


def _stripped(line: str) -> str:
    table = ch.table()
    kinds = [int(table[ord(c)]) & ch.CLASS != ch.SPACE for c in line]
    if not any(kinds):
        return ""
    return line[kinds.index(True) : len(kinds) - kinds[::-1].index(True)]


def _is_terminal(line: str) -> bool:
    """Whether a line ends as a sentence does, brackets behind its end or around it included."""
    entries = [entry for entry in _entries(line) if entry & ch.CLASS != ch.SPACE]
    deciding = entries[-1:]
    if entries[-1] & ch.BRACKET:
        openers = [k for k, entry in enumerate(entries) if entry & ch.OPENER]
        deciding += entries[-2:-1] + (entries[openers[-1] - 1 : openers[-1]] if openers and openers[-1] else [])
    return any(entry & ch.TERMINAL for entry in deciding)


def _line_counts(text: str, short: int) -> dict[str, int]:
    table = ch.table()
    lines = [stripped for line in text.split("\n") if (stripped := _stripped(line))]
    widths = [sum(2 if table[ord(c)] & ch.WIDE else 1 for c in line) for line in lines]
    return {
        "lines": len(lines),
        "bullet_lines": sum(bool(table[ord(line[0])] & ch.BULLET) for line in lines),
        "ellipsis_lines": sum(line.endswith(("…", "...", "。。。")) for line in lines),
        "terminal_lines": sum(map(_is_terminal, lines)),
        "short_lines": sum(width <= short for width in widths),
        "longest_line": max(map(len, lines), default=0),
    }


def ascii_lower(data: bytes) -> bytes:
    """A-Z lower-cased, every other byte as it is."""
    return data.lower()


def statistics(text: str, short: int, stop_words: Sequence[str]) -> dict[str, int]:
    """kernels.columns.STATISTICS of one document."""
    entries = _entries(text)

    def count(flag: int) -> int:
        return sum(bool(entry & flag) for entry in entries)

    spans = word_spans(text)
    found = [text[start:stop] for start, stop, _ in spans]
    lowered = {ascii_lower(word.encode()) for word in found if len(word.encode()) <= STOP_WORD_BYTES}
    figures = {
        "characters": len(text),
        "letters": count(ch.ALPHA),
        "digits": count(ch.DIGIT),
        "uppercase": count(ch.UPPER),
        "punctuation": count(ch.PUNCTUATION),
        "han": count(ch.HAN),
        "kana": count(ch.KANA),
        "hangul": count(ch.HANGUL),
        "latin": count(ch.LATIN),
        "simplified": count(ch.SIMPLIFIED),
        "traditional": count(ch.TRADITIONAL),
        "brackets": text.count("{"),
        "replacements": text.count("\ufffd"),
        "newlines": len(re.findall("\n+", text)),
        **_line_counts(text, short),
        "sentences": len(sentence_spans(text)),
        "words": len(found),
        "word_characters": sum(map(len, found)),
        "spaced_characters": sum(stop - start for start, stop, ideograph in spans if not ideograph),
        "alphabetic_words": sum(any(e & ch.ALPHA for e in entries[a:b]) for a, b, _ in spans),
        "ideograph_words": sum(ideograph for _, _, ideograph in spans),
        "longest_word": max(map(len, found), default=0),
        "stop_words": len(lowered & {ascii_lower(word.encode()) for word in stop_words}),
        "hashes": text.count("#"),
        "ellipses": text.count("…") + len(re.findall(r"\.{3,}", text)),
        "cantonese": count(ch.CANTONESE),
        "literary": count(ch.LITERARY),
        "vernacular": count(ch.VERNACULAR),
    }
    return {name: figures[name] for name in STATISTICS}


def _blocks(blocks: list[str]) -> tuple[int, int, int]:
    repeated = [block for block, times in Counter(blocks).items() for _ in range(times - 1)]
    return len(blocks), len(repeated), sum(map(len, repeated))


def _gram_length(gram: tuple[str, ...]) -> int:
    ideographs = [int(ch.table()[ord(word[0])]) & ch.CLASS == ch.IDEOGRAPH for word in gram]
    return sum(map(len, gram)) + sum(not (a and b) for a, b in pairwise(ideographs))


def _top(found: list[str], n: int) -> int:
    grams = Counter(tuple(found[i : i + n]) for i in range(len(found) - n + 1))
    often = max(grams.values(), default=0)
    if often < 2:
        return 0
    return often * max(_gram_length(gram) for gram, times in grams.items() if times == often)


def _duplicates(found: list[str], n: int) -> int:
    seen: set[tuple[str, ...]] = set()
    repeated, i = 0, 0
    while i <= len(found) - n:
        gram = tuple(found[i : i + n])
        if gram in seen:
            repeated += sum(map(len, gram))
            i += n
        else:
            seen.add(gram)
            i += 1
    return repeated


def repetition(text: str) -> dict[str, int]:
    """kernels.columns.REPETITION of one document."""
    found = words(text)
    lines = _blocks([line for line in text.split("\n") if line])
    paragraphs = _blocks([block for part in re.split(r"\n{2,}", text) if (block := part.strip("\n"))])
    figures = dict(zip(("lines", "duplicate_lines", "duplicate_line_characters"), lines, strict=True))
    names = ("paragraphs", "duplicate_paragraphs", "duplicate_paragraph_characters")
    figures |= dict(zip(names, paragraphs, strict=True))
    figures |= {f"top_{n}": _top(found, n) for n in range(2, 5)}
    figures |= {f"duplicate_{n}": _duplicates(found, n) for n in range(5, 11)}
    return {"characters": len(text), **figures}


def shingles(text: str, words: int, characters: int) -> list[bytes]:
    """Shingles in order, repeats included; kernels/text/minhash.py says where each ends."""
    spans = word_spans(text)
    found = [ascii_lower(text[start:stop].encode()) for start, stop, _ in spans]
    weights = [words if ideograph else characters for _, _, ideograph in spans]
    out: list[bytes] = []
    for first in range(len(found)):
        last, weight = first, 0
        while last < len(found) and weight < words * characters:
            weight += weights[last]
            last += 1
        if weight < words * characters and first > 0:
            break
        out.append(b" ".join(found[first:last]))
    return out


def signature(hashes: Sequence[int], a: npt.NDArray[np.uint32], b: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """MinHash by datasketch 2.0's affine32 of 32-bit hashes; 2^32 - 1 everywhere when there are none."""
    h = np.array(hashes, np.uint64).astype(np.uint32)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    values = a[:, None] * h[None, :] + b[:, None]
    return np.asarray(values.min(axis=1, initial=np.uint32(0xFFFFFFFF)), np.uint32)


def spelled(text: str, lexicon: Lexicon) -> float:
    """Log-probability of a text cut into words in the most probable way."""
    best = [0.0] * (len(text) + 1)
    for k in range(len(text) - 1, -1, -1):
        key, values = SEED, []
        for n in range(k, len(text)):
            key = step(key, ord(text[n]))
            log = lexicon.log(key)
            if log is None:
                break
            if log == log:
                values.append(log + best[n + 1])
        best[k] = max(values) if values else lexicon.unknown + best[k + 1]
    return best[0]


class _Folded:
    """A folded text beside the table's entries of what it was."""

    def __init__(self, text: str) -> None:
        self.plain, entries = fold(text), _entries(text)
        self.kinds = [entry & ch.CLASS for entry in entries]
        self.han = [bool(entry & ch.HAN) for entry in entries]

    def inside_word(self, i: int) -> bool:
        """Whether a boundary at i would cut a word that is not an ideograph; marks count as what they belong to."""
        if i == 0 or i == len(self.kinds) or self.kinds[i] not in (ch.WORD, ch.EXTEND):
            return False
        return self.kind_before(i, 0) == ch.WORD

    def kind_before(self, i: int, first: int) -> int | None:
        """Of the last character in [first, i) that is no mark."""
        return next((self.kinds[k] for k in range(i - 1, first - 1, -1) if self.kinds[k] != ch.EXTEND), None)

    def again(self, i: int) -> bool:
        """Whether letter i repeats the one before it, in a row of at least three."""
        return any(self.plain[a : a + 3] == self.plain[i] * 3 for a in (i - 2, i - 1) if a >= 0)

    def stands(self, start: int, stop: int, trie: Trie) -> bool:
        """Whether the ideographs around an entry, 12 on either side, are spelled no better by words across its ends."""
        lo, hi = start, stop
        while lo > max(0, start - 12) and self.han[start] and self.han[lo - 1]:
            lo -= 1
        while hi < min(len(self.han), stop + 12) and self.han[stop - 1] and self.han[hi]:
            hi += 1
        front, own, back = (spelled(self.plain[a:b], trie.lexicon) for a, b in ((lo, start), (start, stop), (stop, hi)))
        return front + max(trie.weight, own) + back >= spelled(self.plain[lo:hi], trie.lexicon) - 1e-9

    def ends(self, start: int, trie: Trie) -> Iterator[tuple[int, int]]:
        """(stop, number) of each entry that begins at start and ends outside a spaced word, shortest first."""
        spelling, i, kinds = "", start, self.kinds
        while i < len(kinds):
            letter = " " if kinds[i] == ch.SPACE else self.plain[i]
            if spelling + letter in trie.beginnings:
                spelling += letter
            elif not (kinds[i] == ch.WORD == self.kind_before(i, start) and self.again(i)):
                return
            i += 1
            while kinds[i - 1] == ch.SPACE and i < len(kinds) and kinds[i] == ch.SPACE:
                i += 1
            if spelling in trie.entries and not self.inside_word(i):
                yield i, trie.entries[spelling]


def matches(text: str, trie: Trie) -> Iterator[tuple[int, int, int]]:
    """(start, stop, number) of leftmost-longest matches that count, folded, at the boundaries of words."""
    folded, i = _Folded(text), 0
    while i < len(text):
        begins = trie.first[ord(folded.plain[i])] and not folded.inside_word(i)
        ends = list(folded.ends(i, trie)) if begins else []
        standing = [(stop, n) for stop, n in ends if n == 0 or folded.stands(i, stop, trie)]
        if standing and standing[-1][1]:
            yield i, *standing[-1]
        i = standing[-1][0] if standing else i + 1


def simplified(data: bytes) -> bytes:
    """UTF-8 with traditional characters as simplified ones."""
    table = simplified_table()
    text = data.decode("utf-8", "surrogatepass")
    return "".join(chr(table[ord(character)]) for character in text).encode("utf-8", "surrogatepass")


def components(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], nodes: int) -> npt.NDArray[np.int64]:
    """The smallest node each node is connected to."""
    labels = np.arange(nodes, dtype=np.int64)
    while True:
        before = labels.copy()
        lowest = np.minimum(labels[left], labels[right])
        np.minimum.at(labels, left, lowest)
        np.minimum.at(labels, right, lowest)
        if np.array_equal(before, labels):
            return labels
