"""Small programs for the tests of store, lease and runner: importable, as worker processes need them.

`python -c "from tests.pipelines.programs import main; main(ROOT, MODE)"` makes one stage and prints its content
hash.
"""

import hashlib
import os
import select
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.verdict import Tally, count_ids
from pipelines.engine.execute import make
from pipelines.engine.runner import Workers
from pipelines.engine.shuffle import Rows, Shuffle, bucket_of
from pipelines.engine.stage import Context, Item, Job, Phase, Program, Stage, Totals, Work
from pipelines.engine.store import Attempt, Store, load, sum_tallies
from tests.waiting import DEADLINE_S

SCHEMA = pa.schema([pa.field("id", pa.binary(16), nullable=False), pa.field("text", pa.large_string(), nullable=False)])
ITEMS = 6
BUCKETS = 4


def by_id(batch: pa.RecordBatch, buckets: int) -> npt.NDArray[np.int64]:
    """The bucket of each row."""
    return bucket_of(batch["id"], buckets)


SHUFFLE = Shuffle("scatter", {"rows": Rows(SCHEMA, ("id",), by_id)})


@dataclass(frozen=True)
class What:
    """What the stage is; the rest, such as `log`, is WHERE."""

    version: ClassVar[int] = 1
    rows: int = 40
    salt: str = "盐"
    fails: str = ""


def table_of(what: What, item: int) -> pa.Table:
    """Rows of one item."""
    keys = [f"{what.salt} {item} {row}" for row in range(what.rows)]
    ids = [hashlib.sha256(key.encode()).digest()[:16] for key in keys]
    return pa.table([ids, keys], schema=SCHEMA)


def listening(pid: int) -> list[str]:
    """Addresses at which a process listens, as the kernel writes them (proc(5), net/tcp): `0100007F:1F90`."""
    own = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}  # noqa: PTH115
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in own]


def meet(pipe: str) -> None:
    """Hold the first process at its item until another has come to one, so that neither does all of them.

    The test holds the named pipe. Raises TimeoutError where nobody else comes.
    """
    first = Path(f"{pipe}.first")
    try:
        with first.open("x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        if first.read_text() != str(os.getpid()):
            Path(pipe).write_text("here\n")
        return
    with Path(pipe).open("rb", buffering=0) as held:
        if not select.select([held], [], [], DEADLINE_S)[0]:
            raise TimeoutError(f"{pipe}: no other process came")


def scatter_item(item: Work, attempt: Attempt) -> None:
    """First phase: rows by bucket of their id, through one scatter file."""
    context = item.context
    if context.what.fails == item.name:
        raise LookupError(f"{item.name} 失败")
    if context.what.fails == f"dies {item.name}":
        os.kill(os.getpid(), signal.SIGKILL)
    if context.what.fails == f"interrupts {item.name}":  # as a terminal's Ctrl-C does
        os.killpg(os.getpgrp(), signal.SIGINT)
    if context.where.get("listening"):
        Path(f"{context.where['listening']}-{item.name}").write_text("\n".join(listening(os.getppid())))
    if context.where.get("log"):
        with Path(context.where["log"]).open("a") as log:
            log.write(f"{item.name} {os.getpid()}\n")
    if context.where.get("meet"):
        meet(context.where["meet"])
    with SHUFFLE.scatter(item, attempt, BUCKETS) as sorters:
        for batch in table_of(context.what, int(item.name)).to_batches():
            sorters["rows"].add(batch)


def gather_item(item: Work, attempt: Attempt) -> None:
    """Second phase: one home shard a bucket."""
    table = pa.Table.from_batches(SHUFFLE.gather(item, "rows", int(item.name), BUCKETS), SCHEMA)
    attempt.shard(f"documents-{item.name}", [table], SCHEMA)
    count = count_ids(table["id"])
    attempt.tally(Tally(born=count, kept=count))
    attempt.figure("bytes", sum(len(t.encode()) for t in table["text"].to_pylist()))


def scatters(job: Job) -> Phase:
    """Items of the first phase."""
    items = [Item(f"{index:05d}", job[0].where.get("bytes", 0)) for index in range(ITEMS)]
    return Phase("scatter", items, scatter_item, scratch=True)


def gathers(job: Job) -> Phase:
    """Items of the second phase."""
    return Phase("gather", [Item(f"{bucket:05d}") for bucket in range(BUCKETS)], gather_item)


def seal_it(context: Context) -> Totals:
    """Sum of the items' ledgers."""
    commits = context.commits("gather").values()
    return Totals(sum_tallies(commits), {"bytes": sum(commit.figures["bytes"] for commit in commits)})


PLAIN = Program("squares", 1, ("pyarrow",), (scatters, gathers), seal_it, beam=False)
BEAM = Program("squares", 1, ("pyarrow",), (scatters, gathers), seal_it)


def no_hash(reference: object) -> str:
    """There are no files here."""
    raise AssertionError(reference)


def stage_of(what: What) -> Stage:
    """The stage."""
    return Stage("squares", "squares", 1, what, {}, ("pyarrow",), no_hash)


def context_of(stage: Stage, root: Path, **where: object) -> Context:
    """Its context in a store."""
    return Context(stage.name, stage.kind, stage.what, Store(root).directory(stage.kind, stage.digest), {}, where)


def build(root: Path, mode: str = "plain", *, what: What | None = None, workers: int = 1, **where: object) -> str:
    """Make the stage; its content hash."""
    stage = stage_of(what or What())
    context = context_of(stage, root, **where)
    program = PLAIN if mode == "plain" else BEAM
    make(program, [stage], (context,), Workers(workers), lambda line: print(line, file=sys.stderr, flush=True))
    found = load(stage.kind, stage.digest, context.directory)
    assert found is not None
    rows = sum(entry.rows for entry in found.files.values())
    assert rows == found.tally.kept.documents == ITEMS * stage.what.rows
    everything = [i for name in found.names("documents") for i in found.table(name)["id"].to_pylist()]
    assert everything == sorted(everything) and len(np.unique(everything)) == rows
    return found.content_hash


def main(root: str, mode: str, workers: str = "1") -> None:
    """Make the stage and print its content hash."""
    size = 100 << 20 if workers != "1" else 0
    print(build(Path(root), mode, workers=int(workers), bytes=size, log=f"{root}/log"))
