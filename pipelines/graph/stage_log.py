"""What a run says of its stages: a line for each that is made, and one for all that were reused before it."""

from collections.abc import Sequence

from pipelines.engine.execute import Say
from pipelines.engine.stage import Stage
from pipelines.graph.why_new import FIRST_TIME


class StageLog:
    """Says what becomes of stages; where `verbose`, of each by itself, and why before it is made."""

    def __init__(self, say: Say, *, verbose: bool = False) -> None:
        self.say, self.verbose = say, verbose
        self._reused: list[str] = []
        self._made: set[str] = set()

    def reused(self, stage: Stage) -> None:
        """A stage that the store holds. Nothing is said of the user's own files, nor of a snapshot just crawled."""
        if stage.kind == "files" or (stage.kind == "snapshot" and stage.name in self._made):
            return
        if self.verbose:
            self.say(_line(stage.name, stage.digest, "reused"))
        else:
            self._reused.append(stage.name)

    def begun(self, stage: Stage, why: str) -> None:
        """A stage that is about to be made."""
        self.flush()
        if self.verbose:
            self.say(_line(stage.name, stage.digest, f"to do: {why}"))

    def made(self, stages: Sequence[Stage], seconds: float, why: str) -> None:
        """Stages made in one pass."""
        state = f"new in {seconds:.1f} s"
        self._made |= {stage.name for stage in stages}
        if self.verbose:
            for stage in stages:
                self.say(_line(stage.name, stage.digest, state))
        elif stages:
            state += "" if why == FIRST_TIME else f": {why}"
            one, several = stages[0], len(stages) > 1
            name = one.name.partition(".")[0] if several else one.name
            self.say(_line(name, f"{len(stages)} measures" if several else one.digest, state))

    def flush(self) -> None:
        """Say which stages were reused since the last line."""
        if self._reused:
            self.say(f"{'reused':<22} {', '.join(_each(self._reused))}")
        self._reused.clear()


def _line(name: str, digest: str, state: str) -> str:
    return f"{name:<22} {digest[:12]:<12}  {state}"


def _each(names: Sequence[str]) -> list[str]:
    """Names of stages, those of one name (measures, keys, cells of a sweep) as one."""
    groups: dict[str, int] = {}
    for name in names:
        group = name.partition(".")[0]
        groups[group] = groups.get(group, 0) + 1
    return [group if count == 1 else f"{group} ({count} stages)" for group, count in groups.items()]
