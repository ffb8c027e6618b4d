"""Where a model is trained: how it is split over processes, and whether it can be."""

import math
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge

from corpus.configuration import Doc, configuration
from pretrain.config.model import Experts, Model
from pretrain.config.train import Train

# What shows that a machine has one: its driver's nodes, WSL's, Jetson's.
NVIDIA_DEVICES = ("dev/nvidia0", "dev/nvidiactl", "proc/driver/nvidia/version", "dev/dxg", "dev/nvmap")
VOCABULARY_MULTIPLE = 128  # tensor cores like it, and every tp up to 128 divides it


class LayoutError(ValueError):
    """A layout that cannot hold the model: names the field, the value and the way out."""


@configuration
class Layout:
    """Where it runs; never changes what is trained, beyond floating-point rounding."""

    device: Annotated[Literal["auto", "cpu", "cuda"], Doc("auto: the GPU where there is one, else the CPU")] = "auto"
    tp: Annotated[int, Ge(1), Doc("tensor-parallel ranks (arXiv:1909.08053)")] = 1
    sequence_parallel: Annotated[bool, Doc("tensor-parallel ranks split norms and dropout too (arXiv:2205.05198)")] = (
        False
    )
    cp: Annotated[int, Ge(1), Doc("context-parallel ranks: each has a part of every sequence")] = 1
    pp: Annotated[int, Ge(1), Doc("pipeline stages (1F1B)")] = 1
    vpp: Annotated[int, Ge(1), Doc("parts of the model a stage has, interleaved (arXiv:2104.04473)")] = 1
    dp: Annotated[int, Ge(1), Doc("data-parallel replicas")] = 1
    ep: Annotated[int, Ge(1), Doc("ranks of tp x cp x dp that share out the experts")] = 1
    micro_batch: Annotated[int, Ge(1), Doc("samples a rank computes at once")] = 4
    recompute: Annotated[
        tuple[Literal["attention", "feed_forward", "layer"], ...],
        Doc("what is computed again in backward instead of kept; layer is all of it"),
    ] = ()
    zero1: Annotated[bool, Doc("split optimizer state over the replicas (ZeRO-1, arXiv:1910.02054)")] = False
    overlap: Annotated[bool, Doc("reduce gradients and gather weights while computing")] = False
    timeout_s: Annotated[int, Ge(1), Doc("seconds a collective may wait for the slowest rank")] = 600

    @property
    def world(self) -> int:
        """Number of processes."""
        return self.tp * self.cp * self.pp * self.dp


def padded_vocabulary(model: Model, tokenizer: int) -> int:
    """Rows of the embedding for a tokenizer of that size; raises LayoutError if it does not fit."""
    if model.vocabulary == 0:
        return -(-tokenizer // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE
    if model.vocabulary < tokenizer:
        raise LayoutError(
            f"model.vocabulary={model.vocabulary} is smaller than the tokenizer's {tokenizer}: raise it, or set it to 0"
        )
    return model.vocabulary


def _divisions(model: Model, train: Train, layout: Layout, rows: int) -> Iterator[tuple[str, int, str, int]]:
    """What must divide what: (field, value, what it divides, its value)."""
    for attention in {model.attention_of(index) for index in range(model.layers)}:
        yield "layout.tp", layout.tp, "model.attention.heads", attention.heads
        yield "layout.tp", layout.tp, "model.attention.groups", attention.groups
    for part in {model.feed_forward_of(index) for index in range(model.layers)}:
        if isinstance(part, Experts):
            yield "layout.ep", layout.ep, "model.feed_forward.experts", part.experts
        if width := part.shared if isinstance(part, Experts) else part.width:
            yield "layout.tp", layout.tp, "model.feed_forward.width", width
    yield "layout.tp", layout.tp, "the padded vocabulary", rows
    yield "layout.pp x layout.vpp", layout.pp * layout.vpp, "model.layers", model.layers
    yield "layout.ep", layout.ep, "layout.tp x cp x dp", layout.tp * layout.cp * layout.dp
    if layout.sequence_parallel:
        parts = layout.tp * layout.cp
        yield "layout.tp x layout.cp", parts, "model.sequence_length", model.sequence_length
    if layout.cp > 1:  # each rank has one piece from the front and one from the back, so that all have equal work
        yield "2 x layout.cp", 2 * layout.cp, "model.sequence_length", model.sequence_length
    for samples in sorted(train.batch_sizes(), reverse=True):
        name = "train.global_batch" if samples == train.global_batch else "a batch of train.ramp"
        yield "layout.dp x layout.micro_batch", layout.dp * layout.micro_batch, name, samples
        if layout.vpp > 1:
            count = samples // (layout.dp * layout.micro_batch)
            yield "layout.pp", layout.pp, f"the micro-batches of a replica in a batch of {samples} under vpp", count


def check_layout(model: Model, train: Train, layout: Layout, tokenizer: int) -> None:
    """Raise LayoutError where the layout does not fit the model or the batch, with the nearest value that does."""
    wanted: dict[tuple[str, int], dict[str, int]] = {}
    for name, value, of, total in _divisions(model, train, layout, padded_vocabulary(model, tokenizer)):
        wanted.setdefault((name, value), {})[of] = total
    for (name, value), totals in wanted.items():
        if wrong := [f"{of}={total}" for of, total in totals.items() if total % value]:
            common = math.gcd(*totals.values())
            near = sorted((n for n in range(1, common + 1) if common % n == 0), key=lambda n: (abs(n - value), n))[:3]
            raise LayoutError(
                f"{name}={value} does not divide {' and '.join(wrong)}: the nearest that fits is {near[0]}"
                + (f" (then {', '.join(map(str, near[1:]))})" if near[1:] else "")
            )
    _check_experts(model, layout)
    if layout.vpp > 1 and layout.pp == 1:
        raise LayoutError(f"layout.vpp={layout.vpp} without pipeline stages: set layout.pp to 2 or more, or vpp=1")
    if layout.sequence_parallel and layout.tp == 1:
        raise LayoutError("layout.sequence_parallel=true with layout.tp=1 has nothing to split: set it to false")


def _check_experts(model: Model, layout: Layout) -> None:
    experts = any(isinstance(model.feed_forward_of(index), Experts) for index in range(model.layers))
    if experts and layout.tp > 1 and not (layout.sequence_parallel and layout.ep > 1):
        raise LayoutError(
            f"experts under layout.tp={layout.tp} need layout.sequence_parallel=true and layout.ep > 1, since they are "
            "shared out whole: set both, or layout.tp=1"
        )
    if layout.ep > 1 and not experts:
        raise LayoutError(f"layout.ep={layout.ep} with a model without experts: set layout.ep=1")


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
            f"layout.tp x cp x pp x dp = {layout.tp} x {layout.cp} x {layout.pp} x {layout.dp} needs {layout.world} "
            f"GPUs, one a rank, but this machine shows {len(cards)}: lower one of them"
        )
    built = metadata.version("torch")
    if layout.device != "cpu" and present and built.endswith("+cpu"):
        raise LayoutError(
            f"layout.device={layout.device}: there is an NVIDIA device ({present[0]}), but torch {built} is built "
            "without CUDA: install a CUDA build of torch, or set layout.device=cpu"
        )
