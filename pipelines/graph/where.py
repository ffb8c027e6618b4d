"""WHERE a run happens: the store, the workers, names of hosts. None of it is hashed."""

from typing import Annotated, Literal

from pydantic import ByteSize, Field

from corpus.configuration import AbsolutePath, Doc, configuration, form
from corpus.crawling.source import Host, Politeness
from pipelines.engine.memory import SMALLEST_MEMORY
from pretrain.config import Watch


@configuration
class Site:
    """The machine or cluster file system a run uses."""

    store: Annotated[AbsolutePath, Field(validate_default=True), Doc("root folder of results")] = AbsolutePath(".siku")
    workers: Annotated[int, Field(ge=1), Doc("processes a corpus stage may use; small inputs use one")] = 2
    memory: Annotated[
        Annotated[ByteSize, Field(ge=SMALLEST_MEMORY)] | None,
        Doc(
            "bytes a worker process may take to sort and merge, such as 2GB, 128MiB at the least; results are the same "
            "with any; by default 1GiB, or less where half of the machine's memory is less for each worker"
        ),
    ] = None
    runner: Annotated[str, Doc("`local` (Beam's FnApiRunner), or another Beam runner by name")] = "local"
    runner_options: Annotated[list[str], Doc("Beam's own options for that runner")] = Field(default_factory=list)
    threads: Annotated[int, Field(ge=1), Doc("CPU threads of each trainer rank")] = 2
    checkpoint_every: Annotated[int, Field(ge=1), Doc("training steps between checkpoints")] = 100
    keep: Annotated[int, Field(ge=1), Doc("checkpoints kept besides those asked for")] = 2
    log_every: Annotated[int, Field(ge=1), Doc("training steps between log lines")] = 50
    watch: Annotated[Watch, Doc("what is looked at while a model trains")] = Field(default_factory=Watch)
    hosts: Annotated[dict[str, Host], Doc("hosts that DNS does not know, under any name")] = Field(default_factory=dict)
    politeness: Annotated[Politeness, Doc("what the crawler owes to hosts")] = Field(default_factory=Politeness)


@configuration
class Resources:
    """What a job of one sort asks of the scheduler."""

    minutes: Annotated[int, Field(ge=1), Doc("time limit; what is committed or saved by then is kept")] = 60
    cpus: Annotated[int, Field(ge=1), Doc("processors a process")] = 1
    memory: Annotated[str, Doc("of a node, as the scheduler writes it: 8G; empty: the site's default")] = ""
    gpus: Annotated[int, Field(ge=0), Doc("GPUs a node")] = 0
    options: Annotated[dict[str, str], Doc("any other option of sbatch: {constraint: a100}")] = Field(
        default_factory=dict
    )


@configuration
class Cluster:
    """The job scheduler, where there is one."""

    kind: Annotated[
        Literal["none", "shell", "slurm"],
        Doc(
            "none: this machine starts its own processes; shell: large phases and the training become scripts to be "
            "run by hand; slurm: the run is a chain of Slurm jobs"
        ),
    ] = "none"
    partition: Annotated[str, Doc("empty: the site's default; so with the next two")] = ""
    account: Annotated[str, Doc("who pays")] = ""
    qos: Annotated[str, Doc("quality of service")] = ""
    exclude: Annotated[str, Doc("nodes that no job may use, as Slurm lists them: node[3,7-9]")] = ""
    environment: Annotated[list[str], Doc("shell lines that every job begins with: module load, export")] = Field(
        default_factory=list
    )
    requeue: Annotated[
        Literal["scontrol", "chain", "none"],
        Doc(
            "how a job that was stopped goes on: it requeues itself; or, where a site forbids that, the next link of "
            "the chain submits the rest; or not at all"
        ),
    ] = "scontrol"
    attempts: Annotated[int, Field(ge=1), Doc("starts of one job, or of one share, at the most")] = 10
    grace_s: Annotated[int, Field(ge=1), Doc("seconds before its limit at which a job is told to save and end")] = 120
    shares: Annotated[int, Field(ge=1), Doc("shares of a phase at the most: tasks of its job array")] = 64
    array_limit: Annotated[int, Field(ge=1), Doc("tasks of one array; more shares become several arrays")] = 1000
    at_once: Annotated[int, Field(ge=0), Doc("tasks of an array that run at once; 0: as many as there is room for")] = 0
    large: Annotated[ByteSize, Doc("a phase with less input is done by the link of the chain that meets it")] = (
        ByteSize(256 << 20)
    )
    nodes: Annotated[int, Field(ge=1), Doc("nodes of the training; the layout's processes are spread evenly")] = 1
    link: Annotated[Resources, Doc("jobs that plan, do small phases, and seal")] = Field(default_factory=Resources)
    share: Annotated[Resources, Doc("tasks of a phase's array")] = Field(default_factory=Resources)
    training: Annotated[Resources, Doc("the training")] = Field(default_factory=Resources)


@configuration
class Run:
    """How far this run goes and what it is called. Not hashed: a training run grows."""

    name: Annotated[
        str,
        form(r"([\w-][\w.-]*)?", "a folder's name of letters, digits, _, - and dots, with no dot first"),
        Doc("folder under <store>/runs; empty: named after the result's digest"),
    ] = ""
    steps: Annotated[int, Field(ge=0), Doc("training steps; more than are done runs the rest")] = 200
    snapshot: Annotated[Literal["latest", "new"], Doc("`new` crawls again; otherwise the latest finished crawl")] = (
        "latest"
    )
    until: Annotated[str, Doc("stop after this stage of the recipe; empty: go on to bits per byte")] = ""
    repeat: Annotated[bool, Doc("allow a sweep over WHERE keys, which repeats the same result")] = False
