"""Texts that shout are dropped."""

from typing import Annotated, ClassVar, Literal

import numpy as np

from corpus.configuration import Doc, configuration
from corpus.filters.range import by_language
from corpus.rule import Columns, Judgement


@configuration
class Shouting:
    """Fails documents with more exclamation marks a sentence than `maximum`."""

    version: ClassVar[int] = 1

    rule: Literal["shouting"] = "shouting"
    order: Annotated[int, Doc("place among the rules; the first to fail names the reason")]
    maximum: Annotated[dict[str, float], Doc("exclamation marks a sentence, by language; `other` for the rest")]

    def reads(self) -> tuple[str, ...]:
        """Marks and sentences."""
        return ("marks.exclamations", "length.sentences")

    def judge(self, columns: Columns, language: np.ndarray) -> Judgement:
        """Rows above their language's bound."""
        value = columns["marks.exclamations"] / np.maximum(columns["length.sentences"], 1)
        limit = by_language(self.maximum, language, np.inf)
        return Judgement(value > limit, value, limit)
