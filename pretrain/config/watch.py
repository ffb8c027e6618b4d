"""What is looked at while a model trains: WHERE, for nothing of it reaches the weights. No torch here."""

import importlib.util
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge
from pydantic import Field, StringConstraints, model_validator

from corpus.configuration import Doc, configuration

SinkName = Literal["tensorboard", "wandb", "mlflow"]  # each the module that it needs


class WatchError(ValueError):
    """Something to be watched with that is not there: names the field, the value and the way out."""


@configuration
class Watch:
    """Figures on the way: to the log and `metrics.jsonl` always, elsewhere where asked for."""

    version: ClassVar[int] = 1
    evaluate_every: Annotated[
        int, Ge(0), Doc("training steps between bits per byte of held-out documents; 0: none")
    ] = 0
    documents: Annotated[
        int, Ge(1), Doc("held-out documents of each component that are scored on the way: those of the smallest ids")
    ] = 256
    sinks: Annotated[list[SinkName], Doc("where figures go besides; W&B stays offline unless WANDB_MODE says more")] = (
        Field(default_factory=list)
    )
    profile: Annotated[
        str,
        StringConstraints(pattern=r"^(\d+-\d+)?$"),
        Doc("steps first-last that torch's profiler traces, a file each rank in the run's folder; empty: none"),
    ] = ""

    @model_validator(mode="after")
    def _ordered(self) -> "Watch":
        if self.profile and not 1 <= self.profiled()[0] <= self.profiled()[1]:
            raise ValueError(f"profile={self.profile}: give the first step, 1 or more, and a last one not before it")
        return self

    def profiled(self) -> tuple[int, int]:
        """The first and last step of the trace; (0, 0) for none."""
        first, _, last = (self.profile or "0-0").partition("-")
        return int(first), int(last)


def check_watch(watch: Watch) -> None:
    """Raise WatchError for a sink whose package is not installed."""
    for name in watch.sinks:
        if importlib.util.find_spec(name) is None:
            raise WatchError(
                f"site.watch.sinks={list(watch.sinks)}: {name} is not installed: pip install {name}, or leave it out"
            )
