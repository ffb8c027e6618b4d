"""WHERE a run happens: the store, the workers, names of hosts. None of it is hashed."""

from typing import Annotated, Literal

from pydantic import ByteSize, Field

from corpus.configuration import AbsolutePath, Doc, configuration
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
class Cluster:
    """The job scheduler, where there is one."""

    kind: Annotated[Literal["none"], Doc("none: this machine starts its own processes")] = "none"


@configuration
class Run:
    """How far this run goes and what it is called. Not hashed: a training run grows."""

    name: Annotated[
        str,
        Field(pattern=r"^([\w-][\w.-]*)?$"),
        Doc("folder under <store>/runs; empty: named after the result's digest"),
    ] = ""
    steps: Annotated[int, Field(ge=0), Doc("training steps; more than are done runs the rest")] = 200
    snapshot: Annotated[Literal["latest", "new"], Doc("`new` crawls again; otherwise the latest finished crawl")] = (
        "latest"
    )
    until: Annotated[str, Doc("stop after this stage of the recipe; empty: go on to bits per byte")] = ""
    repeat: Annotated[bool, Doc("allow a sweep over WHERE keys, which repeats the same result")] = False
