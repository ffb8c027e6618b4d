"""Rules over measured columns. One file a rule; the union is told apart by `rule:`."""

from typing import Annotated

from pydantic import Field

from corpus.filters.language import LanguageRule
from corpus.filters.range import RangeRule

AnyRule = Annotated[LanguageRule | RangeRule, Field(discriminator="rule")]

__all__ = ["AnyRule", "LanguageRule", "RangeRule"]
