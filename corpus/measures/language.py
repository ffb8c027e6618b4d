"""Language and script."""

from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from corpus.configuration import Doc, FileRef, configuration
from corpus.languages import UNDETERMINED, identify, variety
from corpus.measures.columns import Counts, counted, share

_SHARES = ("han", "kana", "hangul", "latin")
LID = FileRef("package:corpus/language/lid.176.ftz")


def _script(counts: dict[str, Counts]) -> list[str]:
    """ISO 15924 code of the script that most letters are in; Han as Hans or Hant where one of them leads."""
    other = counts["letters"] - sum(counts[name] for name in _SHARES)
    most = np.argmax(np.stack([*(counts[name] for name in _SHARES), other]), axis=0)
    names = np.array(["Hani", "Jpan", "Hang", "Latn", "Zyyy"])[most]
    names[counts["letters"] == 0] = "Zyyy"
    names[(counts["kana"] * 20 > counts["letters"]) & (names == "Hani")] = "Jpan"  # Japanese mixes both
    simplified, traditional = counts["simplified"], counts["traditional"]
    names[(names == "Hani") & (simplified > traditional)] = "Hans"
    names[(names == "Hani") & (simplified < traditional)] = "Hant"
    return [str(name) for name in names]


@configuration
class Language:
    """fastText's language and score; script; han, kana, hangul and latin: shares of letters (NaN without any).

    A text without letters is `und` with score 0. `variety` tells Chinese apart (cmn, yue, lzh) and is the language of
    any other text; `language` counts a variety as what `counted` says, and names it itself where it says nothing.
    Four stretches of 150 characters agree with the publisher's language as often as the first 1,000 characters.
    """

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("fasttext",)  # decide the scores

    measure: Literal["language"] = "language"
    model: Annotated[FileRef, Doc("fastText model with ISO 639 labels")] = LID
    characters: Annotated[int, Field(ge=1), Doc("how much of the text is read, spread over it")] = 600
    counted: Annotated[
        dict[str, str],
        Doc("language that a variety of Chinese counts as; one that is absent is wanted, or dropped, by its own code"),
    ] = Field(default_factory=lambda: {"cmn": "zh", "yue": "zh", "lzh": "zh"})

    @property
    def schema(self) -> pa.Schema:
        """language, variety and script, string; score and shares, float64."""
        return pa.schema(
            [
                pa.field("language", pa.string(), nullable=False),
                pa.field("variety", pa.string(), nullable=False),
                pa.field("score", pa.float64(), nullable=False),
                pa.field("script", pa.string(), nullable=False),
                *(pa.field(name, pa.float64(), nullable=False) for name in _SHARES),
            ]
        )

    def compute(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """Language and script of each text."""
        text = documents["text"]
        counts = counted(text)
        codes, scores = identify(text, self.model.resolve(), self.characters, counts)
        empty = counts["letters"] == 0
        codes = [UNDETERMINED if none else code for code, none in zip(codes, empty, strict=True)]
        varieties = [one if code == "zh" else code for code, one in zip(codes, variety(counts), strict=True)]
        language = [
            self.counted.get(one, one) if code == "zh" else code for code, one in zip(codes, varieties, strict=True)
        ]
        columns = [
            pa.array(language, pa.string()),
            pa.array(varieties, pa.string()),
            pa.array(np.where(empty, 0.0, scores), pa.float64()),
            pa.array(_script(counts), pa.string()),
            *(pa.array(share(counts[name], counts["letters"]), pa.float64()) for name in _SHARES),
        ]
        return pa.record_batch(columns, schema=self.schema)
