"""A measured value must lie within bounds that depend on the document's language."""

from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from corpus.configuration import Doc, configuration, form
from corpus.rule import Columns, Judgement

OTHER = "other"


def by_language(bounds: dict[str, float], language: np.ndarray, absent: float) -> npt.NDArray[np.float64]:
    """Each row's bound: its language's, else `other`, else `absent`."""
    out = np.full(len(language), bounds.get(OTHER, absent))
    for code, bound in bounds.items():
        if code != OTHER:
            out[language == code] = bound
    return out


@configuration
class RangeRule:
    """Fails what lies below `minimum` or above `maximum`, and what could not be measured (NaN) where there is a bound.

    A language without a bound of its own takes that of `other`; with neither, that side is open.
    """

    version: ClassVar[int] = 1

    rule: Literal["range"] = "range"
    order: Annotated[int, Doc("place among the rules; the first to fail names the reason")]
    column: Annotated[
        str,
        form(r"\w+\.\w+", "a measure and its column, such as length.words"),
        Doc("what is judged, as measure.column"),
    ]
    minimum: Annotated[dict[str, float], Doc("smallest value kept, by language")] = Field(default_factory=dict)
    maximum: Annotated[dict[str, float], Doc("largest value kept, by language")] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _bounded(self) -> "RangeRule":
        if not self.minimum and not self.maximum:
            raise ValueError("has neither minimum nor maximum: give one, such as minimum: {other: 50}")
        return self

    def reads(self) -> tuple[str, ...]:
        """The one column judged."""
        return (self.column,)

    def judge(self, columns: Columns, language: np.ndarray) -> Judgement:
        """Rows out of bounds, with the bound they broke."""
        value = columns[self.column].astype(np.float64)
        low = by_language(self.minimum, language, -np.inf)
        high = by_language(self.maximum, language, np.inf)
        below = (low > -np.inf) & ~(value >= low)  # NaN is neither >= nor <=, and so fails
        above = (high < np.inf) & ~(value <= high)
        return Judgement(below | above, value, np.where(below, low, high))
