"""Characters, words, sentences, lines and shingles, Chinese first. What the words mean everywhere in Siku.

character  a code point.
word       an ideograph (Han, kana, bopomofo) with the marks on it is a word by itself; otherwise a word is a
           run of letters, digits, connectors (_) and marks of any script, and ' ’ . between two of them belong
           to it (It's, 3.14, e.g). White space, punctuation, symbols and controls belong to no word. Thai, Lao,
           Khmer and Burmese have no spaces and are not cut further.
line       what newlines separate; one of white space only does not count.
sentence   a stretch with a word in it, ended by 。！？ wherever they stand, by . ! ? … before white space, an
           ideograph or the end, with the closing quotes and brackets after them, or by a newline.
shingle    starts at every word and is the shortest run whose weight reaches words x characters, where an
           ideograph weighs `words` and any other word weighs `characters`: `words` words of English, `characters`
           characters of Chinese, and a blend in mixed text. A lighter document is one shingle. Its bytes are its
           words, A-Z lower-cased, joined by one space.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels import dispatch, reference
from kernels.dispatch import Hash


def words(text: str) -> list[str]:
    """The words of one text, in order."""
    return reference.words(text)


def sentences(text: str) -> list[str]:
    """The sentences of one text, in order, without the white space around them."""
    return [text[start:stop].strip() for start, stop in reference.sentence_spans(text)]


def lines(text: str) -> list[str]:
    """The lines of one text that have something other than white space."""
    return [line for line in text.split("\n") if line.strip()]


def shingles(text: str, words: int, characters: int) -> list[bytes]:
    """The shingles of one text, repeats included: what datasketch would be given."""
    return reference.shingles(text, words, characters)


def shingle_hashes(
    text: pa.Array, words: int, characters: int, hashing: Hash = "xxh64"
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Shingle hashes of every text, repeats included, and n + 1 offsets: text i has hashes[offsets[i]:offsets[i + 1]].

    `sha1` gives datasketch's sha1_hash32 in the low 32 bits.
    """
    return dispatch.shingle_hashes(text, words, characters, hashing)
