"""How megatron-core's parameters on a rank are made of global weights. No torch here.

A local parameter is a stack of bands, each a run of its rows (of elements, where it is a vector) that is one box of
one global weight. Whatever has to go between the two (drawing, checkpoints, ZeRO-1's flat ranges) asks `cut`.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pretrain.config.blueprint import Weight
from pretrain.config.model import Experts, Gated, Model


@dataclass(frozen=True, slots=True)
class Box:
    """Part of a global weight: where it begins, and how far it goes, by axis."""

    weight: Weight
    offsets: tuple[int, ...]
    extent: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.extent)

    @property
    def expert(self) -> int:
        """Which expert's it is; 0 where there are none."""
        return self.offsets[0] if self.weight.expert is not None else 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A box, and where in the flat local parameter its elements begin; they lie there in a row."""

    box: Box
    at: int


@dataclass(frozen=True, slots=True)
class Binding:
    """One local parameter; `copy` marks the last stage's copy of a tied embedding, which the first stage owns."""

    bands: tuple[Box, ...]
    copy: bool = False

    @property
    def size(self) -> int:
        """Elements of the local parameter."""
        return sum(band.size for band in self.bands)

    @property
    def decay(self) -> bool:
        """Whether weight decay applies to it."""
        return self.bands[0].weight.decay

    @property
    def hidden_matrix(self) -> bool:
        """Whether it maps hidden states to hidden states, as all of its weights do or none."""
        return self.bands[0].weight.hidden_matrix

    @property
    def whole(self) -> bool:
        """Whether every tensor-parallel rank holds the same."""
        weight = self.bands[0].weight
        return weight.split is None and weight.expert is None

    @property
    def expert(self) -> bool:
        """Whether it belongs to experts, which are shared out over expert-parallel ranks."""
        return self.bands[0].weight.expert is not None


@dataclass(frozen=True, slots=True)
class Slot:
    """Which part of each weight a rank's part of the model holds."""

    tp: int
    tp_size: int
    ep: int
    ep_size: int
    first_layer: int
    first: bool  # holds the embedding


def _box(weight: Weight, slot: Slot, expert: int | None = None) -> Box:
    """This rank's slice of a weight; of one expert, counted on this rank."""
    offsets, extent = [0] * len(weight.shape), list(weight.shape)
    if weight.split is not None:
        extent[weight.split] //= slot.tp_size
        offsets[weight.split] = slot.tp * extent[weight.split]
    if expert is not None and weight.expert is not None:
        here = weight.shape[weight.expert] // slot.ep_size
        offsets[weight.expert], extent[weight.expert] = slot.ep * here + expert, 1
    return Box(weight, tuple(offsets), tuple(extent))


def _rows(box: Box, first: int, count: int) -> Box:
    """Rows [first, first + count) of a box, counted within it."""
    return Box(box.weight, (box.offsets[0] + first, *box.offsets[1:]), (count, *box.extent[1:]))


# Transformer Engine's layers hold the norm inside the linear that follows it.
_NORMS = {
    "input_layernorm.": "attention_norm.",
    "self_attention.linear_qkv.layer_norm_": "attention_norm.",
    "pre_mlp_layernorm.": "ffn_norm.",
    "mlp.linear_fc1.layer_norm_": "ffn_norm.",
    "self_attention.q_layernorm.": "attention.query_norm.",
    "self_attention.k_layernorm.": "attention.key_norm.",
}
_LINEARS = {
    "self_attention.linear_proj.": "attention.output.",
    "mlp.linear_fc2.": "ffn.down.",
    "mlp.router.": "ffn.router.",
    "mlp.shared_experts.linear_fc2.": "ffn.shared.down.",
}
_EXPERT = re.compile(r"mlp\.experts\.(?:local_experts\.(\d+)\.linear_fc(\d)\.weight|linear_fc(\d)\.weight(\d+))")


