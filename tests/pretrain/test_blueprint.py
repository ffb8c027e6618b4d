"""The blueprint has the published numbers of parameters, and every layout's parameters are made of it, once each."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.config.blueprint import Weight, active_parameters, blueprint, parameters, training_flops
from pretrain.config.model import Model
from pretrain.models.binding import Binding, Slot, bind, cut

LAYER = {"kind": "layer"}


def gpt(layers: int, hidden: int, heads: int, vocabulary: int = 50257, activation: str = "gelu_tanh") -> dict[str, Any]:
    """GPT-3's shape: learned positions, LayerNorm, biases, tied."""
    return {
        "layers": layers,
        "hidden": hidden,
        "sequence_length": 2048,
        "vocabulary": vocabulary,
        "position": {"kind": "learned"},
        "norm": LAYER,
        "attention": {"kind": "grouped", "heads": heads, "groups": heads, "bias": "all"},
        "feed_forward": {"kind": "plain", "width": 4 * hidden, "activation": activation},
    }


def llama(
    layers: int, hidden: int, heads: int, groups: int, width: int, vocabulary: int, **more: Any
) -> dict[str, Any]:
    """LLaMA's shape; `head`, `bias`, `normed` and `tied` as Qwen has them."""
    return {
        "layers": layers,
        "hidden": hidden,
        "sequence_length": 4096,
        "vocabulary": vocabulary,
        "embedding": {"tied": more.get("tied", False)},
        "attention": {
            "kind": "grouped",
            "heads": heads,
            "groups": groups,
            "width": more.get("head", 0),
            "bias": more.get("bias", "none"),
            "query_key_norm": more.get("normed", False),
        },
        "feed_forward": more.get("experts", {"kind": "gated", "width": width}),
    }


