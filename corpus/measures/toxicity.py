"""How much of a document is on the word lists; which words is never stored."""

from typing import Annotated, ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from corpus.configuration import Doc, FileRef, configuration
from corpus.detox import load
from corpus.measures.columns import Column, batch, counted, fields, share
from kernels.dispatch import matches


def _files(*kinds: str) -> tuple[FileRef, ...]:
    return tuple(FileRef(f"package:corpus/detox/{kind}_{language}.txt") for kind in kinds for language in ("en", "zh"))


@configuration
class Toxicity:
    """hits; distinct: different entries hit; share: hits a word (NaN without words).

    Each list holds one entry a line. corpus/detox says where an entry matches.
    """

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("jieba",)  # its dictionary decides where a Chinese entry stands

    measure: Literal["toxicity"] = "toxicity"
    lists: Annotated[tuple[FileRef, ...], Field(min_length=1), Doc("files of entries that count")] = _files(
        "ldnoobw", "added"
    )
    allowed: Annotated[tuple[FileRef, ...], Doc("files of entries that are stepped over")] = _files("allowed")
    evasions: Annotated[bool, Doc("also spellings with stars, digits for letters or letters set apart")] = True

    @property
    def schema(self) -> pa.Schema:
        """Counts, int64, and a share, float64."""
        return pa.schema([*fields(("hits", "distinct"), pa.int64()), *fields(("share",), pa.float64())])

    def compute(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """Hits of each text."""
        text = documents["text"]
        trie = load(tuple(f.resolve() for f in self.lists), tuple(f.resolve() for f in self.allowed), self.evasions)
        counts = matches(text, trie)
        columns: dict[str, Column] = {"hits": counts[:, 0], "distinct": counts[:, 1]}
        columns["share"] = share(counts[:, 0], counted(text)["words"])
        return batch(columns, self.schema)