def _qkv(prefix: str, kind: str, layer: int, model: Model, weights: Mapping[str, Weight], slot: Slot) -> list[Box]:
    """Query heads lie beside the key and value head of their group."""
    attention = model.attention_of(layer)
    width, ratio = model.head_width(attention), attention.heads // attention.groups
    query, key, value = (_box(weights[f"{prefix}.attention.{name}.{kind}"], slot) for name in ("query", "key", "value"))
    bands = []
    for group in range(attention.groups // slot.tp_size):
        bands.append(_rows(query, group * ratio * width, ratio * width))
        bands += [_rows(part, group * width, width) for part in (key, value)]
    return bands


def _layer(rest: str, layer: int, model: Model, weights: Mapping[str, Weight], slot: Slot) -> list[Box]:
    prefix, kind = f"layers.{layer}", rest.rpartition(".")[2]
    for table in (_NORMS, _LINEARS):
        for theirs, ours in table.items():
            if rest.startswith(theirs) and f"{prefix}.{ours}{rest.removeprefix(theirs)}" in weights:
                return [_box(weights[f"{prefix}.{ours}{rest.removeprefix(theirs)}"], slot)]
    if rest in ("self_attention.linear_qkv.weight", "self_attention.linear_qkv.bias"):
        return _qkv(prefix, kind, layer, model, weights, slot)
    part = model.feed_forward_of(layer)
    if match := _EXPERT.fullmatch(rest):
        expert, linear = int(match[1] or match[4]), match[2] or match[3]
        names = ("gate", "up") if linear == "1" else ("down",)
        return [_box(weights[f"{prefix}.ffn.experts.{name}.weight"], slot, expert) for name in names]
    for theirs, ours in (("mlp.linear_fc1.", "ffn."), ("mlp.shared_experts.linear_fc1.", "ffn.shared.")):
        if rest.startswith(theirs):
            names = ("gate", "up") if isinstance(part, Gated | Experts) else ("up",)
            return [_box(weights[f"{prefix}.{ours}{name}.{kind}"], slot) for name in names]
    return []


def bind(parameter: str, model: Model, weights: Mapping[str, Weight], slot: Slot) -> Binding:
    """The binding of a megatron parameter by its name within the part; raises KeyError for one without a weight."""
    if parameter == "embedding.word_embeddings.weight":
        return Binding((_box(weights["embedding.weight"], slot),))
    if parameter == "embedding.position_embeddings.weight":
        return Binding((_box(weights["position.weight"], slot),))
    if parameter == "output_layer.weight":
        tied = model.embedding.tied
        return Binding((_box(weights["embedding.weight" if tied else "output.weight"], slot),), tied and not slot.first)
    bands: list[Box] = []
    if match := re.fullmatch(r"decoder\.final_layernorm\.(weight|bias)", parameter):
        bands = [_box(weights[f"final_norm.{match[1]}"], slot)]
    elif match := re.fullmatch(r"decoder\.layers\.(\d+)\.(.+)", parameter):
        bands = _layer(match[2], int(match[1]) + slot.first_layer, model, weights, slot)
    if not bands:
        raise KeyError(
            f"megatron parameter {parameter!r} is no weight of the blueprint: extend pretrain/models/binding.py"
        )
    return Binding(tuple(bands))


def cut(bands: tuple[Box, ...], start: int, stop: int) -> Iterator[Piece]:
    """The elements [start, stop) of a flat local parameter as boxes, in order."""
    flat = 0
    for band in bands:
        low, high = max(start - flat, 0), min(stop - flat, band.size)
        if low < high:
            yield from _rectangles(band, low, high, flat)
        flat += band.size


def _rectangles(band: Box, low: int, high: int, flat: int) -> Iterator[Piece]:
    """Elements [low, high) of a band: the rest of a row, whole rows, the begin of a row."""
    if len(band.extent) == 1:
        yield Piece(Box(band.weight, (band.offsets[0] + low,), (high - low,)), flat + low)
        return
    *outer, row, column = band.offsets  # an expert's axis before the last two has extent 1
    ones, width = (1,) * len(outer), band.extent[-1]
    while low < high:
        at, skipped = divmod(low, width)
        rows = (high - low) // width if not skipped else 0
        extent = (*ones, rows, width) if rows else (*ones, 1, min(width - skipped, high - low))
        piece = Box(band.weight, (*outer, row + at, column + skipped), extent)
        yield Piece(piece, flat + low)
        low += piece.size
