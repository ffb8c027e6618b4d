"""Walks over the types of the schema: names of fields, and how members of unions are told apart."""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from corpus.plugins import family_of, tag_of


@dataclass(frozen=True, slots=True)
class Declared:
    """What the schema has at a place: of a union the `tag` and the kinds that its members are told apart by, of a
    dataclass its fields."""

    path: str
    tag: str = ""
    kinds: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()


def declared(root: Any, location: Sequence[int | str]) -> Declared:  # noqa: ANN401
    """What stands at the location of a pydantic error, among whose parts are the kinds of unions."""
    hint, names = root, []
    for part in location:
        if members := _members(hint):
            hint = members.get(str(part))
            continue
        names.append(str(part))
        hint = _bare(hint)
        if _is_schema(hint):
            hint = typing.get_type_hints(hint, include_extras=True).get(str(part))
        else:
            hint = next(iter(typing.get_args(hint)[-1:]), None)
    path, members = ".".join(names), _members(hint)
    if members:
        return Declared(path, next(iter(discriminators(hint)), ""), tuple(members))
    hint = _bare(hint)
    return Declared(path, fields=tuple(each.name for each in dataclasses.fields(hint)) if _is_schema(hint) else ())


def _is_schema(hint: Any) -> bool:  # noqa: ANN401
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


def _bare(hint: Any) -> Any:  # noqa: ANN401
    """A type without annotations and without None."""
    while typing.get_origin(hint) in (typing.Annotated, typing.Union, types.UnionType):
        hint = next(each for each in typing.get_args(hint) if each is not type(None))
    return hint


def _members(hint: Any) -> dict[str, Any]:  # noqa: ANN401
    """Members of a union by their tags; none of what is no union with a discriminator."""
    if (family := family_of(hint)) is not None:
        return dict(family.members)
    tags = [each.discriminator for each in getattr(hint, "__metadata__", ()) if isinstance(each, FieldInfo)]
    if not (tag := next((each for each in tags if isinstance(each, str)), "")):
        return {}
    return {tag_of(member, tag): member for member in typing.get_args(typing.get_args(hint)[0])}


def fields(kind: Any, prefix: str = "") -> Iterator[str]:  # noqa: ANN401
    """Dotted names of a configuration dataclass's fields; mapping members show as `<name>`."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        name = f"{prefix}{field.name}"
        yield name
        yield from _inner(hints[field.name], name)


def _inner(hint: Any, name: str) -> Iterator[str]:  # noqa: ANN401
    if dataclasses.is_dataclass(hint):
        yield from fields(hint, f"{name}.")
        return
    if typing.get_origin(hint) is typing.Annotated:
        family = family_of(hint)
        for member in family.members.values() if family else typing.get_args(hint)[:1]:
            yield from _inner(member, name)
        return
    arguments = typing.get_args(hint)
    mapping = typing.get_origin(hint) in (dict, Mapping)
    for argument in arguments[1:] if mapping else arguments:
        yield from _inner(argument, f"{name}.<name>" if mapping else name)


def discriminators(hint: Any) -> Iterator[str]:  # noqa: ANN401
    """Every union's discriminator within a type."""
    for item in getattr(hint, "__metadata__", ()):
        if isinstance(item, FieldInfo) and isinstance(item.discriminator, str):
            yield item.discriminator
    if (family := family_of(hint)) is not None:
        yield family.tag
        for member in family.members.values():
            yield from discriminators(member)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        for inner in typing.get_type_hints(hint, include_extras=True).values():
            yield from discriminators(inner)
    for argument in typing.get_args(hint):
        yield from discriminators(argument)
