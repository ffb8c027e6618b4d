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

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv

from kernels import dispatch, reference
from kernels.dispatch import Hash
from kernels.lexicon import Lexicon


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """jieba's dictionary: 349,046 Chinese words with their counts; once a process, in .4 s and 17 MB."""
    spec = find_spec("jieba")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("jieba, whose dictionary tells Chinese words, is not installed: pip install jieba")
    rows = csv.read_csv(
        Path(spec.origin).parent / "dict.txt",
        read_options=csv.ReadOptions(column_names=["word", "count", "part"]),
        parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
        convert_options=csv.ConvertOptions(column_types={"word": pa.string()}, strings_can_be_null=False),
    )
    return Lexicon(rows["word"].to_pylist(), rows["count"].to_numpy())


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
