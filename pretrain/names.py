"""Siku's names and shapes of weights, and how megatron-core lays them out in its own.

A global tensor has one name and shape whatever the layout or layer spec; a megatron parameter of a rank is built
from slices of one to three of them. Linear weights are [output, input].
"""

import re
from dataclasses import dataclass
from typing import Literal

import torch

from pretrain.config import Model

Kind = Literal["whole", "qkv", "gate_up"]


@dataclass(frozen=True, slots=True)
class Piece:
    """One global tensor; `axis` is the one that tensor parallelism slices, None where every rank holds it all."""

    name: str
    shape: tuple[int, ...]
    axis: int | None


@dataclass(frozen=True, slots=True)
class Binding:
    """How one megatron parameter of a rank is made of global tensors."""

    pieces: tuple[Piece, ...]
    kind: Kind
    owned: bool  # False for the output layer's copy of a tied embedding on the last pipeline stage


def _layer_pieces(prefix: str, rest: str, model: Model) -> tuple[tuple[Piece, ...], Kind] | None:
    hidden, width = model.hidden, model.hidden // model.heads
    query, key = model.heads * width, model.kv_groups * width
    # Transformer Engine's layers hold the norm inside the linear that follows it.
    if rest in ("input_layernorm.weight", "self_attention.linear_qkv.layer_norm_weight"):
        return (Piece(f"{prefix}.attention_norm.weight", (hidden,), None),), "whole"
    if rest in ("pre_mlp_layernorm.weight", "mlp.linear_fc1.layer_norm_weight"):
        return (Piece(f"{prefix}.ffn_norm.weight", (hidden,), None),), "whole"
    if rest == "self_attention.linear_qkv.weight":
        names = (("query", query), ("key", key), ("value", key))
        return tuple(Piece(f"{prefix}.attention.{name}.weight", (rows, hidden), 0) for name, rows in names), "qkv"
    if rest == "self_attention.linear_proj.weight":
        return (Piece(f"{prefix}.attention.output.weight", (hidden, query), 1),), "whole"
    if rest == "mlp.linear_fc1.weight":
        return tuple(Piece(f"{prefix}.ffn.{name}.weight", (model.ffn, hidden), 0) for name in ("gate", "up")), "gate_up"
    if rest == "mlp.linear_fc2.weight":
        return (Piece(f"{prefix}.ffn.down.weight", (hidden, model.ffn), 1),), "whole"
    return None


def bind(parameter: str, model: Model, vocabulary: int, first_layer: int, first_stage: bool) -> Binding:
    """The binding of a megatron parameter name; layers count from `first_layer` on this stage.

    Raises KeyError for a name that is no part of this architecture.
    """
    embedding = Piece("embedding.weight", (vocabulary, model.hidden), 0)
    if parameter == "embedding.word_embeddings.weight":
        return Binding((embedding,), "whole", True)
    if parameter == "output_layer.weight":
        if model.tied:
            return Binding((embedding,), "whole", first_stage)
        return Binding((Piece("output.weight", (vocabulary, model.hidden), 0),), "whole", True)
    if parameter == "decoder.final_layernorm.weight":
        return Binding((Piece("final_norm.weight", (model.hidden,), None),), "whole", True)
    if match := re.fullmatch(r"decoder\.layers\.(\d+)\.(.+)", parameter):
        found = _layer_pieces(f"layers.{int(match[1]) + first_layer}", match[2], model)
        if found is not None:
            return Binding(found[0], found[1], True)
    raise KeyError(f"megatron parameter {parameter!r} has no global name: extend pretrain/names.py")


def shard(tensor: torch.Tensor, piece: Piece, rank: int, size: int) -> torch.Tensor:
    """The slice of a global tensor that tensor-parallel `rank` of `size` holds."""
    if piece.axis is None:
        return tensor
    rows = piece.shape[piece.axis] // size
    return tensor.narrow(piece.axis, rank * rows, rows)


def join(parts: list[torch.Tensor], binding: Binding, model: Model) -> torch.Tensor:
    """A rank's slices of the global tensors -> megatron's local parameter."""
    if binding.kind == "whole":
        return parts[0]
    if binding.kind == "gate_up":
        return torch.cat(parts)
    # Query heads lie beside the key and value of their group: [group, heads of the group + 2, width, hidden].
    width, hidden = model.hidden // model.heads, model.hidden
    query, key, value = (part.reshape(parts[1].size(0) // width, -1, width, hidden) for part in parts)
    return torch.cat([query, key, value], dim=1).reshape(-1, hidden)


def split(local: torch.Tensor, binding: Binding, model: Model) -> list[torch.Tensor]:
    """The inverse of `join`."""
    if binding.kind == "whole":
        return [local]
    if binding.kind == "gate_up":
        return list(local.chunk(2))
    width, hidden, ratio = model.hidden // model.heads, model.hidden, model.heads // model.kv_groups
    grouped = local.reshape(-1, ratio + 2, width, hidden)
    parts = grouped[:, :ratio], grouped[:, ratio : ratio + 1], grouped[:, ratio + 1 :]
    return [part.reshape(-1, hidden) for part in parts]
