"""Run a configuration: plan, make what is missing, keep a record under `<store>/runs/<name>/`."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipelines.engine import roles
from pipelines.engine.execute import make, owned
from pipelines.engine.files import ReadOnlyError, explained
from pipelines.engine.memory import PeakMemory, worker_memory
from pipelines.engine.stage import Context, Job, Phase, Stage
from pipelines.engine.store import Artifact, load, promised
from pipelines.engine.work import HandedOver
from pipelines.graph import plan as planning
from pipelines.graph import records
from pipelines.graph.checks import notes
from pipelines.graph.plan import Plan
from pipelines.graph.recipe import program
from pipelines.graph.stage_log import StageLog
from pipelines.graph.train_what import train_what, trunk_directory
from pipelines.graph.training import is_held_out
from pipelines.graph.why_new import EarlierRun, earlier_runs, sentence, why_new
from pipelines.stages.train import TrainWhere, checkpoint, train

if TYPE_CHECKING:
    from conf.schema import Config
    from pipelines.engine.runner import Workers


@dataclass
class Outcome:
    """What a run did to one stage."""

    stage: Stage
    artifact: Artifact
    reused: bool
    seconds: float


class Elsewhere(Protocol):
    """Who else may do the work. Each method returns where it leaves the work here, or raises HandedOver."""

    def phase(self, job: Job, phase: Phase) -> None:
        """Take a phase, its pending items alone."""

    def train(self, context: Context, digest: str) -> None:
        """Take a trajectory to its target step."""


@dataclass(frozen=True, slots=True)
class Request:
    """A configuration to be run, the command that asks for it, and its number in a sweep."""

    config: "Config"
    command: str = ""
    cell: int | None = None
    elsewhere: Elsewhere | None = None


@dataclass
class Session:
    """One cell of a run in progress. Cells of a sweep share `outcomes`: what one makes, the others reuse."""

    request: Request
    plan: Plan
    log: StageLog
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    peak_pss_mb: float = 0.0

    @cached_property
    def earlier(self) -> list[EarlierRun]:
        """Finished runs of the store, read when a stage is new."""
        return earlier_runs(self.plan.store.root)

    @property
    def config(self) -> "Config":
        """The cell's configuration."""
        return self.plan.config

    @property
    def name(self) -> str:
        """The run's folder name."""
        return self.plan.run_name(self.request.cell)

    def begin(self) -> None:
        """Write down what is wanted, what is there already too: a run that has it may be given up meanwhile. A store
        that may only be read serves a run that has all of it."""
        plan = self.plan
        whole = plan.graph is not None and all(plan.found(stage) is not None for stage in plan.stages())
        with suppress(ReadOnlyError) if whole else nullcontext():
            records.begin(plan.store.root, self.name, self.request.command, plan.config.what(), plan.folders())

    def outcome(self, stage: Stage) -> Outcome:
        """What became of a stage; a trajectory is asked for by its step as well."""
        found = self.outcomes[self._key(stage)]  # of one name of several, where a finished run's stage is one of ours
        return found if found.stage.name == stage.name else replace(found, stage=stage)

    def done(self) -> list[Outcome]:
        """Outcomes of this cell's stages, in order."""
        return [self.outcome(stage) for stage in self.plan.stages()]

    def has(self, stage: Stage) -> bool:
        """Whether this session or a cell beside it has dealt with a stage."""
        return self._key(stage) in self.outcomes

    def _key(self, stage: Stage) -> str:
        return f"{stage.digest}@{self.config.run.steps}" if stage.kind == "train" else stage.digest

    def workers(self) -> "Workers":
        """How Beam may run."""
        from pipelines.engine.runner import Workers

        site = self.config.site
        elsewhere = self.request.elsewhere
        return Workers(
            site.workers, site.runner, tuple(site.runner_options), None if elsewhere is None else elsewhere.phase
        )

    def where(self, stage: Stage) -> dict[str, Any]:
        """WHERE values that a stage's functions need."""
        site = self.config.site
        return {"memory": site.memory or worker_memory(site.workers), **self._where(stage)}

    def _where(self, stage: Stage) -> dict[str, Any]:
        config = self.config
        site = config.site
        if stage.kind in ("crawl", "extract"):
            hosts = {host.name: host for host in site.hosts.values()}
            source = config.recipe[getattr(stage.what, "input", stage.name)]  # a crawl is its own
            return {"source": source, "hosts": hosts, "politeness": site.politeness}
        if stage.kind in ("train", "evaluate"):
            return {"train": self._train_where()}
        return {}

    def _train_where(self) -> TrainWhere:
        config, site, store = self.config, self.config.site, self.plan.store
        what = train_what(config, store.root)
        watched = [stage for stage in self.plan.stages() if is_held_out(stage)] if site.watch.evaluate_every else []
        return TrainWhere(
            what=what,
            layout=config.layout,
            steps=config.run.steps,
            threads=site.threads,
            checkpoint_every=site.checkpoint_every,
            log_every=site.log_every,
            keep=site.keep,
            verbose=self.log.verbose,
            trunk=trunk_directory(what, store),
            watch=site.watch,
            held_out=self.outcome(watched[0]).artifact if watched else None,
            stride=config.evaluation.stride,
        )

    def context(self, stage: Stage, directory: Path | None = None) -> Context:
        """What a stage's functions are given; its inputs must be done."""
        inputs = {role: self.outcome(source).artifact for role, source in stage.inputs.items()}
        folder = directory or self.plan.store.directory(stage.kind, stage.digest)
        return Context(stage.name, stage.kind, stage.what, folder, inputs, self.where(stage))

    def record(self, stage: Stage, artifact: Artifact, *, reused: bool, seconds: float = 0.0) -> None:
        """Note what became of a stage."""
        self.outcomes[self._key(stage)] = Outcome(stage, artifact, reused, seconds)
        if reused:
            self.log.reused(stage)


