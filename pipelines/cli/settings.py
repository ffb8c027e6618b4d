"""Every key of a configuration: its type, default, value, choices, doc line, and who set it."""

import dataclasses
import json
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union

from pydantic.fields import FieldInfo

from corpus.configuration import AbsolutePath, Doc
from corpus.plugins import family_of


@dataclass(frozen=True, slots=True)
class Key:
    """One dotted key. `value` and `default` are JSON text; a key that only holds others has an empty value."""

    path: str
    type: str
    default: str
    value: str
    choices: tuple[str, ...]
    doc: str
    when: str = ""  # for a key of another member of a union: the choice that brings it in


def text_of(value: object) -> str:
    """A value as one line of JSON; nested dataclasses as their fields."""
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return list(value) if isinstance(value, tuple | frozenset) else str(value)


def fields_of(kind: Any) -> Mapping[str, FieldInfo]:  # noqa: ANN401
    """Pydantic's fields of a configuration dataclass."""
    found: Mapping[str, FieldInfo] = kind.__pydantic_fields__
    return found


def _bare(hint: Any) -> Any:  # noqa: ANN401
    while typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    return hint


def members(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """The dataclasses a type may be, through unions and annotations."""
    if (family := family_of(hint)) is not None:
        return tuple(family.members.values())
    hint = _bare(hint)
    if typing.get_origin(hint) in (Union, types.UnionType):
        return tuple(member for argument in typing.get_args(hint) for member in members(argument))
    return (hint,) if dataclasses.is_dataclass(hint) else ()


def _mapped(hint: Any) -> Any:  # noqa: ANN401
    """The value type of a mapping type, or None."""
    hint = _bare(hint)
    return typing.get_args(hint)[1] if typing.get_origin(hint) in (dict, Mapping) else None


def type_name(hint: Any) -> str:  # noqa: ANN401
    """A type as a user reads it."""
    hint = _bare(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(text_of(argument) for argument in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_name(argument) for argument in arguments))
    if origin in (dict, Mapping):
        return f"mapping of {type_name(arguments[1])}"
    if origin in (list, tuple):
        return f"list of {type_name(arguments[0])}"
    if isinstance(hint, type) and issubclass(hint, AbsolutePath):
        return "path"
    return "null" if hint is type(None) else str(getattr(hint, "__name__", hint))


def _choices(hint: Any) -> tuple[str, ...]:  # noqa: ANN401
    hint = _bare(hint)
    if hint is bool:
        return ("true", "false")
    if typing.get_origin(hint) is Literal:
        return tuple(str(argument) for argument in typing.get_args(hint))
    if typing.get_origin(hint) in (Union, types.UnionType):
        return tuple(choice for argument in typing.get_args(hint) for choice in _choices(argument))
    return ()


def _tag(kinds: Sequence[Any]) -> str:
    """The field by which members of a union are told apart: the one every member has as a Literal of its own."""
    for name in fields_of(kinds[0]) if len(kinds) > 1 else ():
        tags = [_choices(fields_of(k)[name].annotation) if name in fields_of(k) else () for k in kinds]
        if all(len(tag) == 1 for tag in tags):
            return name
    return ""


def default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    return type(value).__name__ if dataclasses.is_dataclass(value) else text_of(value)


def doc_of(field: FieldInfo) -> str:
    return next((item.text for item in field.metadata if isinstance(item, Doc)), "")


def keys(config: Any, prefix: str = "", tag: str = "", tags: tuple[str, ...] = ()) -> Iterator[Key]:  # noqa: ANN401
    """Keys of a configuration dataclass in use, depth first; members of mappings and unions as they are."""
    for name, field in fields_of(type(config)).items():
        path, value, hint = f"{prefix}{name}", getattr(config, name), field.annotation
        holds = dataclasses.is_dataclass(value) or (isinstance(value, Mapping) and bool(members(_mapped(hint))))
        choices = tags if name == tag else _choices(hint)
        shown = "" if holds else text_of(value)
        yield Key(path, type_name(hint), default_of(field), shown, choices, doc_of(field))
        if dataclasses.is_dataclass(value):
            yield from _member(value, path, members(hint))
        elif holds:
            for key, inner in value.items():
                yield Key(f"{path}.{key}", type(inner).__name__, "", "", (), _line(type(inner)))
                yield from _member(inner, f"{path}.{key}", members(_mapped(hint)))


def _member(value: object, path: str, kinds: Sequence[Any]) -> Iterator[Key]:
    tag = _tag(kinds) if kinds else ""
    tags = tuple(choice for kind in kinds for choice in _choices(fields_of(kind)[tag].annotation)) if tag else ()
    yield from keys(value, f"{path}.", tag, tags)


def _line(kind: type) -> str:
    return " ".join((kind.__doc__ or "").partition("\n\n")[0].split())


def alternatives(kind: Any, prefix: str = "", within: str = "") -> Iterator[Key]:  # noqa: ANN401
    """Keys that a choice or a name would bring in: of every member of every union, mapping members as `<name>`.

    `within` is the choice that brings in the dataclass itself.
    """
    for name, field in fields_of(kind).items():
        mapped = _mapped(field.annotation)
        path = f"{prefix}{name}.<name>" if mapped is not None else f"{prefix}{name}"
        kinds = members(mapped if mapped is not None else field.annotation)
        tag = _tag(kinds) if kinds else ""
        for member in kinds:
            when = f"{tag}={_choices(fields_of(member)[tag].annotation)[0]}" if tag else within
            for inner, below in fields_of(member).items():
                if (when or mapped is not None) and inner != tag:
                    choices = _choices(below.annotation)
                    shown = type_name(below.annotation)
                    yield Key(f"{path}.{inner}", shown, default_of(below), "", choices, doc_of(below), when)
            yield from alternatives(member, f"{path}.", when)


@dataclass(frozen=True, slots=True)
class Layer:
    """A source of values: its label and the dotted keys it sets. Later layers win."""

    label: str
    paths: frozenset[str]

    def sets(self, path: str) -> bool:
        """Whether this layer sets the key, all of it or some of it."""
        if path in self.paths or any(known.startswith(f"{path}.") for known in self.paths):
            return True
        parts = path.split(".")
        return any(".".join(parts[:end]) + "=" in self.paths for end in range(1, len(parts)))


def flat(value: object, prefix: str) -> Iterator[str]:
    """Dotted keys of a YAML mapping; a whole value set at a key is marked by a trailing `=` beside its own name."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{prefix}.{key}" if prefix else str(key))
    elif prefix:
        yield prefix
        yield f"{prefix}="


def file_layer(path: Path, group: str, label: str) -> Layer:
    """The keys that a YAML file of a group sets; its package is in the first line, or the group's name."""
    import yaml

    text = path.read_text(encoding="utf-8")
    head = text.partition("\n")[0]
    package = head.removeprefix("# @package").strip() if head.startswith("# @package") else group.replace("/", ".")
    body = yaml.safe_load(text) or {}
    values = {key: value for key, value in body.items() if key != "defaults"}
    package = "" if package == "_global_" else package
    return Layer(label, frozenset(flat(values, package)))


def override_layer(key: str, label: str) -> Layer:
    """A key that an override sets, with all below it."""
    return Layer(label, frozenset((key, f"{key}=")))


def setter(layers: Sequence[Layer], path: str) -> str:
    """Who set a key: the last layer that has it, or the default."""
    return next((layer.label for layer in reversed(layers) if layer.sets(path)), "default")
