"""Global names and shapes: every layout's slices join back to the same tensors."""

import pytest
import torch

from pretrain.config import Model
from pretrain.names import bind, join, shard, split

MODEL = Model(layers=4, hidden=48, heads=4, kv_groups=2, ffn=40, sequence_length=8)
ROWS = 256
LOCAL = [
    "embedding.word_embeddings.weight",
    "decoder.final_layernorm.weight",
    *(
        f"decoder.layers.1.{rest}"
        for rest in (
            "input_layernorm.weight",
            "pre_mlp_layernorm.weight",
            "self_attention.linear_qkv.weight",
            "self_attention.linear_proj.weight",
            "mlp.linear_fc1.weight",
            "mlp.linear_fc2.weight",
        )
    ),
]


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("name", LOCAL)
def test_cut_join_split_gives_the_global_tensors_back(name, size):
    binding = bind(name, MODEL, ROWS, 2, True)
    whole = [torch.randn(piece.shape) for piece in binding.pieces]
    parts: list[list[torch.Tensor]] = [[] for _ in whole]
    for rank in range(size):
        cut = [shard(tensor, piece, rank, size) for tensor, piece in zip(whole, binding.pieces, strict=True)]
        local = join(cut, binding, MODEL)
        for found, part in zip(parts, split(local, binding, MODEL), strict=True):
            found.append(part)
    for tensor, piece, found in zip(whole, binding.pieces, parts, strict=True):
        again = found[0] if piece.axis is None else torch.cat(found, dim=piece.axis)
        assert again.shape == tensor.shape == torch.Size(piece.shape) and torch.equal(again, tensor)


def test_megatron_keeps_a_groups_queries_beside_its_key_and_value():
    binding = bind("decoder.layers.0.self_attention.linear_qkv.weight", MODEL, ROWS, 0, True)
    query, key, value = (
        torch.arange(piece.shape[0])[:, None].expand(piece.shape) + 1000 * index
        for index, piece in enumerate(binding.pieces)
    )
    rows = join([query, key, value], binding, MODEL)[:, 0].tolist()
    # width 12; group 0 holds query heads 0 and 1, key head 0, value head 0; then group 1.
    assert rows[:48] == [*range(24), *range(1000, 1012), *range(2000, 2012)]
    assert rows[48:] == [*range(24, 48), *range(1012, 1024), *range(2012, 2024)]


def test_names_do_not_depend_on_the_stage_or_the_layer_spec():
    def pieces(name: str, first_layer: int = 0) -> list[str]:
        return [piece.name for piece in bind(name, MODEL, ROWS, first_layer, first_layer == 0).pieces]

    assert pieces("decoder.layers.3.mlp.linear_fc1.weight") == pieces("decoder.layers.1.mlp.linear_fc1.weight", 2)
    assert pieces("decoder.layers.3.mlp.linear_fc1.weight") == ["layers.3.ffn.gate.weight", "layers.3.ffn.up.weight"]
    for local, engine in (
        ("input_layernorm.weight", "self_attention.linear_qkv.layer_norm_weight"),
        ("pre_mlp_layernorm.weight", "mlp.linear_fc1.layer_norm_weight"),
    ):
        assert pieces(f"decoder.layers.0.{local}") == pieces(f"decoder.layers.0.{engine}")


def test_a_tied_output_layer_is_the_embedding_and_owned_once():
    last = bind("output_layer.weight", MODEL, ROWS, 2, False)
    assert last.pieces == bind("embedding.word_embeddings.weight", MODEL, ROWS, 0, True).pieces and not last.owned
    untied = Model(layers=4, hidden=48, heads=4, kv_groups=2, ffn=40, sequence_length=8, tied=False)
    assert bind("output_layer.weight", untied, ROWS, 2, False).pieces[0].name == "output.weight"
    with pytest.raises(KeyError, match=r"decoder.layers.0.mlp.router.weight.*extend pretrain/names.py"):
        bind("decoder.layers.0.mlp.router.weight", MODEL, ROWS, 0, True)
