"""Language identification with fastText's lid.176 (Joulin et al., arXiv:1607.01759)."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

UNDETERMINED = "und"  # ISO 639-3
_LABELS = 3  # asked of the model: its best, and room for zh beside ja


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


def identify(
    text: pa.Array, model: Path, characters: int, kana: npt.NDArray[np.int64]
) -> tuple[list[str], list[float]]:
    """ISO 639 code and score of each text, from its first `characters`; scores are rounded to 4 digits.

    `kana` counts each text's kana: running Japanese has some, so what the model takes for Japanese without any is
    Chinese, and scores what it gave to both (lid.176 says `ja` to many a short Chinese text). The model has no label
    for "no language": judge texts without letters yourself.
    """
    if len(text) == 0:
        return [], []
    # fastText reads one line; the rest of its tokenizer's separators do no harm.
    start = pc.replace_substring(pc.utf8_slice_codeunits(text, 0, characters), "\n", " ")
    labels, scores = _model(model).predict(start.to_pylist(), k=_LABELS)
    codes, rounded = [], []
    for label, score, found in zip(labels, scores, kana, strict=True):
        code, value = label[0].removeprefix("__label__"), float(score[0])
        if code == "ja" and found == 0:
            code = "zh"
            value += sum(float(s) for name, s in zip(label, score, strict=True) if name == "__label__zh")
        codes.append(code)
        rounded.append(round(min(value, 1.0), 4))
    return codes, rounded
