"""What a configuration needs: which stages are there, which are new, and which field makes them new."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.engine.checksum import Checksums
from pipelines.engine.execute import external
from pipelines.engine.files import Posix
from pipelines.engine.identity import NoFileError
from pipelines.engine.stage import Stage
from pipelines.engine.store import Artifact, Store, load
from pipelines.graph.checks import PlanError, check, check_end, check_name, check_store, nearest
from pipelines.graph.finished import reader
from pipelines.graph.quarantined import quarantine_reader
from pipelines.graph.recipe import Builder, Graph, RecipeError, SnapshotWhat, program, sources_of
from pipelines.graph.train_what import train_what
from pipelines.graph.training import is_held_out, with_training
from pipelines.graph.why_new import setting
from pipelines.stages.train import checkpoint

if TYPE_CHECKING:
    from conf.schema import Config


@dataclass(frozen=True)
class Source:
    """Where documents come from: a stage known by content, and the artefact that holds it."""

    stage: Stage
    artifact: Artifact


@dataclass
class Plan:
    """A graph against a store. `graph` is None while crawls have to run before anything after them is known."""

    config: "Config"
    store: Store
    checksums: Checksums
    sources: Mapping[str, Source]  # those whose content is known
    crawls: Mapping[str, Stage]  # those still to be made
    graph: Graph | None

    def found(self, stage: Stage) -> Artifact | None:
        """The finished result of a stage, if the store holds it."""
        source = self.sources.get(stage.name)
        if source is not None and stage is source.stage:
            return source.artifact
        if stage.kind == "train":
            directory, step = self.store.directory(stage.kind, stage.digest), self.config.run.steps
            done = step == 0 or checkpoint(directory, step) is not None
            return external("train", stage.digest, directory, {"step": step}) if done else None
        return self.store.find(stage.kind, stage.digest)

    def run_name(self, cell: int | None = None) -> str:
        """The run's folder name: given, or by what its last stage is."""
        last = self.stages()[-1]
        return given_name(self.config, cell) or f"{last.name}-{last.digest[:12]}"

    def folders(self) -> list[Path]:
        """Where the store keeps the plan's stages; a crawl still to be made with those before it."""
        out = []
        for stage in self.stages():
            source = self.sources.get(stage.name)
            if source is None or source.stage is not stage:
                out.append(self.store.directory(stage.kind, stage.digest))
            elif stage.kind != "files":
                out.append(source.artifact.directory)
        return out

    def stages(self) -> list[Stage]:
        """The graph's stages up to `run.until`, in order."""
        if self.graph is None:
            return [*(source.stage for source in self.sources.values()), *self.crawls.values()]
        return wanted(self.graph, self.config.run.until, watched=self.config.site.watch.evaluate_every > 0)


def given_name(config: "Config", cell: int | None) -> str:
    """The name that the configuration gives a run, with the cell's number in a sweep; empty where it gives none."""
    name = config.run.name
    return name if cell is None or not name else f"{name}-{cell}"


def wanted(graph: Graph, until: str, *, watched: bool = False) -> list[Stage]:
    """The stages that results are wanted of, with all they need, in order; unread measures and keys are not made.

    A training that is `watched` needs the held-out tokens too.
    """
    ends = [until] if until else [n for n, s in graph.stages.items() if s.kind == "evaluate"] or _ends(graph)
    if until and until not in graph.stages:
        ends = [name for name in graph.stages if name.startswith(f"{until}.")]
        if not ends:
            raise RecipeError(f"run.until={until!r}: the recipe has no such stage{nearest(until, graph.stages)}")
    if watched and any(graph.stages[name].kind == "train" for name in ends):
        ends = [*ends, *(stage.name for stage in graph.stages.values() if is_held_out(stage))]
    needed: set[str] = set()
    stack = [graph.stages[name] for name in ends]
    while stack:
        stage = stack.pop()
        if stage.name not in needed:
            needed.add(stage.name)
            stack += stage.inputs.values()
    return [stage for stage in graph.stages.values() if stage.name in needed]


