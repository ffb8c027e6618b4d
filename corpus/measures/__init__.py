"""Measures of documents. One file a measure; the union is told apart by `measure:`.

A share whose whole is empty (of the words of a document without words) is NaN, and rules fail NaN.
"""

from typing import Annotated

from pydantic import Field

from corpus.measures.exact import Exact
from corpus.measures.language import Language
from corpus.measures.length import Length
from corpus.measures.quality import Quality
from corpus.measures.repetition import Repetition
from corpus.measures.signature import Signature
from corpus.measures.toxicity import Toxicity

AnyMeasure = Annotated[
    Exact | Language | Length | Quality | Repetition | Signature | Toxicity, Field(discriminator="measure")
]

__all__ = ["AnyMeasure", "Exact", "Language", "Length", "Quality", "Repetition", "Signature", "Toxicity"]
