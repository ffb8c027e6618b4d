"""A graph of stages, and what each of a recipe's names stands for in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from corpus.usage import UsageError
from pipelines.engine import roles
from pipelines.engine.roles import Role
from pipelines.engine.stage import Stage


class RecipeError(UsageError):
    """A recipe whose stages do not fit together: names the stage, what it needs and the way out."""


@dataclass(frozen=True)
class View:
    """What a stage sees through its input: the edition, its measures and keys, the split, the verdicts so far."""

    source: Stage | None = None
    edition: Stage | None = None
    measures: Mapping[str, Stage] = field(default_factory=dict)
    keys: Mapping[str, Stage] = field(default_factory=dict)
    union: Stage | None = None  # tells who is in until there is a split
    split: Stage | None = None
    verdicts: tuple[Stage, ...] = ()
    tokenizer: Stage | None = None

    def __post_init__(self) -> None:
        """Refuse a stage that does not make what it stands for: readers of a finished run go by what it makes."""
        places = {"edition": [self.edition], "measure": self.measures.values(), "keys": self.keys.values()}
        for makes, stages in {**places, "sides": [self.split], "verdicts": self.verdicts}.items():
            for stage in stages:
                if stage is not None and stage.makes != makes:
                    raise RecipeError(
                        f"recipe.{stage.name} stands for {makes}, but the program of kind={stage.kind} makes "
                        f"{stage.makes or 'nothing'}: declare it with makes={makes!r}"
                    )

    def roles(self) -> dict[Role, Stage]:
        """Edition, split and verdicts as inputs by role."""
        return roles.chain(self.edition, self.split or self.union, self.verdicts)


@dataclass
class Graph:
    """Stages in an order in which each follows its inputs; `views` by the recipe's names."""

    stages: dict[str, Stage] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)

    def add(self, stage: Stage) -> Stage:
        """Put a stage after its inputs."""
        self.stages[stage.name] = stage
        return stage
