"""How a configuration dataclass is declared: frozen, keyword-only, unknown keys refused."""

import re
from collections.abc import Callable
from dataclasses import dataclass as _dataclass
from pathlib import Path
from typing import TypeVar, cast, dataclass_transform

from pydantic import AfterValidator, ConfigDict
from pydantic.dataclasses import dataclass as _pydantic_dataclass
from pydantic_core import CoreSchema, core_schema

T = TypeVar("T")


@_dataclass(frozen=True, slots=True)
class Doc:
    """The doc line of a field: `field: Annotated[float, Doc("share of lines")]`."""

    text: str


def form(pattern: str, words: str) -> AfterValidator:
    """Refuses a text of another form than `pattern`, and says in `words` what it must be."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {words}")
        return value

    return AfterValidator(check)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def configuration(cls: type[T]) -> type[T]:
    """Declare a WHAT or WHERE dataclass; pydantic checks types, ranges and unknown keys."""
    make = _pydantic_dataclass(
        frozen=True,
        kw_only=True,
        slots=True,
        # Deferred to the first use, for the unions within are known only once plug-ins are loaded.
        config=ConfigDict(extra="forbid", allow_inf_nan=False, defer_build=True),
    )
    return cast(Callable[[type[T]], type[T]], make)(cls)


_PACKAGE = "package:"


def absolute(path: str) -> str:
    """A path as every process of a run reads it: `~` and `~user` expanded, relative ones from the working folder."""
    if not path.strip():
        raise ValueError("names no file or folder: give a path")
    try:
        return str(Path(path).expanduser().absolute())
    except RuntimeError as error:  # no such user
        raise ValueError(f"has no home folder behind its ~ ({error}): give the whole path") from None


class AbsolutePath(str):
    """A file or folder of this machine, made absolute when a configuration is read."""

    @classmethod
    def _read(cls, value: str) -> "AbsolutePath":
        return cls(absolute(value))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls._read, core_schema.str_schema())


class FileRef(AbsolutePath):
    """A file or folder named in a configuration. Identity reads its content, never its path.

    `package:corpus/language/lid.176.ftz` lies in the installed packages; anything else is a path of the machine.
    """

    def resolve(self) -> Path:
        """The path on this machine; raises FileNotFoundError naming it."""
        if self.startswith(_PACKAGE):
            path = Path(__file__).resolve().parent.parent / self.removeprefix(_PACKAGE)
        else:
            path = Path(absolute(self))
        if not path.exists():
            raise FileNotFoundError(f"{str(self)!r} does not exist (looked for {path}): give a path that does")
        return path

    @classmethod
    def _read(cls, value: str) -> "FileRef":
        return cls(value if value.startswith(_PACKAGE) else absolute(value))
