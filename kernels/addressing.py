"""Open addressing with linear probing over unsigned 64-bit keys: what kernels look up by key."""

import numpy as np
import numpy.typing as npt

from kernels.splitmix import GOLDEN

Keys = npt.NDArray[np.uint64]


def shift_of(table: Keys) -> int:
    """A key's first slot is key x GOLDEN mod 2^64, shifted right by this."""
    return 64 - (len(table) - 1).bit_length()


def addressed(keys: Keys) -> tuple[Keys, npt.NDArray[np.int64]]:
    """A table of at least twice as many slots, 0 where free, and the slot of each key.

    Keys are distinct and not 0.
    """
    size = 1 << max(4, (2 * len(keys)).bit_length())
    table = np.zeros(size, np.uint64)
    slots = (keys * GOLDEN >> np.uint64(shift_of(table))).astype(np.int64)
    waiting = np.arange(len(keys))
    while len(waiting):
        _, first = np.unique(slots[waiting], return_index=True)
        first = first[table[slots[waiting[first]]] == 0]
        table[slots[waiting[first]]] = keys[waiting[first]]
        waiting = np.delete(waiting, first)
        slots[waiting] = (slots[waiting] + 1) % size
    return table, slots


def slot(table: Keys, key: int) -> int:
    """The slot that holds a key, -1 where none does: the plain form of what kernels do."""
    at = (key * int(GOLDEN) & (1 << 64) - 1) >> shift_of(table)
    while (held := int(table[at])) != key:
        if held == 0:
            return -1
        at = (at + 1) % len(table)
    return at