# Published shapes and totals, to the last parameter: arXiv:2005.14165, 2302.13971, 2307.09288, 2407.21783, the model
# cards of Qwen2.5 and Qwen3, and FineWeb's ablation models (arXiv:2406.17557), which are printed as 1.71B tied.
PUBLISHED: dict[str, tuple[dict[str, Any], int]] = {
    "gpt3_125m": (gpt(12, 768, 12), 125_226_240),
    "gpt3_1.3b": (gpt(24, 2048, 16), 1_315_723_264),
    "gpt3_175b": (gpt(96, 12288, 96), 174_604_259_328),
    "llama_7b": (llama(32, 4096, 32, 32, 11008, 32000), 6_738_415_616),
    "llama_65b": (llama(80, 8192, 64, 64, 22016, 32000), 65_285_660_672),
    "llama2_70b": (llama(80, 8192, 64, 8, 28672, 32000), 68_976_648_192),
    "llama3_8b": (llama(32, 4096, 32, 8, 14336, 128256), 8_030_261_248),
    "llama3_405b": (llama(126, 16384, 128, 8, 53248, 128256), 405_853_388_800),
    "qwen2.5_0.5b": (llama(24, 896, 14, 2, 4864, 151936, bias="qkv", tied=True), 494_032_768),
    "qwen2.5_7b": (llama(28, 3584, 28, 4, 18944, 152064, bias="qkv"), 7_615_616_512),
    "qwen3_0.6b": (llama(28, 1024, 16, 8, 3072, 151936, head=128, normed=True, tied=True), 596_049_920),
    "qwen3_32b": (llama(64, 5120, 64, 8, 25600, 151936, head=128, normed=True), 32_762_123_264),
    "qwen3_30b_a3b": (
        llama(
            *(48, 2048, 32, 4, 0, 151936),
            head=128,
            normed=True,
            experts={"kind": "experts", "experts": 128, "chosen": 8, "width": 768},
        ),
        30_532_122_624,
    ),
    "fineweb_ablation": (llama(24, 2048, 32, 32, 8192, 50257, tied=True), 1_713_639_424),
    "baichuan_7b": (llama(32, 4096, 32, 32, 11008, 64000), 7_000_559_616),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_number(name):
    described, total = PUBLISHED[name]
    model = Model(**described)
    assert parameters(model, model.vocabulary) == total
    names = [weight.name for weight in blueprint(model, model.vocabulary)]
    assert len(set(names)) == len(names)


def test_active_parameters_and_flops_count_what_a_token_meets():
    mixture = Model(**PUBLISHED["qwen3_30b_a3b"][0])
    assert round(active_parameters(mixture, mixture.vocabulary) / 1e9, 3) == 3.353  # as published
    # PaLM's formula (arXiv:2204.02311, appendix B), with half of its attention: 6 N + 6 L H Q T a token.
    model = Model(**PUBLISHED["llama3_8b"][0])
    products = 8_030_261_248 - 128256 * 4096 - (2 * 32 + 1) * 4096  # the embedding is looked up, norms are no products
    assert training_flops(model, 128256) == 6 * products + 6 * 32 * 4096 * 4096


SMALL = {
    "layers": 4,
    "hidden": 16,
    "sequence_length": 8,
    "vocabulary": 24,
    "position": {"kind": "learned"},
    "norm": LAYER,
    "attention": {"kind": "grouped", "heads": 8, "groups": 4, "width": 6, "bias": "all", "query_key_norm": True},
    "feed_forward": {"kind": "plain", "width": 12},
}
MIXED = {
    **SMALL,
    "norm": {"kind": "rms"},
    "position": {"kind": "rotary"},
    "embedding": {"tied": False},
    "attention": {**SMALL["attention"], "bias": "qkv"},
    "feed_forward": {"kind": "experts", "experts": 4, "chosen": 2, "width": 6, "shared": 8},
    "overrides": {"0-1": {"feed_forward": {"kind": "gated", "width": 20}}},
}
ATTENTION = ["self_attention.linear_qkv.{}", "self_attention.linear_proj.{}"]
NORMED = ["self_attention.q_layernorm.{}", "self_attention.k_layernorm.{}"]
EXPERTS = [f"mlp.experts.local_experts.{expert}.linear_fc{linear}.weight" for expert in range(4) for linear in (1, 2)]
SHARED = ["mlp.router.weight", "mlp.shared_experts.linear_fc1.weight", "mlp.shared_experts.linear_fc2.weight"]


def local_names(model: Model, layers: range, experts: int) -> list[str]:
    """What megatron-core's local spec calls the parameters of some layers."""
    names = []
    for at, layer in enumerate(layers):
        dense = model.feed_forward_of(layer).kind != "experts"
        found = ["input_layernorm.{}", "pre_mlp_layernorm.{}", *ATTENTION, *NORMED]
        found += ["mlp.linear_fc1.{}", "mlp.linear_fc2.{}"] if dense else [*EXPERTS[: 2 * experts], *SHARED]
        names += [f"decoder.layers.{at}.{name}" for name in found]
    kinds = ("weight", "bias") if model.norm.kind == "layer" else ("weight",)
    biased = {"self_attention.linear_qkv.bias"} if model.attention.bias == "qkv" else set()
    out = [name.format(kind) for name in names for kind in kinds]
    out += [f"decoder.layers.{at}.{name}" for at, _ in enumerate(layers) for name in biased]
    return list(dict.fromkeys(out))


def bindings(model: Model, slot: Slot, layers: range) -> list[Binding]:
    weights = {weight.name: weight for weight in blueprint(model, model.vocabulary)}
    names = local_names(model, layers, 4 // slot.ep_size)
    if slot.first:
        names += ["embedding.word_embeddings.weight"]
        names += ["embedding.position_embeddings.weight"] if model.position.kind == "learned" else []
    if layers.stop == model.layers:
        names += ["decoder.final_layernorm.weight"]
        names += ["decoder.final_layernorm.bias"] if model.norm.kind == "layer" else []
        names += [] if model.embedding.tied and slot.first else ["output_layer.weight"]
    return [bind(name, model, weights, slot) for name in names]


def whole(model: Model) -> dict[str, np.ndarray]:
    """Every global tensor, each element with a number of its own."""
    counter = itertools.count()
    return {
        weight.name: np.fromiter(counter, np.int64, weight.size).reshape(weight.shape)
        for weight in blueprint(model, model.vocabulary)
    }


def values(
    tensors: dict[str, np.ndarray], weight: Weight, offsets: tuple[int, ...], extent: tuple[int, ...]
) -> np.ndarray:
    return tensors[weight.name][tuple(slice(a, a + n) for a, n in zip(offsets, extent, strict=True))]


@pytest.mark.parametrize(("tp", "ep", "pp"), [(1, 1, 1), (2, 2, 2), (4, 4, 1), (2, 1, 4)])
@pytest.mark.parametrize("described", [SMALL, MIXED], ids=["biases", "experts"])
def test_every_element_is_on_every_layout_once(described, tp, ep, pp):
    model, tensors = Model(**described), whole(Model(**described))
    seen = {name: np.zeros(array.shape, int) for name, array in tensors.items()}
    for stage, rank, expert in itertools.product(range(pp), range(tp), range(ep)):
        count = model.layers // pp
        slot = Slot(rank, tp, expert, ep, stage * count, stage == 0)
        for binding in bindings(model, slot, range(stage * count, (stage + 1) * count)):
            replicas_differ = not binding.expert and expert  # experts alone are split by ep, and they not by tp
            if binding.copy or replicas_differ or (binding.expert and rank) or (binding.whole and rank):
                continue
            for band in binding.bands:
                seen[band.weight.name][
                    tuple(slice(a, a + n) for a, n in zip(band.offsets, band.extent, strict=True))
                ] += 1
    assert all((array == 1).all() for array in seen.values()), [n for n, a in seen.items() if (a != 1).any()]


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(["biases", "experts"]), st.sampled_from([1, 2, 4]))
def test_a_flat_range_is_cut_into_boxes(data, kind, tp):
    model = Model(**{"biases": SMALL, "experts": MIXED}[kind])
    tensors = whole(model)
    slot = Slot(data.draw(st.integers(0, tp - 1)), tp, 0, 2, 0, True)
    binding = data.draw(st.sampled_from(bindings(model, slot, range(4))))
    local = np.concatenate([values(tensors, b.weight, b.offsets, b.extent).reshape(-1) for b in binding.bands])
    start = data.draw(st.integers(0, binding.size))
    stop = data.draw(st.integers(start, binding.size))
    pieces = list(cut(binding.bands, start, stop))
    assert [p.at for p in pieces] == [start + sum(q.box.size for q in pieces[:i]) for i in range(len(pieces))]
    found = [values(tensors, p.box.weight, p.box.offsets, p.box.extent).reshape(-1) for p in pieces]
    assert np.concatenate([*found, np.empty(0, np.int64)]).tolist() == local[start:stop].tolist()
    assert len(pieces) <= 3 * len(binding.bands)


def test_megatron_keeps_a_groups_queries_beside_its_key_and_value():
    model = Model(**SMALL)
    weights = {weight.name: weight for weight in blueprint(model, 24)}
    binding = bind("decoder.layers.0.self_attention.linear_qkv.weight", model, weights, Slot(1, 2, 0, 1, 2, False))
    told = [(b.weight.name.split(".")[-2], b.offsets[0], b.extent[0]) for b in binding.bands]
    # Heads of 6 rows; rank 1 of 2 has groups 2 and 3, that is query heads 4 to 7.
    assert told == [
        ("query", 24, 12),
        ("key", 12, 6),
        ("value", 12, 6),
        ("query", 36, 12),
        ("key", 18, 6),
        ("value", 18, 6),
    ]
    assert binding.bands[0].weight.name == "layers.2.attention.query.weight"


def test_names_do_not_depend_on_the_layer_spec():
    model = Model(**MIXED)
    weights = {weight.name: weight for weight in blueprint(model, 24)}
    slot = Slot(0, 1, 1, 2, 0, True)
    for local, engine in (
        ("0.input_layernorm.weight", "0.self_attention.linear_qkv.layer_norm_weight"),
        ("0.pre_mlp_layernorm.weight", "0.mlp.linear_fc1.layer_norm_weight"),
        ("3.mlp.experts.local_experts.1.linear_fc1.weight", "3.mlp.experts.linear_fc1.weight1"),
        ("3.mlp.experts.local_experts.0.linear_fc2.weight", "3.mlp.experts.linear_fc2.weight0"),
    ):
        one, other = (bind(f"decoder.layers.{name}", model, weights, slot) for name in (local, engine))
        assert one == other
    assert one.bands[0].offsets == (2, 0, 0)  # expert 0 of the second rank
    with pytest.raises(KeyError, match=r"decoder.layers.0.mlp.router.weight.*extend pretrain/models/binding.py"):
        bind("decoder.layers.0.mlp.router.weight", model, weights, slot)


def test_a_tied_output_layer_is_a_copy_of_the_embedding():
    model = Model(**SMALL)
    weights = {weight.name: weight for weight in blueprint(model, 24)}
    copy = bind("output_layer.weight", model, weights, Slot(0, 1, 0, 1, 2, False))
    assert (
        copy.copy
        and copy.bands == bind("embedding.word_embeddings.weight", model, weights, Slot(0, 1, 0, 1, 0, True)).bands
    )
