"""How the corpus is made at any scale; and Siku from Python: `from pipelines import open_run, plan, run`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.door import FinishedRun, open_run, plan, plan_sweep, run, runs, sweep

PART_OF = "siku"  # another distribution's `pipelines` in this place does not say so

__all__ = ["FinishedRun", "open_run", "plan", "plan_sweep", "run", "runs", "sweep"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """The door, opened when it is first asked for: a worker that imports `pipelines.engine` pays nothing for it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("pipelines.door"), name)
