"""What a run would do and cost, before it does it: reckoned from the plan, the store and earlier runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.engine import roles
from pipelines.engine.files import free_bytes
from pipelines.engine.stage import Stage
from pipelines.engine.store import StoreError
from pipelines.graph.checks import notes
from pipelines.graph.multirun import check_yardstick
from pipelines.graph.plan import Plan
from pipelines.graph.why_new import earlier_runs, sentence, why_new
from pipelines.past.history import History, histories
from pipelines.stages.tokenizer import TokenizerStage
from pipelines.stages.train import checkpoints
from pretrain.config import padded_vocabulary
from pretrain.config.blueprint import training_flops
from pretrain.config.memory import RankMemory, rank_memory

# Bytes a stage writes for a byte of the edition (extract: of the source) it reads, on the sample site, rounded up.
# Scatter files are gone when a stage is sealed, and no more than the stage reads.
WRITTEN = {"extract": 0.2, "edit": 1.1, "dedupe_spans": 1.0, "measure": 0.3, "keys": 0.1, "split": 0.1, "filter": 0.01,
           "dedupe": 0.01, "decontaminate": 0.01, "quarantine": 0.01, "tokenizer": 0.1, "tokenize": 1.2}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Planned:
    """One stage of a plan.

    Of a new one: why, the corpus bytes it will about write, the steps and tokens it still trains, and the seconds it
    last took in this store, where that is known.
    """

    name: str
    kind: str
    digest: str
    reused: bool
    why: str = ""
    bytes: int = 0
    steps: int = 0
    tokens: int = 0
    seconds: float | None = None
    flops: float = 0.0  # of the model, forward and backward
    memory: RankMemory | None = None  # of the rank that holds most


@dataclass(frozen=True, slots=True)
class Outlook:
    """One configuration against a store; `complete` is False while crawls have to run before the rest is known."""

    stages: tuple[Planned, ...]
    complete: bool
    bytes_free: int
    notes: tuple[str, ...]

    @property
    def new(self) -> list[Planned]:
        """Stages that would be made."""
        return [stage for stage in self.stages if not stage.reused]


@dataclass(frozen=True, slots=True)
class Cost:
    """Of new stages together: bytes of corpus written, training, seconds where those of every stage are known."""

    bytes: int
    steps: int
    tokens: int
    seconds: float | None


def cost(stages: Sequence[Planned]) -> Cost:
    """The sum over stages; of one trajectory that several cells take to different steps, the longest."""
    longest: dict[str, Planned] = {}
    for stage in stages:
        if stage.digest not in longest or stage.steps > longest[stage.digest].steps:
            longest[stage.digest] = stage
    each = longest.values()
    known = [stage.seconds for stage in each if stage.seconds is not None]
    return Cost(
        bytes=sum(stage.bytes for stage in each),
        steps=sum(stage.steps for stage in each),
        tokens=sum(stage.tokens for stage in each),
        seconds=sum(known) if len(known) == len(each) else None,
    )


def outlook(plan: Plan) -> Outlook:
    """Look every stage of a plan up. Reads manifests and records, no data."""
    earlier, took, written = earlier_runs(plan.store.root), _took(plan.store.root), to_be_written(plan)
    config = plan.config
    stages = []
    for stage in plan.stages():
        if plan.found(stage) is not None:
            stages.append(Planned(stage.name, stage.kind, stage.digest, reused=True))
            continue
        seconds, steps, tokens, flops, memory = took.get(stage.name), 0, 0, 0.0, None
        if stage.kind == "train":
            last = max(_last_step(plan, stage), int(config.train.trunk.rpartition("@")[2] or 0))
            steps, length = config.run.steps - last, config.model.sequence_length
            tokens = config.train.tokens_after(config.run.steps, length) - config.train.tokens_after(last, length)
            flops, memory = _reckoned(plan, tokens)
            seconds = took["a step of train"] * steps if "a step of train" in took else None
        new = Planned(
            name=stage.name,
            kind=stage.kind,
            digest=stage.digest,
            reused=False,
            why=sentence(stage, why_new(stage, earlier)),
            bytes=written[stage.name],
            steps=steps,
            tokens=tokens,
            seconds=seconds,
            flops=flops,
            memory=memory,
        )
        stages.append(new)
    return Outlook(tuple(stages), plan.graph is not None, free_bytes(plan.store.root), tuple(notes(config)))


def to_be_written(plan: Plan) -> dict[str, int]:
    """Bytes that the plan's new corpus stages will about write, by name."""
    sizes: dict[str, float] = {}
    new: dict[str, int] = {}
    for stage in plan.stages():
        found = plan.found(stage)
        if found is not None:
            sizes[stage.name] = sum(entry.bytes for entry in found.files.values()) or found.figures.get("bytes", 0)
            continue
        read = stage.inputs.get(roles.EDITION) or stage.inputs.get(roles.SOURCE)
        sizes[stage.name] = WRITTEN.get(stage.kind, 0.0) * (sizes.get(read.name, 0.0) if read else 0.0)
        new[stage.name] = round(sizes[stage.name])
    return new


def _reckoned(plan: Plan, tokens: int) -> tuple[float, RankMemory | None]:
    """FLOPs of training on so many tokens, and what a rank will hold; nothing where no tokenizer is planned."""
    config = plan.config
    sizes = [stage.what.vocabulary for stage in plan.stages() if isinstance(stage.what, TokenizerStage)]
    if not sizes:
        return 0.0, None
    rows = padded_vocabulary(config.model, sizes[0])
    held = rank_memory(config.model, config.train, config.layout, config.precision, sizes[0])
    return float(training_flops(config.model, rows) * tokens), held


def outlooks(plans: Sequence[Plan]) -> list[Outlook]:
    """The cells of a sweep. Raises RecipeError if they cannot be compared."""
    check_yardstick([plan.stages() for plan in plans])
    return [outlook(plan) for plan in plans]


def _last_step(plan: Plan, stage: Stage) -> int:
    """The last checkpoint of a trajectory before the step asked for."""
    steps = checkpoints(plan.store.directory(stage.kind, stage.digest))
    return max((step for step in steps if step <= plan.config.run.steps), default=0)


def _took(root: Path) -> dict[str, float]:
    """Seconds that stages took, by name, when the runs of this store last made them; of training, those of a step."""
    out: dict[str, float] = {}
    for history in histories(root):
        for stage, seconds in _made(history).items():
            out.setdefault(stage, seconds)
    return out


def _made(history: History) -> dict[str, float]:
    try:
        summary = history.summary
    except StoreError:  # a run without a summary tells nothing of its cost
        return {}
    out = {stage["name"]: stage["made_in_seconds"] for stage in summary["stages"] if stage["kind"] != "train"}
    training = summary["training"]
    if training["steps"]:
        out["a step of train"] = training["seconds"] / training["steps"]
    return out
