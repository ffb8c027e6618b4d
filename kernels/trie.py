"""Entries of word lists, ready to be matched."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from kernels.addressing import addressed
from kernels.buffers import read_only
from kernels.characters import CODE_POINTS
from kernels.fold import fold
from kernels.lexicon import Lexicon, empty

EDGE_BITS = 21  # of a code point, below the number of the node it leaves


class Trie:
    """`entries` maps each spelling to the number of what it stands for, from 1, or to 0: allowed, stepped over.

    Spellings are folded (kernels/fold.py); one that counts and is allowed is allowed. An entry that `lexicon` does not
    know weighs as a word seen `seen` times among those of the lexicon.

    keys, after: an open-addressed table of edges, node << 21 | folded code point, plus 1; entry: by node, its number,
    -1 for an allowed one, 0 for none; first: by code point, whether an entry begins with what it folds to.
    """

    def __init__(self, entries: Mapping[str, int], lexicon: Lexicon | None = None, seen: float = 5.0) -> None:
        self.lexicon = lexicon or empty()
        self.weight = self.lexicon.unknown + float(np.log(seen))
        self.entries: dict[str, int] = {}
        for text, number in sorted(entries.items()):
            if not text or text != " ".join(text.split()):
                raise ValueError(f"entry {text!r} is empty, or has white space other than single spaces inside")
            plain = fold(text)
            self.entries[plain] = min(self.entries.get(plain, number), number)
        self.count = max(self.entries.values(), default=0)
        edges: dict[int, int] = {}
        ends: dict[int, int] = {}
        for text, number in self.entries.items():
            node = 0
            for character in text:
                node = edges.setdefault((node << EDGE_BITS | ord(character)) + 1, len(edges) + 1)
            ends[node] = number or -1
        table, slots = addressed(np.fromiter(edges, np.uint64, len(edges)))
        after = np.zeros(len(table), np.int32)
        after[slots] = list(edges.values())
        entry = np.zeros(len(edges) + 1, np.int32)
        entry[list(ends)] = list(ends.values())
        first = np.zeros(CODE_POINTS, np.bool_)
        first[[ord(text[0]) for text in self.entries]] = True
        self.keys, self.after, self.entry = read_only(table), read_only(after), read_only(entry)
        self.first = read_only(first)

    @cached_property
    def beginnings(self) -> frozenset[str]:
        """Every beginning of a folded entry, whole ones included: what the reference walks."""
        return frozenset(entry[:k] for entry in self.entries for k in range(1, len(entry) + 1))
