"""Kinds of corpus stages: one door for packaged ones and those that plug-ins bring."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from corpus.plugins import Plugin, PluginError, tag_of
from pipelines.engine.stage import Program

if TYPE_CHECKING:
    from pipelines.graph.recipe import Builder, View

GROUP = "siku.stages"
# Folders of a store and kinds of stages outside recipes: no plug-in may write there.
RESERVED = frozenset({"checksums", "crawl", "evaluate", "files", "joined", "runs", "snapshot", "sweeps", "train"})


class Spec(Protocol):
    """What a recipe says of a stage: a frozen configuration dataclass.

    Its fields of type StageName, or lists or mappings of it, name the stages before it, the first the one it continues.
    """

    @property
    def kind(self) -> str:
        """The discriminator, and the folder of a store in which such stages lie."""
        ...


@dataclass(frozen=True, slots=True)
class StageKind:
    """A kind of stage: its configuration, how it is made, and how it stands in a graph.

    `build` is given the builder, the recipe's name for the stage and its `spec`; it adds the stage to the graph
    (`Builder.stage`) and returns what the stages after it see.
    """

    spec: type
    program: Program
    build: Callable[["Builder", str, Any], "View"]


def plugin_kind(plugin: Plugin) -> StageKind:
    """The kind of stage that a plug-in brings. Raises PluginError for one that cannot stand in a store."""
    kind = plugin.value
    if not isinstance(kind, StageKind):
        raise PluginError(f"plug-in {plugin.origin} is no StageKind (pipelines/graph/kinds.py)")
    name = kind.program.kind
    if name != tag_of(kind.spec, "kind"):
        raise PluginError(
            f"plug-in {plugin.origin}: its program is of kind {name!r}, its configuration says "
            f"kind: Literal[{tag_of(kind.spec, 'kind')!r}]: give both one name"
        )
    if name in RESERVED or not name.isidentifier():
        raise PluginError(f"plug-in {plugin.origin}: kind {name!r} is reserved or no identifier: rename it")
    return kind
