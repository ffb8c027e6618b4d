"""Gopher's quality statistics and their kin, for both scripts.

Gopher: Rae et al. 2021, arXiv:2112.11446, section A.1.1. FineWeb: Penedo et al. 2024, arXiv:2406.17557.
"""

from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.measures.columns import SHORT, STOP_WORDS, Column, batch, counted, fields, share

_COUNTED = ("stop_words", "longest_word", "longest_line", "brackets", "replacements")
_INTEGERS = (*_COUNTED, "lorem_ipsum")
_SHARES = (
    "mean_word_length",  # characters a word that is no ideograph; 1 where every word is one
    "alphabetic_words",  # of words: with a letter or ideograph
    "hashes",  # # a word
    "ellipses",  # … or ... a word
    "bullet_lines",  # of lines: that begin with a bullet
    "ellipsis_lines",  # of lines: that end in an ellipsis
    "terminal_lines",  # of lines: that end as a sentence does, 。！？…」 and 。（…） included
    "short_lines",  # of lines: of at most `short` columns
    "newlines",  # runs of them a word
    "letters",  # of characters
    "digits",
    "punctuation",
    "uppercase",  # of letters
)


@configuration
class Quality:
    """Shares of words, lines and characters; different stop words; longest word and line; {, U+FFFD, filler counted."""

    version: ClassVar[int] = 1

    measure: Literal["quality"] = "quality"
    stop_words: Annotated[
        tuple[str, ...], Field(max_length=64), Doc("words whose different ones are counted, of 8 UTF-8 bytes at most")
    ] = STOP_WORDS
    short: Annotated[int, Field(ge=0), Doc("widest short line in columns; an ideograph takes two")] = SHORT

    @property
    def schema(self) -> pa.Schema:
        """Counts, int64, then shares, float64."""
        return pa.schema([*fields(_INTEGERS, pa.int64()), *fields(_SHARES, pa.float64())])

    def compute(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """Statistics of each text."""
        import pyarrow.compute as pc

        counts = counted(documents["text"], self.short, self.stop_words)
        words, lines, characters = counts["words"], counts["lines"], counts["characters"]
        whole = dict.fromkeys(("alphabetic_words", "hashes", "ellipses", "newlines"), words)
        whole |= dict.fromkeys(("bullet_lines", "ellipsis_lines", "terminal_lines", "short_lines"), lines)
        whole |= dict.fromkeys(("letters", "digits", "punctuation"), characters) | {"uppercase": counts["letters"]}
        columns: dict[str, Column] = {name: share(counts[name], of) for name, of in whole.items()}
        spaced = words - counts["ideograph_words"]
        ideographs = (words > 0) & (spaced == 0)
        columns["mean_word_length"] = np.where(ideographs, 1.0, share(counts["spaced_characters"], spaced))
        columns |= {name: counts[name] for name in _COUNTED}
        phrases = pc.count_substring(documents["text"], "lorem ipsum", ignore_case=True)
        columns["lorem_ipsum"] = np.asarray(pc.fill_null(phrases, 0), np.int64)
        return batch(columns, self.schema)
