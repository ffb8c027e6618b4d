"""What pydantic refuses, as a user reads it: one line a mistake, with the field, the value and the way out."""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from conf.search import PACKAGED
from conf.walk import Declared, declared, fields

SHOWN = 60  # characters of a value
_Location = Sequence[int | str]
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")
_MAPPING = ("dict_type", "mapping_type", "dataclass_type", "dataclass_exact_type", "model_attributes_type")
_LIST = ("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type")
_SAID = {
    "int_type": "is no whole number",
    "int_parsing": "is no whole number",
    "int_from_float": "is no whole number",
    "int_parsing_size": "is too large a number",
    "float_type": "is no number",
    "float_parsing": "is no number",
    "finite_number": "is no finite number",
    "bool_type": "is neither true nor false",
    "bool_parsing": "is neither true nor false",
    "byte_size": "is no size: write bytes as in 2GB or 512MiB",
    "byte_size_unit": "is no size: write bytes as in 2GB or 512MiB",
}


def sentences(
    errors: Iterable[ErrorDetails],
    container: Mapping[str, Any],
    unset: Iterable[str],
    root: type,
) -> list[str]:
    """A line a mistake of `container`, which `root` cannot be made of; `unset` are fields that a file leaves open.

    Misspelled names come first, and a field that one of them seems to mean is not called missing as well.
    """
    unknown, other, meant = [], [], set()
    for error in errors:
        if error["type"] in _UNKNOWN:
            path, near = declared(root, error["loc"]).path, _near_field(error["loc"], root)
            ask = f": remove it with ~{path}, or set all of its mapping at once" if near == path else _ask(near)
            unknown.append(f"{path}={_shown(error['input'])}: no such field{ask}")
            meant.add(near)
        elif not _follows(error):
            other.append(error)
    missing = dict.fromkeys([*unset, *(declared(root, each["loc"]).path for each in other if _misses(each))])
    told = [f"{path}: missing; set it with {path}=<value>" for path in missing if path not in meant]
    return [*unknown, *told, *(_explained(each, container, root) for each in other if not _misses(each))]


def _follows(error: ErrorDetails) -> bool:
    """Whether a list is called too short for want of items that are wrong themselves."""
    value, least = error["input"], error.get("ctx", {}).get("min_length", 0)
    return error["type"] == "too_short" and isinstance(value, list | tuple) and len(value) >= least


def _misses(error: ErrorDetails) -> bool:
    return error["type"].startswith("missing")


def _explained(error: ErrorDetails, container: Mapping[str, Any], root: type) -> str:
    path, kind, context = declared(root, error["loc"]).path, error["type"], error.get("ctx", {})
    if kind == "union_tag_not_found":
        return _without_tag(path, context["discriminator"].strip("'"), error["loc"], container, root)
    if kind == "union_tag_invalid":
        tag, known = context["discriminator"].strip("'"), context["expected_tags"].replace("'", "")
        near = difflib.get_close_matches(context["tag"], known.split(", "), 1, 0.6)
        ask = f"; did you mean {near[0]}?" if near else "; if a plug-in brings it, install that"
        return f"{path}.{tag}={context['tag']!r}: none of {known}{ask}"
    return f"{path}={_shown(error['input'])}: {_wrong(error, path, declared(root, error['loc']))}"


def _wrong(error: ErrorDetails, path: str, place: Declared) -> str:
    """What is wrong with a value, and how one is written."""
    kind, value = error["type"], error["input"]
    if kind in _MAPPING:
        return _mapping(path, place)
    if kind in _LIST:
        items = json.dumps([value], ensure_ascii=False) if isinstance(value, str | int | float) else "[A, B]"
        return f"is no list: write '{path}={items}'"
    if kind == "string_type":
        return f"is no text: write {path}=TEXT, in quotes within the shell's where it looks otherwise"
    if kind == "literal_error":
        return _choice(value, error["ctx"]["expected"])
    if kind in ("too_short", "too_long") and isinstance(value, list | tuple | Mapping):
        least, most = (error["ctx"].get(each) for each in ("min_length", "max_length"))
        return f"has {len(value)} values, and must have {f'{least} or more' if least else f'{most} or less'}"
    if kind == "string_too_short":
        return "is empty: give a name"
    said: str = _SAID.get(kind) or error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{said[0].lower()}{said[1:]}"


def _mapping(path: str, place: Declared) -> str:
    if place.tag:
        kinds = ", ".join(place.kinds)
        return f"is no mapping: write '{path}={{{place.tag}: KIND, FIELD: VALUE}}', where KIND is one of {kinds}"
    if place.fields:
        return f"is no mapping: write {path}.FIELD=VALUE, where FIELD is one of {', '.join(place.fields)}"
    return f"is no mapping: write {path}.NAME=VALUE for each, or '{path}={{NAME: VALUE}}' for all"


def _choice(value: object, expected: str) -> str:
    names = [each.strip("' ") for each in expected.replace(" or ", ", ").split(",")]
    near = difflib.get_close_matches(str(value), names, 1, 0.6)
    return f"none of {', '.join(names)}{f'; did you mean {near[0]}?' if near else ''}"


def _without_tag(path: str, tag: str, location: _Location, container: Mapping[str, Any], root: type) -> str:
    """A member of a mapping that does not say what it is: mostly one whose name is misspelled."""
    parent, _, name = path.rpartition(".")
    beside = _at(parent, container)
    near = difflib.get_close_matches(name, [str(each) for each in beside if str(each) != name], 1, 0.6)
    new = f"a new one needs {path}.{tag}=, one of {', '.join(declared(root, location).kinds)}"
    return f"{path}: nothing has this name{_ask(f'{parent}.{near[0]}') if near else ''}{' ' if near else ': '}{new}"


def _at(path: str, container: Mapping[str, Any]) -> Mapping[str, Any]:
    here: Any = container
    for part in path.split(".") if path else ():
        here = here.get(part, {}) if isinstance(here, Mapping) else {}
    return here if isinstance(here, Mapping) else {}


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def _near_field(location: _Location, root: type) -> str:
    """The field that an unknown name seems to mean: one of those beside it, or of the same name elsewhere."""
    path, name = declared(root, location).path, str(location[-1])
    beside = [*declared(root, location[:-1]).fields, *(PACKAGED.groups() if len(location) == 1 else ())]
    if near := difflib.get_close_matches(name, beside, 1, 0.6):
        return f"{path.removesuffix(name)}{near[0]}"
    every = list(fields(root))
    same = sorted((each for each in every if each.rpartition(".")[2] == name), key=lambda each: each.count("."))
    return next(iter(same or difflib.get_close_matches(path, every, 1, 0.6)), "")


def _ask(near: str) -> str:
    return f"; did you mean {near}?" if near else "; `siku config --search WORD` lists all"
