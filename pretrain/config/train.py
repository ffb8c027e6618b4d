"""How a model is trained and measured: WHAT, but for the model itself."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple

from annotated_types import Ge, Gt, Le, Lt
from pydantic import Field, model_validator

from corpus.configuration import Doc, FileRef, configuration, form
from pretrain.config.optimizer import AdamW, Optimizer
from pretrain.config.schedule import BatchStage, Constant, Cosine, Linear, Ramp, Schedule, WarmupStableDecay

TRUNK = r"([^@]+@\d+)?"


@configuration
class Healing:
    """What is done about a loss or gradient that is out of the ordinary, before it reaches the weights.

    Such a step is not taken and its samples are passed over. After `patience` of them in a row the weights are held at
    fault: the run goes back to the newest state of a step that `every` divides, and passes over all samples since.
    """

    version: ClassVar[int] = 1
    threshold: Annotated[
        float, Gt(0), Doc("robust deviations above the last losses that make a loss or gradient norm a spike")
    ] = 12.0
    window: Annotated[int, Ge(8), Doc("steps whose noise is the unit of deviations; half of them at least")] = 128
    patience: Annotated[int, Ge(1), Doc("batches in a row not taken before the run goes back")] = 3
    every: Annotated[int, Ge(1), Doc("steps between checkpoints that can be gone back to; the last two are kept")] = 500


@configuration
class Train:
    """How the model is trained; how far is not part of it, for a training run grows."""

    version: ClassVar[int] = 1
    seed: Annotated[int, Ge(0), Lt(2**31), Doc("seed of initial weights and dropout")] = 1
    data_seed: Annotated[int, Ge(0), Doc("seed of the data order")] = 1
    global_batch: Annotated[int, Ge(1), Doc("samples of sequence_length tokens in a step")]
    ramp: Annotated[Ramp | None, Doc("smaller batches at the beginning; null: none")] = None
    optimizer: Annotated[Optimizer, Doc("from gradients to updates")] = Field(default_factory=AdamW)
    schedule: Annotated[Schedule, Doc("learning rate as a function of tokens seen")] = Field(default_factory=Constant)
    warmup_tokens: Annotated[int, Ge(0), Doc("tokens of linear warm-up from 0")] = 0
    z_loss: Annotated[
        float, Ge(0), Doc("coefficient of the squared logarithm of the softmax's sum (PaLM, arXiv:2204.02311)")
    ] = 0.0
    healing: Annotated[Healing, Doc("steps that are not taken")] = Field(default_factory=Healing)
    trunk: Annotated[
        str,
        form(TRUNK, "a run and its step, such as mine@100"),
        Doc("start from another run's checkpoint: <run>@<step>; empty: from drawn weights"),
    ] = ""

    initial: Annotated[
        FileRef | None,
        Doc("start from the weights of a Hugging Face folder, which counts by its content; null: from drawn weights"),
    ] = None

    @model_validator(mode="after")
    def _ramps(self) -> "Train":
        self.batch_stages()
        return self

    @model_validator(mode="after")
    def _one_start(self) -> "Train":
        if self.trunk and self.initial:
            raise ValueError(f"trunk={self.trunk} and initial={self.initial}: a run has one start: leave one out")
        return self

    def batch_stages(self) -> tuple[BatchStage, ...]:
        """Batch sizes before `global_batch`."""
        return self.ramp.stages(self.global_batch) if self.ramp else ()

    def batch_sizes(self) -> set[int]:
        """Every number of samples that a step can have."""
        return {self.global_batch, *(stage.samples for stage in self.batch_stages())}

    def batch_size(self, tokens: int) -> int:
        """Samples of the step that begins when so many tokens have been seen."""
        stages = self.batch_stages()
        return next((stage.samples for stage in stages if tokens < stage.until_tokens), self.global_batch)

    def tokens_after(self, steps: int, sequence_length: int) -> int:
        """Tokens seen after some steps from drawn weights."""
        tokens = 0
        for stage in self.batch_stages():
            each = stage.samples * sequence_length
            taken = min(steps, max(0, -(-(stage.until_tokens - tokens) // each)))
            tokens, steps = tokens + taken * each, steps - taken
        return tokens + steps * self.global_batch * sequence_length

    def steps_until(self, tokens: int, sequence_length: int) -> int:
        """Steps from drawn weights until so many tokens have been seen."""
        steps, seen = 0, 0
        for stage in self.batch_stages():
            each = stage.samples * sequence_length
            taken = max(0, -(-(min(stage.until_tokens, tokens) - seen) // each))
            steps, seen = steps + taken, seen + taken * each
        return steps + max(0, -(-(tokens - seen) // (self.global_batch * sequence_length)))


@configuration
class Precision:
    """Number formats."""

    version: ClassVar[int] = 1
    dtype: Annotated[Literal["fp32", "bf16"], Doc("weights and activations; moments and master weights are fp32")] = (
        "fp32"
    )


@configuration
class Mixture:
    """Which component gives how many samples; `corpus.order.check_mixture` says which mixtures there can be."""

    version: ClassVar[int] = 1
    weights: Annotated[
        Mapping[str, Annotated[float, Ge(0)]],
        Doc("share of samples by component (a source, a language, or source.language); empty: by tokens"),
    ] = Field(default_factory=dict)
    rest: Annotated[
        Literal["natural", "zero"] | None,
        Doc("components without a weight get; zero: nothing; natural: what the weights leave of 1, by tokens"),
    ] = None


@configuration
class Evaluation:
    """How bits per byte and their intervals are measured."""

    version: ClassVar[int] = 1
    stride: Annotated[float, Gt(0), Le(1), Doc("step of the windows as a share of the sequence length")] = 0.5
    resamples: Annotated[int, Ge(100), Doc("bootstrap resamples over documents")] = 2000
    seed: Annotated[int, Ge(0), Doc("seed of the bootstrap")] = 1


class _Fall(NamedTuple):
    """How a rate falls from its peak: tokens seen at begin and end, the floor, and the fields that set the end."""

    begin: int
    end: int
    floor: float
    fields: str


def _fall(schedule: Schedule) -> _Fall | None:
    if isinstance(schedule, Cosine | Linear):
        return _Fall(0, schedule.horizon_tokens, schedule.floor, "train.schedule.horizon_tokens")
    if isinstance(schedule, WarmupStableDecay):
        begin, fields = schedule.decay_start_tokens, "train.schedule.decay_start_tokens + decay_tokens"
        return _Fall(begin, begin + schedule.decay_tokens, schedule.floor, fields)
    return None


def schedule_notes(train: Train, sequence_length: int, steps: int) -> list[str]:
    """What of warm-up, schedule and `run.steps` does not fit, a sentence each. No errors: a run may go on later."""
    warmup, fall, total = train.warmup_tokens, _fall(train.schedule), train.tokens_after(steps, sequence_length)
    each = "in all" if train.ramp else "each"
    run = f"run.steps={steps:,} ({total if train.ramp else train.global_batch * sequence_length:,} tokens {each})"
    notes = []
    if 0 < total < warmup:
        notes.append(
            f"{run} ends in the warm-up, at {total / warmup:.0%} of the peak rate: lower train.warmup_tokens={warmup:,}"
        )
    if fall is None:
        return notes
    last, end = train.steps_until(fall.end, sequence_length), f"{fall.fields}={fall.end:,}"
    if warmup > (fall.begin or fall.end - 1):
        notes.append(f"train.warmup_tokens={warmup:,} is not over when the rate should fall ({end}): lower it")
    if steps > last:
        notes.append(
            f"{run} goes on after {end} (step {last:,}): {1 - last / steps:.0%} of the run is at the floor, "
            f"{fall.floor:g} of the peak rate: {total:,} fits"
        )
    # A cosine more than a quarter longer than the run costs loss (Hoffmann et al., arXiv:2203.15556, appendix B).
    elif fall.begin < total < (fall.end if fall.begin else fall.end / 1.25):
        notes.append(f"{run} ends long before {end} (step {last:,}), at a high rate: {total:,} fits")
    return notes
