"""A word that was measured, such as a script or a host, must be on a list, or must not be."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import model_validator

from corpus.configuration import Doc, FileRef, configuration
from corpus.detox import read_words
from corpus.rule import Columns, Judgement


@configuration
class ListedRule:
    """Fails what is on the list; with `wanted`, what is not. The value is 1 for what is on it, else 0.

    With `below`, what ends in an entry behind a full stop is on the list too: `a.example.org` by `example.org`.
    """

    version: ClassVar[int] = 1

    rule: Literal["listed"] = "listed"
    order: Annotated[int, Doc("place among the rules; the first to fail names the reason")]
    column: Annotated[str, Doc("what is judged, as measure.column: language.script, address.host, address.url")]
    words: Annotated[tuple[str, ...], Doc("entries of the list")] = ()
    files: Annotated[tuple[FileRef, ...], Doc("files of entries, one a line; `# ` begins a comment")] = ()
    below: Annotated[bool, Doc("also hosts below an entry")] = False
    wanted: Annotated[bool, Doc("only what is on the list stays")] = False

    @model_validator(mode="after")
    def _lists(self) -> "ListedRule":
        if not self.words and not self.files:
            raise ValueError("has neither words nor files: give one, such as words: [Hant]")
        return self

    def reads(self) -> tuple[str, ...]:
        """The one column judged."""
        return (self.column,)

    def judge(self, columns: Columns, language: np.ndarray) -> Judgement:
        """Rows on the wrong side of the list."""
        entries = frozenset((*self.words, *(word for file in self.files for word in read_words(file.resolve()))))
        different, rows = np.unique(columns[self.column].astype(str), return_inverse=True)
        on = np.array([self._is_on(value, entries) for value in different.tolist()], bool)[rows]
        wanted = np.full(len(rows), float(self.wanted))
        return Judgement(on != self.wanted, on.astype(np.float64), wanted)

    def _is_on(self, value: str, entries: frozenset[str]) -> bool:
        parts = value.split(".") if self.below else []
        return value in entries or any(".".join(parts[k:]) in entries for k in range(1, len(parts)))
