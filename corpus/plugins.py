"""Families of configuration dataclasses that other distributions add members to, by entry point.

A plug-in's module is imported when a configuration is first read: it imports what is heavy within its functions.
"""

import dataclasses
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import metadata
from typing import Annotated, Any, Literal, Union

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema

from corpus.usage import UsageError

GROUPS = ("siku.sources", "siku.edits", "siku.measures", "siku.keys", "siku.rules", "siku.stages")
HEAVY = ("torch", "megatron", "apache_beam", "numba")  # help, config, plan and a warm run do without them


class PluginError(UsageError):
    """A plug-in that cannot be used: names its distribution and the way out."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """What an entry point stands for, and who brings it."""

    value: object
    origin: str

    @property
    def member(self) -> object:
        """The configuration dataclass: the value itself, or the `spec` of a stage's kind."""
        return self.value if isinstance(self.value, type) else getattr(self.value, "spec", None)


@cache
def plugins(group: str) -> tuple[Plugin, ...]:
    """What installed distributions add to a group, in order of distribution and name. Raises PluginError."""
    points = sorted(_entry_points().select(group=group), key=lambda point: (_distribution(point), point.name))
    return tuple(Plugin(_loaded(point), _origin(point)) for point in points)


@cache
def _entry_points() -> "metadata.SelectableGroups":
    """Of all installed distributions, whose folders are looked through once."""
    return metadata.entry_points()


def _distribution(point: metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unnamed distribution"


def _origin(point: metadata.EntryPoint) -> str:
    return f"{_distribution(point)} ({point.group}: {point.name} = {point.value})"


def _loaded(point: metadata.EntryPoint) -> object:
    before = {name for name in HEAVY if name in sys.modules}
    try:
        value = point.load()
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise PluginError(f"plug-in {_origin(point)} cannot be loaded: {told}. Mend it, or uninstall it") from error
    if heavy := [name for name in HEAVY if name in sys.modules and name not in before]:
        raise PluginError(
            f"plug-in {_origin(point)} imports {', '.join(heavy)} as it is loaded, which every command would wait for: "
            "import it within the functions that use it"
        )
    return value


@dataclass(frozen=True, eq=False)
class Family:
    """A union told apart by the field `tag`: the packaged members, and those of `groups` of entry points.

    Stands in an annotation, `Annotated[Rule, Family(...)]`; its members are looked up when a configuration is first
    read, so that a plug-in may import any module of ours.
    """

    tag: str
    packaged: tuple[type, ...]
    groups: Mapping[str, type]  # entry-point group -> what its members must offer

    @cached_property
    def members(self) -> dict[str, type]:
        """Members by their value of the tag. Raises PluginError for what is none, or clashes with another."""
        out = {tag_of(each, self.tag): each for each in self.packaged}
        owners = dict.fromkeys(out, "siku itself")
        for group, wanted in self.groups.items():
            for plugin in plugins(group):
                member = _checked(plugin, self.tag, wanted)
                name = tag_of(member, self.tag)
                if name in out:
                    raise PluginError(
                        f"plug-in {plugin.origin} and {owners[name]} both bring {self.tag}: {name}: rename one of "
                        "them, or uninstall one"
                    )
                out[name], owners[name] = member, plugin.origin
        return out

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        union: Any = Union[tuple(self.members.values())]  # noqa: UP007 - of members known only now
        return handler.generate_schema(Annotated[union, Field(discriminator=self.tag)])


def tag_of(member: type, tag: str) -> str:
    """A member's one value of the tag, or nothing."""
    field = getattr(member, "__pydantic_fields__", {}).get(tag)
    values = typing.get_args(field.annotation) if field and typing.get_origin(field.annotation) is Literal else ()
    return values[0] if len(values) == 1 and isinstance(values[0], str) else ""


def _checked(plugin: Plugin, tag: str, wanted: type) -> type:
    member = plugin.member
    if not (isinstance(member, type) and dataclasses.is_dataclass(member) and tag_of(member, tag)):
        raise PluginError(
            f"plug-in {plugin.origin} is no class declared with @configuration (corpus/configuration.py) with a field "
            f"such as {tag}: Literal['mine'] = 'mine'"
        )
    needed = sorted(name for name in {*vars(wanted), *wanted.__annotations__} if not name.startswith("_"))
    if missing := [name for name in needed if not hasattr(member, name)]:
        raise PluginError(
            f"plug-in {plugin.origin} has no {', '.join(missing)}: what it must offer is {wanted.__qualname__} in "
            f"{wanted.__module__}"
        )
    return member


def family_of(hint: Any) -> Family | None:  # noqa: ANN401
    """The family that an annotation names."""
    return next((each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Family)), None)