def _ends(graph: Graph) -> list[str]:
    """Stages of a recipe that ends as a corpus: those that no other reads, measures and keys left out.

    Raises RecipeError where two of them judge or edit, for neither tells which documents are the corpus.
    """
    read = {stage.name for each in graph.stages.values() for stage in each.inputs.values()}
    ends = [s for n, s in graph.stages.items() if n not in read and s.makes not in ("measure", "keys")]
    # An edit is not made of the verdicts before it, but stands for what they left.
    behind = {s.name for e in ends if e.name in graph.views for s in graph.views[e.name].roles().values() if s is not e}
    judges = [stage for stage in ends if stage.makes in ("edition", "sides", "verdicts") and stage.name not in behind]
    last = [f"recipe.{stage.name}" for stage in judges]
    if len(last) > 1 and not any(stage.makes == "tokens" for stage in ends):
        raise RecipeError(
            f"{' and '.join(last)} are read by no other stage, and each may be the corpus: let one be the input of the "
            "other, remove one, or name the one that is meant as run.until"
        )
    return [stage.name for stage in ends]


def crawl_generations(directory: Path) -> list[Path]:
    """Crawls of one configuration, oldest first: a crawl is not repeatable, so each is kept by itself."""
    return [directory / name for name in Posix(directory).folders() if name.startswith("crawl-")]


def make_plan(config: "Config", cell: int | None = None) -> Plan:
    """Encode every stage and look each up. Reads no data: content hashes of files are cached. `cell` is the number of a
    sweep's cell.

    Raises PlanError or RecipeError for what cannot be made, or for a name that a run of another WHAT has.
    """
    root = Path(config.site.store)
    check_store(root)
    if config.run.name:
        check_name(root, given_name(config, cell), config.what())
    store, checksums = Store(root), Checksums(root / "checksums")
    sources: dict[str, Source] = {}
    crawls: dict[str, Stage] = {}
    for name, spec in sources_of(config.recipe).items():
        if spec.kind == "crawl":
            crawl = Stage(name, "crawl", program("crawl").version, spec, {}, program("crawl").libraries, checksums)
            finished = latest_snapshot(store, crawl) if config.run.snapshot == "latest" else None
            if finished is None:
                crawls[name] = crawl
            else:
                sources[name] = snapshot_source(name, finished, checksums)
        else:
            files = Stage(name, "files", 1, spec, {}, (), checksums)
            try:
                folder = Path(spec.path.resolve())
            except FileNotFoundError as error:
                raise PlanError(f"recipe.{name}.path: {error}") from None
            size = checksums.size(spec.path)
            sources[name] = Source(files, external("files", files.digest, folder, {"bytes": size}))
    plan = _planned(config, store, checksums, sources, crawls)
    if config.run.name and plan.graph is not None:
        check_end(root, given_name(config, cell), {stage.name for stage in plan.stages()})
    return plan


def _planned(
    config: "Config", store: Store, checksums: Checksums, sources: Mapping[str, Source], crawls: Mapping[str, Stage]
) -> Plan:
    stages = {name: source.stage for name, source in sources.items()}
    # A recipe is checked before a crawl begins, with the crawl in its snapshot's place.
    graph = _graph(config, store.root, checksums, {**stages, **crawls})
    plan = Plan(config, store, checksums, sources, crawls, None if crawls else graph)
    asked = plan.stages() if plan.graph else wanted(graph, config.run.until)
    for stage in asked:
        _check_files(stage)
    check(config, asked, plan.found)
    return plan


def _check_files(stage: Stage) -> None:
    """Raise PlanError for a file that a stage names and that is not there."""
    try:
        _ = stage.identity  # encoded once, and kept
    except NoFileError as error:
        raise PlanError(f"{setting(stage, error.path)}: {error.message}") from None


def latest_snapshot(store: Store, crawl: Stage) -> Artifact | None:
    """The newest finished crawl of this configuration."""
    for directory in reversed(crawl_generations(store.directory(crawl.kind, crawl.digest))):
        found = load("crawl", crawl.digest, directory)
        if found is not None:
            return found
    return None


def snapshot_source(name: str, finished: Artifact, checksums: Checksums) -> Source:
    """Downstream identity starts at the content of the snapshot, not at the crawl that made it."""
    what = SnapshotWhat(digest=finished.figures["snapshot_digest"])
    return Source(Stage(name, "snapshot", 1, what, {}, (), checksums), finished)


def with_snapshots(plan: Plan, finished: Mapping[str, Artifact]) -> Plan:
    """The same plan once its crawls are done: snapshots by the names of their sources."""
    made = {name: snapshot_source(name, artifact, plan.checksums) for name, artifact in finished.items()}
    return _planned(plan.config, plan.store, plan.checksums, {**plan.sources, **made}, {})


def _graph(config: "Config", root: Path, checksums: Checksums, sources: Mapping[str, Stage]) -> Graph:
    graph = Builder(config.recipe, checksums, sources, reader(root), quarantine_reader(root)).build()
    return with_training(graph, train_what(config, root), config.evaluation, config.run.steps, checksums)
