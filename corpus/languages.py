"""Language identification with fastText's lid.176 (Joulin et al., arXiv:1607.01759)."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

UNDETERMINED = "und"  # ISO 639-3


class LanguageModelError(ValueError):
    """A file that fastText cannot load."""


@lru_cache(maxsize=2)
def _model(path: Path) -> Any:  # noqa: ANN401 - fastText has no annotations
    import fasttext

    # It would print a warning about its own return type each time.
    fasttext.FastText.eprint = lambda *_: None
    try:
        return fasttext.load_model(str(path))
    except ValueError as error:
        raise LanguageModelError(f"{path} is no fastText model ({error}): name one such as lid.176.ftz") from error


def identify(text: pa.Array, model: Path, characters: int) -> tuple[list[str], list[float]]:
    """ISO 639 code and score of each text, from its first `characters`; scores are rounded to 4 digits.

    The model has no label for "no language": judge texts without letters yourself.
    """
    if len(text) == 0:
        return [], []
    # fastText reads one line; the rest of its tokenizer's separators do no harm.
    start = pc.replace_substring(pc.utf8_slice_codeunits(text, 0, characters), "\n", " ")
    labels, scores = _model(model).predict(start.to_pylist(), k=1)
    codes = [label[0].removeprefix("__label__") for label in labels]
    return codes, [round(min(float(score[0]), 1.0), 4) for score in scores]
