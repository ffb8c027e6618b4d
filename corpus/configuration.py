"""How a configuration dataclass is declared: frozen, keyword-only, unknown keys refused."""

from collections.abc import Callable
from dataclasses import dataclass as _dataclass
from typing import TypeVar, cast, dataclass_transform

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as _pydantic_dataclass

T = TypeVar("T")


@_dataclass(frozen=True, slots=True)
class Doc:
    """The doc line of a field: `field: Annotated[float, Doc("share of lines")]`."""

    text: str


@dataclass_transform(kw_only_default=True, frozen_default=True)
def configuration(cls: type[T]) -> type[T]:
    """Declare a WHAT or WHERE dataclass; pydantic checks types, ranges and unknown keys."""
    make = _pydantic_dataclass(
        frozen=True,
        kw_only=True,
        slots=True,
        config=ConfigDict(extra="forbid", allow_inf_nan=False),
    )
    return cast(Callable[[type[T]], type[T]], make)(cls)
