"""What a stage is: a canonical encoding of its WHAT, and the digest of that.

Equal meaning gives equal bytes on every machine: mappings are sorted, files count by content,
references to other stages by those stages' digests. What cannot be encoded the same way twice raises.
"""

import dataclasses
import datetime
import enum
import hashlib
import json
import math
import unicodedata
from collections.abc import Callable, Mapping
from importlib import metadata

from corpus.configuration import FileRef
from corpus.shard import FORMAT_VERSION
from corpus.usage import UsageError
from pipelines.engine.distribution import distributions_of

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
FileHash = Callable[[FileRef], str]

UNICODE = "unicode"  # among a stage's libraries where characters are classified or normalized
DIGEST_LENGTH = 24  # hex digits: 96 bits, enough to name every stage that will ever be run


class StageName(str):
    """The name of another stage in the recipe. Identity takes that stage's digest instead, among the inputs."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> object:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(min_length=1))


class RunName(str):
    """A finished run of the same store. Identity takes the digests of its stages instead, among the inputs."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> object:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(min_length=1))


class UnencodableError(TypeError):
    """A WHAT value without one canonical encoding."""


class NoFileError(UsageError):
    """A file that WHAT names and that is not there; `path` is the field."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path, self.message = path, message


def encode(value: object, file_hash: FileHash, path: str = "what") -> Json:
    """JSON with one spelling per meaning; dataclasses carry their type's own name and version.

    The module is left out: a class that moves house keeps its results. Members of a union differ by discriminator.
    A plug-in's class carries its distribution too.

    Raises UnencodableError naming the field.
    """
    if isinstance(value, FileRef):
        try:
            return {"$file": file_hash(value)}
        except FileNotFoundError as error:
            raise NoFileError(path, str(error)) from None
    if isinstance(value, StageName):
        return {"$stage": "by its digest, among the inputs"}
    if isinstance(value, RunName):
        return {"$run": "by its stages' digests, among the inputs"}
    if isinstance(value, enum.Enum):
        return {"$enum": type(value).__qualname__, "name": value.name}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UnencodableError(f"{path} = {value}: not a finite number, which JSON cannot hold")
        return value + 0.0  # -0.0 becomes 0.0
    if isinstance(value, bytes):
        return {"$bytes": value.hex()}
    if isinstance(value, datetime.date):
        return {"$date": value.isoformat()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _encode_dataclass(value, file_hash, path)
    if isinstance(value, Mapping):
        return _encode_mapping(value, file_hash, path)
    if isinstance(value, list | tuple):
        return [encode(item, file_hash, f"{path}[{i}]") for i, item in enumerate(value)]
    raise UnencodableError(
        f"{path} is a {type(value).__name__}, which has no canonical encoding: "
        "use a frozen dataclass, a mapping with string keys, a list, or a plain value"
    )


def _encode_dataclass(value: object, file_hash: FileHash, path: str) -> Json:
    cls = type(value)
    version = getattr(cls, "version", 1)
    if not isinstance(version, int):
        raise UnencodableError(f"{path}: {cls.__qualname__}.version is no whole number: declare it ClassVar[int]")
    out: dict[str, Json] = {"$type": cls.__qualname__, "$version": version}
    if distributions := distributions_of(cls):
        out["$distribution"] = dict(distributions)
    for item in dataclasses.fields(value):  # type: ignore[arg-type]
        out[item.name] = encode(getattr(value, item.name), file_hash, f"{path}.{item.name}")
    return out


def _encode_mapping(value: Mapping[object, object], file_hash: FileHash, path: str) -> Json:
    out: dict[str, Json] = {}
    for key in value:
        if not isinstance(key, str) or key.startswith("$"):
            raise UnencodableError(f"{path} has the key {key!r}: keys are strings that do not begin with $")
    for key in sorted(value, key=str):
        out[str(key)] = encode(value[key], file_hash, f"{path}.{key}")
    return out


def canonical_json(value: Json) -> str:
    """The text that is hashed: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_of(value: Json) -> str:
    """SHA-256 of the canonical JSON, cut to DIGEST_LENGTH hex digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:DIGEST_LENGTH]


def library_versions(libraries: tuple[str, ...]) -> dict[str, Json]:
    """Installed versions of the distributions that decide a stage's output, and the store's format.

    `unicode` is the character database that Python knows.
    """
    found: dict[str, Json] = {"store-format": FORMAT_VERSION}
    for name in sorted(libraries):
        try:
            found[name] = unicodedata.unidata_version if name == UNICODE else metadata.version(name)
        except metadata.PackageNotFoundError:
            raise UnencodableError(f"library {name}, which decides a stage's output, is not installed") from None
    return found


def differences(old: Json, new: Json, path: str = "") -> list[tuple[str, Json, Json]]:
    """Dotted fields in which two encodings differ, with both values; None stands for absent.

    Empty if and only if both have one digest.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        found: list[tuple[str, Json, Json]] = []
        for key in sorted({*old, *new}):
            where = f"{path}.{key}" if path else key
            if key in old and key in new:
                found += differences(old[key], new[key], where)
            else:
                found.append((where, old.get(key), new.get(key)))
        return found
    # As text: Python holds 1, 1.0 and True to be equal, a digest does not.
    return [] if canonical_json(old) == canonical_json(new) else [(path, old, new)]
