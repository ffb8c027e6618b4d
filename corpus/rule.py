"""What is decided: a rule maps measured columns to failures; it never reads text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One rule on one batch: who fails, by which value against which threshold. All of length rows."""

    fails: npt.NDArray[np.bool_]
    value: npt.NDArray[np.float64]
    threshold: npt.NDArray[np.float64]


class Rule(Protocol):
    """A frozen configuration dataclass with a `rule:` discriminator; its key in the mapping is the reason slug."""

    version: ClassVar[int]

    @property
    def order(self) -> int:
        """Place among the rules: the first to fail names the reason."""
        ...

    def reads(self) -> tuple[str, ...]:
        """The columns it needs, as `measure.column`."""
        ...

    def judge(self, columns: Columns, language: np.ndarray) -> Judgement:
        """Failures by row. `language` holds the identified language code of each row."""
        ...


def ordered(rules: Mapping[str, Rule]) -> list[tuple[str, Rule]]:
    """Rules in the order that names the reason: by `order`, ties by name. A mapping's own order never counts."""
    return sorted(rules.items(), key=lambda item: (item[1].order, item[0]))
