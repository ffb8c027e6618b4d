"""How a configuration dataclass is declared: frozen, keyword-only, unknown keys refused."""

from collections.abc import Callable
from dataclasses import dataclass as _dataclass
from pathlib import Path
from typing import TypeVar, cast, dataclass_transform

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as _pydantic_dataclass
from pydantic_core import CoreSchema, core_schema

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


class FileRef(str):
    """A file or folder named in a configuration. Identity reads its content, never its path.

    `package:corpus/language/lid.176.ftz` lies in the installed packages; anything else is a path of the
    machine, relative ones from the working directory.
    """

    def resolve(self) -> Path:
        """The path on this machine; raises FileNotFoundError naming it."""
        if self.startswith("package:"):
            path = Path(__file__).resolve().parent.parent / self.removeprefix("package:")
        else:
            path = Path(self).expanduser().absolute()
        if not path.exists():
            raise FileNotFoundError(f"{self!r} does not exist (looked for {path}): give a path that does")
        return path

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(min_length=1))