def run_plans(
    requests: Sequence[Request], log: StageLog, check: Callable[[list[Session]], None] | None = None
) -> list[Session]:
    """Make whatever the configurations miss, as one graph: a stage that cells share is made once.

    `check` sees the planned cells before any of them is begun, and may refuse them.
    """
    outcomes: dict[str, Outcome] = {}
    sessions: list[Session] = []
    crawled: dict[str, Artifact] = {}  # run.snapshot=new means one new crawl, not one a cell
    with PeakMemory() as memory, _told(sessions):
        plans = [planning.make_plan(each.config, each.cell) for each in requests]  # all, before any work
        for note in dict.fromkeys(note for each in requests for note in notes(each.config)):
            log.say(note)
        for request, plan in zip(requests, plans, strict=True):
            session = Session(request, plan, log, outcomes)
            sessions.append(session)
            if plan.crawls:
                _crawl_all(session, crawled)
        if check is not None:
            check(sessions)
        for session in sessions:
            session.begin()
        try:
            for session in sessions:
                for stage in session.plan.stages():
                    if not session.has(stage):
                        _settle(session, stage, sessions)
        finally:
            log.flush()
    for session in sessions:
        session.peak_pss_mb = memory.peak_mb
    return sessions


@contextmanager
def _told(sessions: Sequence[Session]) -> Iterator[None]:
    """Note in the intents of sessions how they leave their work: handed over, failed or stopped."""
    try:
        yield
    except HandedOver as handed:
        for session in sessions:
            records.hand(session.plan.store.root, session.name, handed.to)
        raise
    except BaseException as error:
        for session in sessions:
            records.fail(session.plan.store.root, session.name, error)
        raise


def _crawl_all(session: Session, crawled: dict[str, Artifact]) -> None:
    """Make the crawls of a plan, but for those that `crawled` has, and plan what follows them."""
    session.begin()
    plan, name = session.plan, session.name
    for crawl in plan.crawls.values():
        if crawl.digest not in crawled:
            crawled[crawl.digest] = _crawl(session, crawl)
    finished = {name: crawled[crawl.digest] for name, crawl in plan.crawls.items()}
    session.plan = planning.with_snapshots(plan, finished)
    if session.name != name:  # that of what follows
        session.begin()
        records.end(plan.store.root, name)


