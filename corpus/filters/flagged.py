"""Flagged words: too large a share of a document, and no accident."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.filters.range import by_language
from corpus.rule import Columns, Judgement


@configuration
class FlaggedRule:
    """Fails a share of flagged words above `maximum`, where there are `distinct` different ones or `hits` in all.

    One word in a short page is a large share of it, and says nothing: a quotation, a name, a surname and a verb.
    """

    version: ClassVar[int] = 1

    rule: Literal["flagged"] = "flagged"
    order: Annotated[int, Doc("place among the rules; the first to fail names the reason")]
    maximum: Annotated[dict[str, float], Doc("largest share of words kept, by language; `other` for the rest")]
    distinct: Annotated[int, Field(ge=1), Doc("different entries that are no accident")] = 2
    hits: Annotated[int, Field(ge=1), Doc("hits that are none, were they all of one entry")] = 4
    measure: Annotated[str, Doc("the toxicity measure judged")] = "toxicity"

    def reads(self) -> tuple[str, ...]:
        """The share, and the two counts."""
        return tuple(f"{self.measure}.{name}" for name in ("share", "distinct", "hits"))

    def judge(self, columns: Columns, language: np.ndarray) -> Judgement:
        """Rows above the share. A document without a word has none that is flagged."""
        share, distinct, hits = (columns[name] for name in self.reads())
        limit = by_language(self.maximum, language, np.inf)
        meant = (distinct >= self.distinct) | (hits >= self.hits)
        return Judgement(meant & (share > limit), share.astype(np.float64), limit)
