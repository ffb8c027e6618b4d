"""Language identification with fastText's lid.176 (Joulin et al., arXiv:1607.01759)."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

UNDETERMINED = "und"  # ISO 639-3
CHINESE = ("zh", "yue", "wuu")  # labels of lid.176 that are Chinese
WINDOWS = 4  # stretches that stand for a long text
_LABELS = 4  # asked of the model: its best, and room for all of Chinese beside ja
Counts = npt.NDArray[np.int64]
_IDEOGRAPHS = re.compile("[\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")


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


def sampled(text: str, characters: int) -> str:
    """A text on one line; of a longer one, WINDOWS stretches of it, spread evenly from its first to its last."""
    if len(text) > characters:
        size = max(1, characters // WINDOWS)
        starts = [k * (len(text) - size) // (WINDOWS - 1) for k in range(WINDOWS)]
        text = " ".join(text[start : start + size] for start in starts)
    return text.replace("\n", " ")  # fastText reads one line; the rest of its tokenizer's separators do no harm


def identify(
    text: pa.Array, model: Path, characters: int, counts: Mapping[str, Counts]
) -> tuple[list[str], list[float]]:
    """Language code and score of each text, from `characters` of it; scores are rounded to 4 digits.

    `counts` are the texts' kernels.columns.STATISTICS. Where most words are ideographs and few kana stand among them
    the script settles that a text is Chinese, whatever the model says (lid.176 says `ja` or `en` to many a short one);
    its score is then what the model gave to all of CHINESE and `ja`, and at least the ideographs' share of words.
    A text of other words that quotes Chinese, and that the model takes for Chinese, is identified by its other words,
    and scores by their share. Which Chinese is `variety`'s to say. The model has no label for "no language": judge
    texts without letters yourself.
    """
    if len(text) == 0:
        return [], []
    chinese = (counts["ideograph_words"] * 2 > counts["words"]) & (counts["kana"] * 20 <= counts["letters"])
    share = counts["ideograph_words"] / np.maximum(counts["words"], 1)
    texts = [each or "" for each in text.to_pylist()]
    given = _predicted(texts, model, characters)
    quoting = [
        k for k, one in enumerate(given) if not chinese[k] and 0 < share[k] <= 0.5 and next(iter(one)) in CHINESE
    ]
    others = _predicted([_IDEOGRAPHS.sub("", texts[k]) for k in quoting], model, characters)
    for k, one in zip(quoting, others, strict=True):
        given[k] = {code: value * (1 - share[k]) for code, value in one.items()}
    codes, rounded = [], []
    for one, settled, least in zip(given, chinese.tolist(), share.tolist(), strict=True):
        code, value = next(iter(one.items()))
        if settled:
            code, value = "zh", max(least, sum(one.get(name, 0.0) for name in (*CHINESE, "ja")))
        codes.append(code)
        rounded.append(round(min(value, 1.0), 4))
    return codes, rounded


def _predicted(texts: Sequence[str], model: Path, characters: int) -> list[dict[str, float]]:
    """Scores by language code of each text, the best first."""
    if not texts:
        return []
    labels, scores = _model(model).predict([sampled(each, characters) for each in texts], k=_LABELS)
    return [
        {name.removeprefix("__label__"): float(value) for name, value in zip(label, score, strict=True)}
        for label, score in zip(labels, scores, strict=True)
    ]


def variety(counts: Mapping[str, Counts]) -> list[str]:
    """ISO 639-3 code of each Chinese text, by characters that one variety writes and the others hardly do.

    yue: at least two of Cantonese, and more than 2 % of Han (.98 of 2,787 Cantonese texts, .0005 of 117,000 others);
    lzh: at least three of Classical Chinese, more than 4 % of Han and three times those of modern Chinese; else cmn.
    """
    cantonese, literary, han = counts["cantonese"], counts["literary"], counts["han"]
    names = np.full(len(han), "cmn")
    names[(literary >= 3) & (literary * 25 > han) & (literary > 3 * counts["vernacular"])] = "lzh"
    names[(cantonese >= 2) & (cantonese * 50 > han)] = "yue"
    return [str(name) for name in names]
