"""Measures of documents. One file a measure; the union is told apart by `measure:`.

A share whose whole is empty (of the words of a document without words) is NaN, and rules fail NaN.
"""

from typing import Annotated

from corpus.measure import Measure
from corpus.measures.address import Address
from corpus.measures.exact import Exact
from corpus.measures.language import Language
from corpus.measures.length import Length
from corpus.measures.published import Published
from corpus.measures.quality import Quality
from corpus.measures.repetition import Repetition
from corpus.measures.signature import Signature
from corpus.measures.survey import Survey
from corpus.measures.toxicity import Toxicity
from corpus.plugins import Family

PACKAGED = (Address, Exact, Language, Length, Published, Quality, Repetition, Signature, Survey, Toxicity)
AnyMeasure = Annotated[Measure, Family("measure", PACKAGED, {"siku.measures": Measure})]

__all__ = [
    "Address",
    "AnyMeasure",
    "Exact",
    "Language",
    "Length",
    "Published",
    "Quality",
    "Repetition",
    "Signature",
    "Survey",
    "Toxicity",
]
