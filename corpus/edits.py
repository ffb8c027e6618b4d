"""The edits a recipe may name, told apart by `edit:`."""

from typing import Annotated

from pydantic import Field

from corpus.normalize import Normalize
from corpus.pii import Mask

AnyEdit = Annotated[Normalize | Mask, Field(discriminator="edit")]
