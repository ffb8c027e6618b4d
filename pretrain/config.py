"""What is trained (WHAT: model, train, precision, mixture, evaluation) and where (WHERE: layout)."""

import math
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

from annotated_types import Ge, Gt, Le, Lt
from pydantic import Field, model_validator

from corpus.configuration import Doc, configuration

# What shows that a machine has one: its driver's nodes, WSL's, Jetson's.
NVIDIA_DEVICES = ("dev/nvidia0", "dev/nvidiactl", "proc/driver/nvidia/version", "dev/dxg", "dev/nvmap")
VOCABULARY_MULTIPLE = 128  # tensor cores like it, and every tp up to 128 divides it


class LayoutError(ValueError):
    """A layout that cannot hold the model: names the field, the value and the way out."""


@configuration
class Model:
    """A LLaMA-shaped decoder (Touvron et al., arXiv:2302.13971): RMSNorm, RoPE, SwiGLU, grouped-query attention."""

    version: ClassVar[int] = 1
    layers: Annotated[int, Ge(1), Doc("transformer layers")]
    hidden: Annotated[int, Ge(2), Doc("width of the residual stream")]
    heads: Annotated[int, Ge(1), Doc("query heads; hidden / heads is the head's width")]
    kv_groups: Annotated[int, Ge(1), Doc("key and value heads; equal to heads for multi-head attention")]
    ffn: Annotated[int, Ge(1), Doc("inner width of the SwiGLU feed-forward layer")]
    sequence_length: Annotated[int, Ge(2), Doc("tokens of context in training and evaluation")]
    vocabulary: Annotated[int, Ge(0), Doc("rows of the embedding; 0: the tokenizer's size rounded up to 128")] = 0
    rope_base: Annotated[int, Ge(1), Doc("base of the rotary frequencies")] = 10000
    norm_epsilon: Annotated[float, Gt(0), Doc("added under RMSNorm's root")] = 1e-5
    tied: Annotated[bool, Doc("output layer shares the embedding's weights")] = True
    init_std: Annotated[float, Gt(0), Doc("standard deviation of initial weights")] = 0.02
    dropout: Annotated[float, Ge(0), Lt(1), Doc("dropout of embedding, residual and attention")] = 0.0

    @model_validator(mode="after")
    def _shape(self) -> "Model":
        if self.hidden % self.heads or (self.hidden // self.heads) % 2:
            raise ValueError(f"hidden={self.hidden} over heads={self.heads} is no even head width: change either")
        if self.heads % self.kv_groups:
            raise ValueError(f"kv_groups={self.kv_groups} does not divide heads={self.heads}: choose a divisor")
        return self


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
        Doc("share of samples by component (source, language or source/language); empty: by tokens"),
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


@configuration
class Layout:
    """Where it runs; never changes what is trained, beyond floating-point rounding."""

    device: Annotated[Literal["auto", "cpu", "cuda"], Doc("auto: the GPU where there is one, else the CPU")] = "auto"
    tp: Annotated[int, Ge(1), Doc("tensor-parallel ranks")] = 1
    pp: Annotated[int, Ge(1), Doc("pipeline stages")] = 1
    dp: Annotated[int, Ge(1), Doc("data-parallel replicas")] = 1
    micro_batch: Annotated[int, Ge(1), Doc("samples a rank computes at once")] = 4
    recompute: Annotated[Literal["none", "selective", "full"], Doc("activations computed again in backward")] = "none"
    zero1: Annotated[bool, Doc("split optimizer state over the replicas (ZeRO-1, arXiv:1910.02054)")] = False
    timeout_s: Annotated[int, Ge(1), Doc("seconds a collective may wait for the slowest rank")] = 600

    @property
    def world(self) -> int:
        """Number of processes."""
        return self.tp * self.pp * self.dp


def padded_vocabulary(model: Model, tokenizer: int) -> int:
    """Rows of the embedding for a tokenizer of that size; raises LayoutError if it does not fit."""
    if model.vocabulary == 0:
        return -(-tokenizer // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE
    if model.vocabulary < tokenizer:
        raise LayoutError(
            f"model.vocabulary={model.vocabulary} is smaller than the tokenizer's {tokenizer}: raise it, or set it to 0"
        )
    return model.vocabulary


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


def check_layout(model: Model, train: Train, layout: Layout, tokenizer: int) -> None:
    """Raise LayoutError where the layout does not divide the model or the batch, with the nearest that does."""
    widths = {"model.heads": model.heads, "model.kv_groups": model.kv_groups, "model.ffn": model.ffn}
    widths["the padded vocabulary"] = padded_vocabulary(model, tokenizer)
    at_once = layout.dp * layout.micro_batch
    for name, value, of in (
        ("layout.tp", layout.tp, widths),
        ("layout.pp", layout.pp, {"model.layers": model.layers}),
        ("layout.dp x layout.micro_batch", at_once, {"train.global_batch": train.global_batch}),
    ):
        if wrong := [f"{total}={size}" for total, size in of.items() if size % value]:
            common = math.gcd(*of.values())
            near = sorted((n for n in range(1, common + 1) if common % n == 0), key=lambda n: (abs(n - value), n))[:3]
            raise LayoutError(
                f"{name}={value} does not divide {' and '.join(wrong)}: the nearest that fits is {near[0]}"
                + (f" (then {', '.join(map(str, near[1:]))})" if near[1:] else "")
            )


def check_device(layout: Layout, root: Path = Path("/")) -> None:
    """Raise LayoutError for a GPU that this machine does not show, or that torch was not built for. Loads no torch."""
    present = [root / name for name in NVIDIA_DEVICES if (root / name).exists()]
    if layout.device == "cuda" and not present:
        raise LayoutError(
            "layout.device=cuda, but this machine shows no NVIDIA device: set layout.device=cpu, or run where one is"
        )
    cards = [path for path in (root / "dev").glob("nvidia*") if path.name.removeprefix("nvidia").isdigit()]
    if layout.device == "cuda" and cards and layout.world > len(cards):
        raise LayoutError(
            f"layout.tp x pp x dp = {layout.tp} x {layout.pp} x {layout.dp} needs {layout.world} GPUs, one a rank, but "
            f"this machine shows {len(cards)}: lower one of them"
        )
    built = metadata.version("torch")
    if layout.device != "cpu" and present and built.endswith("+cpu"):
        raise LayoutError(
            f"layout.device={layout.device}: there is an NVIDIA device ({present[0]}), but torch {built} is built "
            "without CUDA: install a CUDA build of torch, or set layout.device=cpu"
        )
