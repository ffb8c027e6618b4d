"""What a rank holds while it trains, reckoned from the blueprint. No torch here."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pretrain.config.blueprint import Weight, blueprint
from pretrain.config.layout import Layout, padded_vocabulary
from pretrain.config.model import Experts, Gated, Model
from pretrain.config.optimizer import AdamW
from pretrain.config.train import Precision, Train

FP32 = 4
BYTES = {"fp32": 4, "bf16": 2}


class Copies(NamedTuple):
    """How many tensors of a kind a layer keeps for its backward."""

    norm: int  # [hidden], of each of its two norms
    query: int  # [heads x width], attention's output among them
    key: int  # [groups x width]
    gated: int  # [inner width] of a gated feed-forward
    plain: int


FUSED = Copies(2, 2, 2, 3, 2)  # Korthikanti et al., arXiv:2205.05198, with attention that keeps no scores
TORCH = Copies(3, 3, 3, 5, 2)  # counted by `python -m tests.pretrain.kept`: each operation keeps its own input


@dataclass(frozen=True, slots=True)
class RankMemory:
    """Bytes on the rank that holds most; the libraries themselves, and buffers of a moment, come on top."""

    weights: int
    gradients: int  # fp32, summed over micro-batches
    optimizer: int  # moments, and fp32 masters of bf16 weights
    activations: int  # of the micro-batches that a stage has under way

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.activations


def _stage_of(weight: Weight, model: Model, layout: Layout) -> set[int]:
    """The pipeline stages that hold a weight: of a tied embedding the last one has a copy."""
    if weight.name.startswith("layers."):
        each = model.layers // (layout.pp * layout.vpp)
        return {int(weight.name.split(".")[1]) // each % layout.pp}
    first, last = {0}, {layout.pp - 1}
    if weight.name == "embedding.weight":
        return first | last if model.embedding.tied else first
    return first if weight.name == "position.weight" else last


def held(weight: Weight, layout: Layout) -> int:
    """Elements of a weight on one of its stage's ranks."""
    parts = (layout.tp if weight.split is not None else 1) * (layout.ep if weight.expert is not None else 1)
    return weight.size // parts


def _state(weight: Weight, train: Train, layout: Layout, precision: Precision) -> float:
    """Bytes of optimizer state of an element; ZeRO-1 shares it out over the ranks that have the same elements."""
    adam = isinstance(train.optimizer, AdamW) or (train.optimizer.kind == "muon" and not weight.hidden_matrix)
    size = FP32 * (2 if adam else 1) + (FP32 if precision.dtype != "fp32" else 0)
    alike = layout.tp * layout.cp * layout.dp // layout.ep if weight.expert is not None else layout.cp * layout.dp
    return size / (alike if layout.zero1 else 1)


def _kept(model: Model, layout: Layout, precision: Precision, layer: int) -> float:
    """Bytes of a token that a layer keeps for its backward; only `layout.device=cuda` surely has fused kernels."""
    copies = FUSED if layout.device == "cuda" else TORCH
    attention, part = model.attention_of(layer), model.feed_forward_of(layer)
    width, size = model.head_width(attention), BYTES[precision.dtype]
    whole = layout.tp if layout.sequence_parallel else 1
    residual = model.hidden / whole
    if "layer" in layout.recompute:
        return size * residual
    heads = (copies.query * attention.heads + copies.key * attention.groups) * width / layout.tp
    inner = float(part.width * (part.chosen if isinstance(part, Experts) else 1) / layout.tp)
    inner += (part.shared / layout.tp) if isinstance(part, Experts) else 0.0
    inner *= copies.gated if isinstance(part, Gated | Experts) else copies.plain
    masks = 2 * residual if model.block.dropout else 0.0  # a byte each
    return size * (2 * copies.norm * residual + heads + ("feed_forward" not in layout.recompute) * inner) + masks


def _under_way(layout: Layout, micro_batches: int) -> float:
    """Micro-batches, in layers of a stage, whose activations the first stage holds (arXiv:2104.04473, 2.2)."""
    if layout.vpp > 1:
        return min(layout.pp * (1 + (layout.pp - 1) / (layout.pp * layout.vpp)), micro_batches)
    return min(layout.pp, micro_batches)


def _stages(
    model: Model, train: Train, layout: Layout, precision: Precision, vocabulary: int
) -> Iterator[tuple[int, float]]:
    """(elements, bytes of optimizer state) of each pipeline stage's ranks."""
    weights = blueprint(model, padded_vocabulary(model, vocabulary))
    for stage in range(layout.pp):
        mine = [weight for weight in weights if stage in _stage_of(weight, model, layout)]
        elements = sum(held(weight, layout) for weight in mine)
        yield elements, sum(held(weight, layout) * _state(weight, train, layout, precision) for weight in mine)


def rank_memory(model: Model, train: Train, layout: Layout, precision: Precision, vocabulary: int) -> RankMemory:
    """Of the rank that holds most of each."""
    stages = list(_stages(model, train, layout, precision, vocabulary))
    elements = max(count for count, _ in stages)
    tokens = layout.micro_batch * model.sequence_length / layout.cp
    layers = sorted((_kept(model, layout, precision, layer) for layer in range(model.layers)), reverse=True)
    micro_batches = train.global_batch // (layout.dp * layout.micro_batch)
    kept = sum(layers[: model.layers // layout.pp]) * _under_way(layout, micro_batches)
    return RankMemory(
        weights=elements * BYTES[precision.dtype],
        gradients=elements * FP32,
        optimizer=int(max(state for _, state in stages)),
        activations=int(tokens * kept),
    )