def run_plan(config: "Config", log: StageLog, command: str = "", elsewhere: Elsewhere | None = None) -> Session:
    """Make whatever one configuration misses. Raises what a stage raised, and HandedOver."""
    return run_plans([Request(config, command, elsewhere=elsewhere)], log)[0]


def _settle(session: Session, stage: Stage, cells: list[Session]) -> None:
    """Reuse a stage, or make it."""
    found = session.plan.found(stage)
    if found is not None:
        session.record(stage, found, reused=True)
        return
    group = [stage] if stage.kind != "measure" else _together(session, stage, cells)
    for member in group:
        session.log.begun(member, _why(session, member))
    _make(session, group)


def _why(session: Session, stage: Stage) -> str:
    return sentence(stage, why_new(stage, session.earlier))


def _together(session: Session, stage: Stage, cells: list[Session]) -> list[Stage]:
    """All missing measures of the same edition, in any cell: one pass makes them."""
    edition = stage.inputs[roles.EDITION].digest
    same = {
        other.digest: other
        for cell in cells
        for other in cell.plan.stages()
        if other.kind == "measure" and other.inputs[roles.EDITION].digest == edition
    }
    return [other for other in same.values() if not session.has(other) and session.plan.found(other) is None]


def _make(session: Session, group: list[Stage]) -> None:
    started = time.monotonic()
    if group[0].kind == "train":
        mine = _train(session, group[0])
    else:
        contexts = tuple(session.context(stage) for stage in group)
        mine = make(program(group[0].kind), group, contexts, session.workers(), session.log.say)
    seconds = time.monotonic() - started
    for stage in group:
        found = session.plan.found(stage)
        if found is None:
            directory = session.plan.store.directory(stage.kind, stage.digest)
            raise RuntimeError(f"{stage.name} ended without a result in {directory}")
        # Another process may have made it while this one waited.
        session.record(stage, found, reused=stage.digest not in mine, seconds=seconds)
    new = [stage for stage in group if stage.digest in mine]
    session.log.made(new, seconds, "; ".join(dict.fromkeys(_why(session, stage) for stage in new)))


def _train(session: Session, stage: Stage) -> set[str]:
    """Take the trajectory to its step under its lease; its folder outlives the run, for it grows.

    Returns its digest, or nothing where another process took it there.
    """
    context = session.context(stage)

    def done() -> bool:
        return checkpoint(context.directory, session.config.run.steps) is not None

    with owned(context.directory, done, session.log.say) as mine:
        if mine:
            context.files.create("identity.json", json.dumps(stage.identity, indent=1, sort_keys=True).encode())
            if session.request.elsewhere is not None:
                session.request.elsewhere.train(context, stage.digest)
            with explained(context.directory / "train"):
                train(context, stage.digest)
    return {stage.digest} if mine else set()


def _crawl(session: Session, stage: Stage) -> Artifact:
    """Fetch a new snapshot, or go on with an unfinished one."""
    parent = session.plan.store.directory(stage.kind, stage.digest)
    generations = planning.crawl_generations(parent)
    finished = [path for path in generations if promised("crawl", stage.digest, path) is not None]
    unfinished = [path for path in generations if path not in finished]
    highest = max((int(path.name.removeprefix("crawl-")) for path in generations), default=0)
    directory = unfinished[-1] if unfinished else parent / f"crawl-{highest + 1:04d}"
    why = _why(session, stage)
    session.log.begun(stage, why)
    started = time.monotonic()
    context = session.context(stage, directory)
    from pipelines.stages.crawl import SEGMENTS, served

    if finished:  # what has not changed since is not sent again
        context = replace(context, where={**context.where, "previous": finished[-1] / SEGMENTS})
    with ExitStack() as servers:
        context = served(context, servers)
        mine = make(program("crawl"), [stage], (context,), session.workers(), session.log.say)
    found = load("crawl", stage.digest, directory)
    if found is None:
        raise RuntimeError(f"{stage.name} ended without a result in {directory}")
    session.log.made([stage] if mine else [], time.monotonic() - started, why)
    return found
