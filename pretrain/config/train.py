"""How a model is trained and measured: WHAT, but for the model itself."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple

from annotated_types import Ge, Gt, Le, Lt
from pydantic import Field

from corpus.configuration import Doc, configuration


@configuration
class Adam:
    """AdamW (Loshchilov and Hutter, arXiv:1711.05101); vectors such as norms are not decayed."""

    version: ClassVar[int] = 1
    lr: Annotated[float, Gt(0), Doc("peak learning rate")] = 1e-3
    beta1: Annotated[float, Ge(0), Lt(1), Doc("decay of the first moment")] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1), Doc("decay of the second moment")] = 0.95
    epsilon: Annotated[float, Gt(0), Doc("added to the second moment's root")] = 1e-8
    weight_decay: Annotated[float, Ge(0), Doc("decoupled weight decay")] = 0.1
    clip: Annotated[float, Gt(0), Doc("largest global gradient norm")] = 1.0


@configuration
class Constant:
    """The peak rate for ever, after warm-up."""

    version: ClassVar[int] = 1
    schedule: Literal["constant"] = "constant"


@configuration
class Cosine:
    """Half a cosine from the peak to the floor; another horizon is another run."""

    version: ClassVar[int] = 1
    schedule: Literal["cosine"] = "cosine"
    horizon_tokens: Annotated[int, Ge(1), Doc("tokens seen when the floor is reached")]
    floor: Annotated[float, Ge(0), Le(1), Doc("final rate as a share of the peak")] = 0.1


@configuration
class WarmupStableDecay:
    """Constant until decay_start, then down to the floor (MiniCPM, arXiv:2404.06395)."""

    version: ClassVar[int] = 1
    schedule: Literal["wsd"] = "wsd"
    decay_start_tokens: Annotated[int, Ge(0), Doc("tokens seen when the decay begins")]
    decay_tokens: Annotated[int, Ge(1), Doc("length of the decay in tokens")]
    shape: Annotated[Literal["linear", "1-sqrt"], Doc("form of the decay; 1-sqrt: arXiv:2405.18392")] = "1-sqrt"
    floor: Annotated[float, Ge(0), Le(1), Doc("final rate as a share of the peak")] = 0.0


Schedule = Annotated[Constant | Cosine | WarmupStableDecay, Field(discriminator="schedule")]


@configuration
class Train:
    """How the model is trained; how far is not part of it, for a training run grows."""

    version: ClassVar[int] = 1
    seed: Annotated[int, Ge(0), Lt(2**31), Doc("seed of initial weights and dropout")] = 1
    data_seed: Annotated[int, Ge(0), Doc("seed of the data order")] = 1
    global_batch: Annotated[int, Ge(1), Doc("samples of sequence_length tokens in a step")]
    optimizer: Annotated[Adam, Doc("AdamW and its constants")] = Field(default_factory=Adam)
    schedule: Annotated[Schedule, Doc("learning rate as a function of tokens seen")] = Field(default_factory=Constant)
    warmup_tokens: Annotated[int, Ge(0), Doc("tokens of linear warm-up from 0")] = 0


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
    if isinstance(schedule, Cosine):
        return _Fall(0, schedule.horizon_tokens, schedule.floor, "train.schedule.horizon_tokens")
    if isinstance(schedule, WarmupStableDecay):
        begin, fields = schedule.decay_start_tokens, "train.schedule.decay_start_tokens + decay_tokens"
        return _Fall(begin, begin + schedule.decay_tokens, schedule.floor, fields)
    return None


def schedule_notes(train: Train, sequence_length: int, steps: int) -> list[str]:
    """What of warm-up, schedule and `run.steps` does not fit, a sentence each. No errors: a run may go on later."""
    batch, warmup, fall = train.global_batch * sequence_length, train.warmup_tokens, _fall(train.schedule)
    run, total = f"run.steps={steps:,} ({batch:,} tokens each)", steps * batch
    notes = []
    if 0 < total < warmup:
        notes.append(
            f"{run} ends in the warm-up, at {total / warmup:.0%} of the peak rate: lower train.warmup_tokens={warmup:,}"
        )
    if fall is None:
        return notes
    last, end = -(-fall.end // batch), f"{fall.fields}={fall.end:,}"
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
