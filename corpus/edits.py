"""The edits a recipe may name, told apart by `edit:`."""

from typing import Annotated

from corpus.edit import Edit
from corpus.normalize import Normalize
from corpus.pii import Mask
from corpus.plugins import Family

AnyEdit = Annotated[Edit, Family("edit", (Normalize, Mask), {"siku.edits": Edit})]
