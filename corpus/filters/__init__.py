"""Rules over measured columns. One file a rule; the union is told apart by `rule:`."""

from typing import Annotated

from corpus.filters.flagged import FlaggedRule
from corpus.filters.language import LanguageRule
from corpus.filters.listed import ListedRule
from corpus.filters.range import RangeRule
from corpus.plugins import Family
from corpus.rule import Rule

AnyRule = Annotated[Rule, Family("rule", (FlaggedRule, LanguageRule, ListedRule, RangeRule), {"siku.rules": Rule})]

__all__ = ["AnyRule", "FlaggedRule", "LanguageRule", "ListedRule", "RangeRule"]
