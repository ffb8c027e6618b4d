"""Only documents of the wanted languages, identified with enough confidence."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.filters.range import by_language
from corpus.rule import Columns, Judgement


@configuration
class LanguageRule:
    """Fails other languages, and the wanted ones below `minimum`.

    A language that is not wanted is judged against a threshold of 1.
    """

    version: ClassVar[int] = 1

    rule: Literal["language"] = "language"
    order: Annotated[int, Doc("place among the rules; the first to fail names the reason")]
    languages: Annotated[list[str], Field(min_length=1), Doc("language codes that are kept")]
    minimum: Annotated[dict[str, float], Doc("lowest score kept, by language; `other` for the rest")]

    def reads(self) -> tuple[str, ...]:
        """Identified language and its score."""
        return ("language.language", "language.score")

    def judge(self, columns: Columns, language: np.ndarray) -> Judgement:
        """Rows of another language, or too uncertain."""
        score = columns["language.score"].astype(np.float64)
        wanted = np.isin(language, self.languages)
        limit = np.where(wanted, by_language(self.minimum, language, 0.0), 1.0)
        return Judgement(~wanted | ~(score >= limit), score, limit)
