"""The job files a trainer is started with: everything it needs to know, in one JSON file each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar

from annotated_types import Ge, Gt, Le
from pydantic import Field, TypeAdapter, ValidationError

from corpus.configuration import Doc, configuration
from pretrain.config import Evaluation, Layout, Mixture, Model, Precision, Train, Watch
from pretrain.parallel.launch import RESUMABLE as RESUMABLE

REFUSED = 2  # exit status of a process that was asked for what cannot be, and did nothing

Shards = Annotated[Mapping[str, tuple[str, ...]], Doc("absolute paths of token shards by component")]

LOG_LEVELS = "SIKU_LOG_LEVELS"  # set where another process reads the log: each line begins with its level


class JobError(ValueError):
    """A job file that cannot be used: names the file, the field and the way out."""


@configuration
class TrainJob:
    """One trajectory, and how far to take it."""

    directory: Annotated[str, Doc("folder of the trajectory: checkpoints, journal, segments")]
    digest: Annotated[str, Doc("identity of the trajectory")]
    model: Model
    train: Train
    precision: Precision
    mixture: Mixture
    layout: Layout
    vocabulary: Annotated[int, Ge(2), Doc("the tokenizer's size")]
    eod: Annotated[int, Ge(0), Doc("the token that ends every document")]
    tokens_digest: Annotated[str, Doc("identity of the token shards")]
    components: Shards
    trunk: Annotated[str, Doc("folder of the trajectory that train.trunk names")] = ""
    initial: Annotated[str, Doc("Hugging Face folder that weights start from; the digest knows its content")] = ""
    steps: Annotated[int, Ge(0), Doc("train until this step is done")]
    checkpoint_every: Annotated[int, Ge(1), Doc("steps between checkpoints")] = 100
    log_every: Annotated[int, Ge(1), Doc("steps between log lines")] = 10
    keep: Annotated[int, Ge(1), Doc("checkpoints kept besides those asked for as a target")] = 2
    threads: Annotated[int, Ge(1), Doc("CPU threads of each rank")] = 1
    watch: Annotated[Watch, Doc("what is looked at on the way")] = Field(default_factory=Watch)
    held_out: Annotated[Shards, Doc("token shards of held-out documents, for watch.evaluate_every")] = Field(
        default_factory=dict
    )
    stride: Annotated[float, Gt(0), Le(1), Doc("step of the windows over held-out documents, as evaluation.stride")] = (
        0.5
    )


@configuration
class EvaluateJob:
    """Bits per byte of one checkpoint, or of the initial weights, on held-out documents."""

    model: Model
    train: Train
    precision: Precision
    layout: Layout
    vocabulary: Annotated[int, Ge(2), Doc("the tokenizer's size")]
    eod: Annotated[int, Ge(0), Doc("the token that every document starts from and ends in")]
    checkpoint: Annotated[str | None, Doc("a `step-<n>` folder; null: the untrained model")]
    initial: Annotated[str, Doc("Hugging Face folder that the untrained model's weights are those of")] = ""
    held_out: Annotated[Mapping[str, tuple[str, ...]], Doc("token shards of held-out documents by language")]
    components: Annotated[Mapping[str, tuple[str, ...]], Doc("token shards of the training split, for the unigram")]
    evaluation: Evaluation
    output: Annotated[str, Doc("the result, JSON")]
    documents: Annotated[str, Doc("the table of documents, Arrow")]
    untrained: Annotated[str | None, Doc("documents table of the untrained model, to compare with")] = None
    threads: Annotated[int, Ge(1), Doc("CPU threads")] = 1


@configuration
class ExportJob:
    """A checkpoint as a folder of another tool's."""

    model: Model
    vocabulary: Annotated[int, Ge(2), Doc("the tokenizer's size")]
    eod: Annotated[int, Ge(0), Doc("the token that ends every document")]
    checkpoint: Annotated[str, Doc("a `step-<n>` folder")]
    to: Annotated[str, Doc("folder to write into; it is there, and empty")]


Job = TypeVar("Job", TrainJob, EvaluateJob, ExportJob)


def read_job(path: Path, kind: type[Job]) -> Job:
    """Parse a job file; raises JobError naming every wrong field."""
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except FileNotFoundError:
        raise JobError(f"job file {path} does not exist: give a path that does") from None
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}={item['input']!r}: {item['msg']}" for item in error.errors()
        )
        raise JobError(f"job file {path} is not a {kind.__name__}: {wrong}") from error
