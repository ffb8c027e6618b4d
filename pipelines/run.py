"""Run a configuration: plan, make what is missing, keep a record under `<store>/runs/<name>/`."""

import json
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines import plan as planning
from pipelines.execute import Say, external, make, owned
from pipelines.identity import Json
from pipelines.plan import Known, Plan
from pipelines.recipe import program, source_of
from pipelines.stage import Context, Stage
from pipelines.store import Artifact, write_durably
from pipelines.train import TrainWhat, TrainWhere, checkpoint, train

if TYPE_CHECKING:
    from conf.schema import Config
    from pipelines.runner import Workers


@dataclass
class Outcome:
    """What a run did to one stage."""

    stage: Stage
    artifact: Artifact
    reused: bool
    seconds: float


@dataclass
class Session:
    """One run in progress."""

    plan: Plan
    say: Say
    earlier: list[Known]
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def config(self) -> "Config":
        """The run's configuration."""
        return self.plan.config

    def workers(self) -> "Workers":
        """How Beam may run."""
        from pipelines.runner import Workers

        site = self.config.site
        return Workers(site.workers, site.runner, tuple(site.runner_options))

    def where(self, stage: Stage) -> dict[str, Any]:
        """WHERE values that a stage's functions need."""
        config = self.config
        if stage.kind in ("crawl", "extract"):
            hosts = {host.name: host for host in config.site.hosts.values()}
            return {
                "source": source_of(config.recipe)[1],
                "hosts": hosts,
                "politeness": config.site.politeness,
            }
        if stage.kind in ("train", "evaluate"):
            what = TrainWhat(model=config.model, train=config.train, precision=config.precision, mixture=config.mixture)
            site = config.site
            steps = config.run.steps
            where = TrainWhere(
                what, config.layout, steps, site.threads, site.checkpoint_every, site.log_every, site.keep
            )
            return {"train": where}
        return {}

    def context(self, stage: Stage, directory: Path | None = None) -> Context:
        """What a stage's functions are given; its inputs must be done."""
        inputs = {role: self.outcomes[source.name].artifact for role, source in stage.inputs.items()}
        folder = directory or self.plan.store.directory(stage)
        return Context(stage.name, stage.kind, stage.what, folder, inputs, self.where(stage))

    def record(self, stage: Stage, artifact: Artifact, *, reused: bool, seconds: float = 0.0) -> None:
        """Note what became of a stage."""
        self.outcomes[stage.name] = Outcome(stage, artifact, reused, seconds)
        if stage.kind in ("files", "snapshot"):
            return
        what = "reused" if reused else f"new in {seconds:.1f} s"
        self.say(f"{stage.name:<22} {stage.digest[:12]}  {what}")


def run_plan(config: "Config", say: Say) -> Session:
    """Make whatever the configuration misses. Raises what a stage raised."""
    plan = planning.make_plan(config)
    session = Session(plan, say, planning.earlier_runs(plan.store.root))
    if plan.graph is None and plan.crawl is not None:
        session.plan = plan = planning.with_snapshot(plan, _crawl(session, plan.crawl))
    elif plan.crawl is not None and plan.source is not None:
        say(
            f"{plan.crawl.name:<22} {plan.source.stage.digest[:12]}  reused (snapshot {plan.source.artifact.directory.name})"
        )
    stages = plan.stages()
    for stage in stages:
        if stage.name in session.outcomes:
            continue
        found = plan.found(stage)
        if found is not None:
            session.record(stage, found, reused=True)
            continue
        group = [stage] if stage.kind != "measure" else _together(session, stage, stages)
        for member in group:
            say(f"{member.name:<22} {member.digest[:12]}  to do: {planning.why_new(member, session.earlier)}")
        _make(session, group)
    return session


def _together(session: Session, stage: Stage, stages: list[Stage]) -> list[Stage]:
    """All missing measures of the same edition: one pass makes them."""
    edition = stage.inputs["edition"].digest
    same = [s for s in stages if s.kind == "measure" and s.inputs["edition"].digest == edition]
    return [s for s in same if session.plan.found(s) is None]


def _make(session: Session, group: list[Stage]) -> None:
    started = time.monotonic()
    if group[0].kind == "train":
        _train(session, group[0])
    else:
        contexts = tuple(session.context(stage) for stage in group)
        made = program(group[0].kind)
        workers = session.workers() if made.beam else None
        make(made, group, contexts, workers, session.say)
    seconds = time.monotonic() - started
    for stage in group:
        found = session.plan.found(stage)
        if found is None:
            raise RuntimeError(f"{stage.name} ended without a result in {session.plan.store.directory(stage)}")
        session.record(stage, found, reused=False, seconds=seconds)


def _train(session: Session, stage: Stage) -> None:
    """Take the trajectory to its step under its lease; its folder outlives the run, for it grows."""
    context = session.context(stage)

    def done() -> bool:
        return checkpoint(context.directory, session.config.run.steps) is not None

    with owned(context.directory, done, session.say) as mine:
        if mine:
            identity = context.directory / "identity.json"
            if not identity.exists():
                write_durably(identity, json.dumps(stage.identity, indent=1, sort_keys=True))
            train(context, stage.digest)


def _crawl(session: Session, stage: Stage) -> Artifact:
    """Fetch a new snapshot, or go on with an unfinished one."""
    parent = session.plan.store.directory(stage)
    parent.mkdir(parents=True, exist_ok=True)
    generations = planning.crawl_generations(parent)
    unfinished = [path for path in generations if not (path / "manifest.json").exists()]
    directory = unfinished[-1] if unfinished else parent / f"crawl-{len(generations) + 1:04d}"
    session.say(f"{stage.name:<22} {stage.digest[:12]}  to do: {planning.why_new(stage, session.earlier)}")
    started = time.monotonic()
    context = session.context(stage, directory)
    from pipelines.crawl import served

    with ExitStack() as servers:
        context = served(context, servers)
        make(program("crawl"), [stage], (context,), session.workers(), session.say)
    found = planning.load("crawl", stage.digest, directory)
    if found is None:
        raise RuntimeError(f"{stage.name} ended without a result in {directory}")
    session.say(f"{stage.name:<22} {stage.digest[:12]}  new in {time.monotonic() - started:.1f} s")
    return found


def run_name(session: Session) -> str:
    """The run's folder name: given, or by what its last stage is."""
    last = list(session.outcomes.values())[-1]
    return session.config.run.name or f"{last.stage.name}-{last.stage.digest[:12]}"


def run_record(session: Session, command: Sequence[str], config: Json) -> dict[str, Any]:
    """What run.json holds: configuration, stages with identity and outcome, the exact command."""
    stages = []
    for outcome in session.outcomes.values():
        stages.append(
            {
                "name": outcome.stage.name,
                "kind": outcome.stage.kind,
                "digest": outcome.stage.digest,
                "directory": str(outcome.artifact.directory),
                "reused": outcome.reused,
                "seconds": round(outcome.seconds, 3),
                "identity": outcome.stage.identity,
                "inputs": {role: source.name for role, source in outcome.stage.inputs.items()},
            }
        )
    return {
        "command": shlex.join(command),
        "finished": time.time(),
        "steps": session.config.run.steps,
        "config": config,
        "stages": stages,
        "python": sys.version.split()[0],
    }


__all__ = ["Outcome", "Session", "external", "run_name", "run_plan", "run_record"]
