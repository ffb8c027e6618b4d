"""A run as a chain of jobs. A link is the run's own command in a job of its own: it plans, does what is small, seals.

Where it meets a large phase or the training, it writes the job's script, submits it, submits the next link to come
after it, and ends. So the length of the chain need not be known, no process waits, and a link that is started again, by
whomever, goes on from what is committed. The intent of the run stands for the chain; leases are held by links while
they list and seal, never by shares.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.engine.files import Posix
from pipelines.engine.stage import Context, Job, Phase
from pipelines.engine.work import HandedOver, PhasePlan
from pipelines.graph import records
from pipelines.graph.plan import make_plan
from pipelines.graph.run import Elsewhere
from pipelines.launch import slurm
from pipelines.launch.script import AFTER, ATTEMPTS, CANCELLED, CHAIN, STOPPED, Script, link, shares, text, training
from pipelines.launch.share import LaunchError
from pipelines.stages.train import command_of, train_job

if TYPE_CHECKING:
    from conf.schema import Config
    from pipelines.graph.where import Resources

FOLDER, JOBS = "launch", "jobs"


@dataclass(frozen=True, slots=True)
class Submitted:
    """A script that was handed over, and as which jobs."""

    script: str
    jobs: tuple[str, ...]
    tasks: int
    when: float
    plan: str = ""  # of a phase

    @property
    def label(self) -> str:
        """What it does, whichever time."""
        return self.script.partition("-")[2]


def submissions(folder: Path) -> list[Submitted]:
    """What a chain has submitted, in order."""
    bodies = [json.loads(files.read(each.key)) for files in (Posix(folder),) for each in files.list(f"{JOBS}/")]
    return sorted((Submitted(**{**body, "jobs": tuple(body["jobs"])}) for body in bodies), key=lambda one: one.when)


def attempts(folder: Path, script: str = "") -> list[Mapping[str, Any]]:
    """Every start of a job or a share, of one script or of all, in order of script, share and attempt."""
    files = Posix(folder)
    keys = [each.key for each in files.list(f"{ATTEMPTS}/") if not each.key.endswith(".tmp")]
    found = [json.loads(files.read(key)) for key in keys]
    wanted = [each for each in found if script in ("", each["script"])]
    return sorted(wanted, key=lambda each: (each["script"], each["index"], each["attempt"]))


def elsewhere(config: "Config", command: Sequence[str]) -> Elsewhere | None:
    """Who does the large work of a run; None for this machine. Raises HandedOver where all of it goes to jobs."""
    here = os.environ.get(CHAIN)
    within = bool(here) and "SLURM_JOB_ID" in os.environ
    if config.cluster.kind == "none" or (config.cluster.kind == "slurm" and here and not within):
        return None  # the second: a link's script, run by bash
    if within and here:
        chain = Chain(config, tuple(command), Path(here))
        chain.check(os.environ.get(AFTER, ""))
        return chain
    plan = make_plan(config)
    if plan.graph is not None and all(plan.found(stage) is not None for stage in plan.stages()):
        return None  # nothing to do
    name, root = plan.run_name(), plan.store.root
    chain = Chain(config, tuple(command), root / "runs" / name / FOLDER)
    if config.cluster.kind == "slurm":
        records.begin(root, name, " ".join(command), config.what(), plan.folders())
        try:
            chain.begin()
        except HandedOver as handed:
            records.hand(root, name, handed.to)
            raise
    return chain


def refuse_cluster(config: "Config") -> None:
    """Raise LaunchError for a sweep that would be handed over."""
    if config.cluster.kind != "none":
        raise LaunchError(
            f"cluster.kind={config.cluster.kind!r}: the cells of a sweep are made on one machine: set cluster=none, or "
            "run each cell by itself"
        )


@dataclass(frozen=True)
class Chain:
    """The jobs of one run, in a folder of their own: scripts, what was submitted, attempts, logs."""

    config: "Config"
    command: tuple[str, ...]
    folder: Path

    def begin(self) -> None:
        """Submit the first link, unless the chain is under way. Raises HandedOver."""
        earlier = [job for each in submissions(self.folder) for job in each.jobs]
        queued = slurm.queue(set(earlier))
        slurm.cancel(sorted({each.job for each in queued if each.barred}))
        Posix(self.folder).delete(CANCELLED)
        live = sorted({each.job for each in queued if not each.barred}, key=int)
        raise HandedOver(_told(live or [self._link(self.command)]), "the run")

    def check(self, after: str) -> None:
        """Raise LaunchError if the script that a link comes after failed; if it was stopped, the rest is pending."""
        latest = {each["index"]: each for each in attempts(self.folder, after)} if after else {}
        for index, each in latest.items():
            if each["status"] not in (None, 0, *STOPPED):
                raise LaunchError(
                    f"{after}, share {index}, ended with status {each['status']}; its log is in {self.folder}"
                )

    def phase(self, job: Job, phase: Phase) -> None:
        """Take a phase whose input is large, or an evaluation that needs a device. Raises HandedOver."""
        cluster, kind = self.config.cluster, job[0].kind
        device = kind == "evaluate" and self.config.layout.device != "cpu"
        if kind == "crawl" or not (device or sum(item.bytes for item in phase.items) > cluster.large):
            return  # the web is asked from one place
        plan, tasks = PhasePlan(job, phase).save(), min(cluster.shares, len(phase.items))
        asked = cluster.training if device else cluster.share
        stage = job[0].name if len(job) == 1 else job[0].name.partition(".")[0]
        script = self._script(f"{stage}.{phase.name}", shares(plan, tasks), asked, tasks=tasks)
        self._hand_over(script, f"{stage} {phase.name}", str(plan))

    def train(self, context: Context, digest: str) -> None:
        """Take the training. Raises HandedOver, and LaunchError for a layout that does not fill the nodes."""
        cluster, world = self.config.cluster, self.config.layout.world
        if world % cluster.nodes:
            raise LaunchError(
                f"cluster.nodes={cluster.nodes}: the layout's {world} processes do not spread evenly: change either"
            )
        command = command_of("pretrain.train", train_job(context, digest), context.directory / "job.json")
        body, ranks = training(command), world // cluster.nodes
        script = self._script(context.name, body, cluster.training, nodes=cluster.nodes, ranks=ranks)
        self._hand_over(script, context.name)

    def _script(
        self, label: str, body: str, resources: "Resources", *, tasks: int = 0, nodes: int = 1, ranks: int = 1
    ) -> Script:
        files = Posix(self.folder)
        number = sum(each.key.endswith(".sh") for each in files.list()) + 1
        script = Script(f"{number:02d}-{label}", body, resources, tasks, nodes, ranks)
        written = text(script, self.config.cluster, self.folder, self.folder.parent.name)
        files.put(self._path(script).name, written.encode())
        return script

    def _path(self, script: Script) -> Path:
        return self.folder / f"{script.name}.sh"

    def _hand_over(self, script: Script, what: str, plan: str = "") -> None:
        cluster = self.config.cluster
        if cluster.kind == "shell":
            raise HandedOver(f"a shell: run `bash {self._path(script)}`, then this command again", what)
        before = [each for each in submissions(self.folder) if each.label == script.label]
        if cluster.requeue == "chain" and len(before) >= cluster.attempts:
            raise LaunchError(
                f"{script.label} was submitted {len(before)} times, as often as cluster.attempts={cluster.attempts} "
                f"allows; logs are in {self.folder}"
            )
        jobs = self._submit(script, plan=plan)
        again = ["run.snapshot=latest"] if self.config.run.snapshot == "new" else []
        raise HandedOver(_told([*jobs, self._link([*self.command, *again], jobs, script.name)]), what)

    def _link(self, command: Sequence[str], after: Sequence[str] = (), script: str = "") -> str:
        return self._submit(self._script("run", link(command, script), self.config.cluster.link), after)[0]

    def _submit(self, script: Script, after: Sequence[str] = (), plan: str = "") -> tuple[str, ...]:
        """Submit a script, an array's tasks in as many arrays as the site's limit asks for."""
        cluster, path = self.config.cluster, self._path(script)
        how = "afterany" if cluster.requeue == "chain" else "afterok"
        if script.tasks:
            limit, at_once = cluster.array_limit, f"%{cluster.at_once}" if cluster.at_once else ""
            chunks = [(first, min(limit, script.tasks - first)) for first in range(0, script.tasks, limit)]
            jobs = tuple(
                slurm.submit(path, array=f"0-{size - 1}{at_once}", after=after, how=how, first=first)
                for first, size in chunks
            )
        else:
            jobs = (slurm.submit(path, after=after, how=how),)
        body = json.dumps(asdict(Submitted(script.name, jobs, script.tasks, time.time(), plan)))
        Posix(self.folder).put(f"{JOBS}/{script.name}.json", body.encode())
        return jobs


def _told(jobs: Sequence[str]) -> str:
    return f"Slurm job{'s' if len(jobs) > 1 else ''} {', '.join(jobs)} (`siku status`, `siku cancel`)"
