"""The edits a recipe may name, told apart by `edit:`."""

from typing import Annotated

from corpus.edit import Edit
from corpus.line_rules import Lines
from corpus.normalize import Normalize
from corpus.pii import Mask
from corpus.plugins import Family
from corpus.simplify import Simplify

AnyEdit = Annotated[Edit, Family("edit", (Lines, Mask, Normalize, Simplify), {"siku.edits": Edit})]
