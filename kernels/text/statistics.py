"""Counts of characters, lines, sentences and words: one pass of each kind over every document."""

import numpy as np
from numba import njit, uint32, uint64

from kernels.characters import (
    ALPHA,
    BRACKET,
    BULLET,
    CANTONESE,
    CLASS,
    CLOSER,
    DIGIT,
    FULL_STOP,
    HAN,
    HANGUL,
    IDEOGRAPH,
    KANA,
    LATIN,
    LITERARY,
    OPENER,
    PUNCTUATION,
    SIMPLIFIED,
    SPACE,
    STOP,
    TERMINAL,
    TRADITIONAL,
    UPPER,
    VERNACULAR,
    WIDE,
    WORD,
)
from kernels.columns import STOP_WORD_BYTES
from kernels.text.words import decoded, words

_NEWLINE, _ELLIPSIS, _FULL_STOP, _REPLACEMENT, _BRACE, _HASH = 10, 0x2026, 46, 0xFFFD, 123, 35
_IDEOGRAPHIC_STOP = 0x3002


@njit(nogil=True, cache=True)
def _characters(codes: np.ndarray, entries: np.ndarray, out: np.ndarray) -> None:
    letters, digits, upper, punctuation, han, kana = 0, 0, 0, 0, 0, 0  # locals: a row in memory is written each time
    hangul, latin, simplified, traditional, newlines = 0, 0, 0, 0, 0
    dots, ended = 0, False
    for i in range(codes.shape[0]):
        code, entry = codes[i], entries[i]
        letters += (entry & ALPHA) != 0
        digits += (entry & DIGIT) != 0
        upper += (entry & UPPER) != 0
        punctuation += (entry & PUNCTUATION) != 0
        han += (entry & HAN) != 0
        kana += (entry & KANA) != 0
        hangul += (entry & HANGUL) != 0
        latin += (entry & LATIN) != 0
        simplified += (entry & SIMPLIFIED) != 0
        traditional += (entry & TRADITIONAL) != 0
        newlines += code == _NEWLINE and not ended
        ended = code == _NEWLINE
        out[11] += code == _BRACE
        out[12] += code == _REPLACEMENT
        out[28] += code == _HASH
        dots = dots + 1 if code == _FULL_STOP else 0
        out[29] += code == _ELLIPSIS or dots == 3
        if entry & (CANTONESE | LITERARY | VERNACULAR):
            out[30] += (entry & CANTONESE) != 0
            out[31] += (entry & LITERARY) != 0
            out[32] += (entry & VERNACULAR) != 0
    out[1], out[2], out[3], out[4], out[5], out[6] = letters, digits, upper, punctuation, han, kana
    out[7], out[8], out[9], out[10], out[13] = hangul, latin, simplified, traditional, newlines


@njit(nogil=True, cache=True)
def _lines(codes: np.ndarray, entries: np.ndarray, short: int, out: np.ndarray) -> None:
    i, m = 0, codes.shape[0]
    while i < m:
        width, length, pending_width, pending, bullet, dots = 0, 0, 0, 0, False, 0
        last, ending, before, aside = uint32(0), uint32(0), uint32(0), uint32(0)
        while i < m:
            code, entry = codes[i], entries[i]
            i += 1
            if code == _NEWLINE:
                break
            columns = 2 if entry & WIDE else 1
            if entry & CLASS == SPACE:
                if length:
                    pending += 1
                    pending_width += columns
                continue
            if length == 0:
                bullet = (entry & BULLET) != 0
            length += pending + 1
            width += pending_width + columns
            same = code == last and pending == 0
            pending, pending_width = 0, 0
            dots = (dots + 1 if same else 1) if code in (_FULL_STOP, _IDEOGRAPHIC_STOP) else 0
            if entry & OPENER:
                aside = ending
            last, before, ending = code, ending, entry
        if length:
            out[14] += 1
            out[15] += bullet
            out[16] += last == _ELLIPSIS or dots >= 3
            out[17] += ((ending | (before | aside if ending & BRACKET else uint32(0))) & TERMINAL) != 0
            out[18] += width <= short
            out[19] = max(out[19], length)


@njit(nogil=True, cache=True)
def _sentences(codes: np.ndarray, entries: np.ndarray) -> int:
    """Stretches with a word in them, ended by a full stop, by . ! ? … before a gap, or by a line's end."""
    sentences, words_seen, waiting = 0, False, False
    for i in range(codes.shape[0]):
        entry = entries[i]
        kind = entry & CLASS
        if codes[i] == _NEWLINE:
            sentences += words_seen
            words_seen, waiting = False, False
            continue
        if waiting and not entry & (CLOSER | STOP | FULL_STOP):
            if kind in (SPACE, IDEOGRAPH):
                sentences += words_seen
                words_seen = False
            waiting = False
        if entry & FULL_STOP:
            sentences += words_seen
            words_seen, waiting = False, False
        elif entry & STOP:
            waiting = True
        elif kind in (WORD, IDEOGRAPH):
            words_seen = True
    return sentences + words_seen


@njit(nogil=True, cache=True)
def _words(
    data: np.ndarray, at: np.ndarray, entries: np.ndarray, keys: np.ndarray, bits: np.ndarray, out: np.ndarray
) -> None:
    starts, stops, flags = words(entries)
    seen, mask = uint64(0), uint64(keys.shape[0] - 1)
    out[21] = starts.shape[0]
    for w in range(starts.shape[0]):
        characters = stops[w] - starts[w]
        out[22] += characters
        out[23] += characters if flags[w] & CLASS == WORD else 0
        out[24] += (flags[w] & ALPHA) != 0
        out[25] += flags[w] & CLASS == IDEOGRAPH
        out[26] = max(out[26], characters)
        start, stop = at[starts[w]], at[stops[w]]
        if stop - start > STOP_WORD_BYTES:
            continue
        key = uint64(0)
        for i in range(start, stop):
            byte = uint64(data[i])
            key = (key << uint64(8)) | (byte + uint64(32) if 65 <= byte <= 90 else byte)
        slot = (key * uint64(0x9E3779B97F4A7C15) >> uint64(32)) & mask
        while bits[slot] != uint64(0):
            if keys[slot] == key:
                seen |= bits[slot]
                break
            slot = (slot + uint64(1)) & mask
    while seen != uint64(0):
        out[27] += 1
        seen &= seen - uint64(1)


@njit(nogil=True, cache=True)
def statistics(
    data: np.ndarray,
    offsets: np.ndarray,
    table: np.ndarray,
    short: int,
    keys: np.ndarray,
    bits: np.ndarray,
    out: np.ndarray,
) -> None:
    """kernels.columns.STATISTICS of each document into out, int64[n, 33] of zeros.

    keys, bits: the stop words packed big-endian into uint64 in an open-addressed table, one bit a word.
    short: widest short line, in columns (an ideograph takes two).
    """
    for d in range(offsets.shape[0] - 1):
        codes, entries, at = decoded(data, offsets[d], offsets[d + 1], table)
        row = out[d]
        row[0] = codes.shape[0]
        _characters(codes, entries, row)
        _lines(codes, entries, short, row)
        row[20] = _sentences(codes, entries)
        _words(data, at, entries, keys, bits, row)
