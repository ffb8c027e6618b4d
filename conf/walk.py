"""Walks over the types of the schema: names of fields, and how members of unions are told apart."""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.fields import FieldInfo

from corpus.plugins import family_of


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
