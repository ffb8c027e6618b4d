"""What a user asks for: `group=choice`, `a.b=value`, `~a.b`, files of these (`@my.yaml`), and mappings in Python."""

import contextlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from conf.search import ConfigError, Search, unreadable

COMMAND_LINE = "command line"
_PLAIN = re.compile(r"[\w./:@%+-]+")  # what may need no quotes
_ITEM = re.compile(r"(?P<sign>~|\+{0,2})(?P<key>[^\W\d][\w@./-]*)(?:=(?P<value>.*))?", re.S)


@dataclass(frozen=True, slots=True)
class Override:
    """One change: choose a group's file, set a key, or remove one. A sweep has several `values`, others one or none."""

    action: Literal["choose", "set", "remove"]
    key: str
    values: tuple[Any, ...]
    labels: tuple[str, ...]  # the values as they were written
    origin: str = COMMAND_LINE  # or the file it stands in

    @property
    def text(self) -> str:
        """As one may write it: `key=value`."""
        return f"~{self.key}" if self.action == "remove" else f"{self.key}={','.join(self.labels)}"


def parse(given: Sequence[str], search: Search) -> list[Override]:
    """Overrides as a user writes them, files opened; of a key given twice the last. Raises ConfigError."""
    out: list[Override] = []
    for text in given:
        out += _file(text[1:], search) if text.startswith("@") else [_one(text, search)]
    last = {(each.action, each.key): index for index, each in enumerate(out)}
    return [each for index, each in enumerate(out) if last[each.action, each.key] == index]


def _one(text: str, search: Search, origin: str = COMMAND_LINE) -> Override:
    match = _ITEM.fullmatch(text)
    if match is None or (match["value"] is None) != (match["sign"] == "~"):
        where = "" if origin == COMMAND_LINE else f"{origin}: "
        raise ConfigError(f"{where}{text!r} is no override: write key=value, ~key to remove it, or @file.yaml")
    key, value = match["key"], match["value"]
    if match["sign"] == "~":
        return Override("remove", key, (), (), origin)
    if key.partition("@")[0] in search.groups() and re.fullmatch(r"[\w.,-]+", value):
        return _choice(match["sign"] + key if "@" in key else key, value.split(","), search, origin)
    values, labels = zip(*_values(value), strict=True)
    return Override("set", key, values, labels, origin)


def _choice(key: str, names: Sequence[str], search: Search, origin: str) -> Override:
    group = key.lstrip("+").partition("@")[0]
    for name in names:
        if name not in search.groups()[group]:
            raise ConfigError(f"{group}={name}: no such choice; {search.offered(group)}")
    return Override("choose", key, tuple(names), tuple(names), origin)


def _values(text: str) -> Iterator[tuple[Any, str]]:
    """The value of `key=text`, or those of a sweep: JSON's lists and mappings, or else what Hydra's grammar says.

    What neither can read (a URL with `?`) is a string.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    found = None
    with contextlib.suppress(ValueError):
        found = json.loads(text) if text[:1] in ("{", "[") else None
    if found is not None:
        yield found, text
        return
    parser = OverridesParser.create()
    try:
        parsed = parser.parse_override(f"++key={text}")
        if not parsed.is_sweep_override():
            yield parsed.value(), text
            return
        each = [str(one) for one in parsed.sweep_string_iterator()]
        values = [parser.parse_override(f"++key={one}").value() for one in each]
    except HydraException:
        yield text, text
        return
    yield from zip(values, each, strict=True)


def _file(name: str, search: Search) -> Iterator[Override]:
    """The overrides of a YAML file: a mapping of keys, nested or dotted, or a list of overrides and mappings.

    In a mapping a value stands for itself; in a list `a.b=1,2` is read as on the command line.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    path = file_of(name, search)
    try:  # OmegaConf's YAML: a key twice is an error, 1e-3 a number
        body = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"@{name}: {unreadable(error, [path])}") from None
    except (OmegaConfBaseException, OSError) as error:
        raise ConfigError(f"@{name}: {path} cannot be read as YAML: {' '.join(str(error).split())}") from None
    for part in body if isinstance(body, list) else [body]:
        if isinstance(part, str):
            if part.startswith("@"):
                raise ConfigError(f"@{name}: {part}: a file names no other file: give both on the command line")
            yield _one(part, search, f"@{name}")
        elif isinstance(part, dict):
            yield from _mapping(part, "", search, f"@{name}")
        else:
            raise ConfigError(f"@{name}: {part!r} is no override: write a mapping of keys, or a list of key=value")


def file_of(name: str, search: Search) -> Path:
    """The file behind `@name`: from the working folder, or else from the user's own configuration folder."""
    places = [Path(name).expanduser().absolute()]
    if search.own is not None and not Path(name).is_absolute():
        places.append(search.own / name)
    for place in places:
        if place.is_file():
            return place
    raise ConfigError(f"@{name}: no such file (looked for {' and '.join(map(str, places))}): give a path that is there")


def _mapping(body: Mapping[Any, Any], prefix: str, search: Search, origin: str) -> Iterator[Override]:
    """Nested keys become dotted ones and are merged. A mapping that says which kind it is (`schedule: wsd`) replaces
    what stood there, so that no field of another kind is left over.
    """
    for name, value in body.items():
        key = f"{prefix}{name}"
        if str(name).startswith("~"):
            yield _one(f"~{prefix}{str(name)[1:]}", search, origin)
        elif key in search.groups() and isinstance(value, str):
            yield _choice(key, [value], search, origin)
        elif isinstance(value, dict) and value and not any(isinstance(value.get(tag), str) for tag in tags()):
            yield from _mapping(value, f"{key}.", search, origin)
        else:
            yield replace(_one(f"{key}=", search, origin), action="set", values=(value,), labels=(_label(value),))


def written(body: Mapping[str, Any], search: Search) -> list[str]:
    """Keys and values of Python, nested or dotted, as one writes them on the command line. Raises ConfigError."""
    return [each.text for each in _mapping(body, "", search, "mapping")]


def _label(value: object) -> str:
    """A value in the grammar of `key=value`, so that it is read back as it is; a path is a string there."""
    from hydra.core.override_parser.types import Quote, QuotedString

    if value is None or isinstance(value, Mapping | list | tuple | bool | int):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, float):
        return repr(value)
    text = str(value)
    quoted: str = QuotedString(text=text, quote=Quote.single).with_quotes()
    return text if _PLAIN.fullmatch(text) and list(_values(text)) == [(text, text)] else quoted


@cache
def tags() -> frozenset[str]:
    """The fields by which members of the schema's unions are told apart: kind, rule, measure, schedule and so on."""
    from conf.schema import Config
    from conf.walk import discriminators

    return frozenset(discriminators(Config))


def cells(overrides: Sequence[Override]) -> list[list[Override]]:
    """The cells of a sweep, each with single values, in order: the last swept key varies fastest."""
    single = [
        [replace(each, values=(value,), labels=(label,)) for value, label in zip(each.values, each.labels, strict=True)]
        or [each]
        for each in overrides
    ]
    return [list(cell) for cell in itertools.product(*single)]
