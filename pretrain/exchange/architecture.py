"""Which of Hugging Face's architectures a model is, and which of its tensors are which weights. No torch here.

One table for both directions: a foreign tensor is some weights one below the other, or their transpose. Names, shapes
and settings are those of transformers 5 (and 4.4x, which reads the same files).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pretrain.config.model import Experts, Gated, LayerNorm, Learned, Model, Plain, RootMeanSquare, Rotary

_ACTIVATIONS = {"silu": "silu", "gelu": "gelu", "gelu_tanh": "gelu_pytorch_tanh", "relu": "relu"}


class ExchangeError(ValueError):
    """A model that the other side has no form for: names the field, the value and the way out."""


@dataclass(frozen=True, slots=True)
class Part:
    """A weight of the blueprint, or one expert's."""

    weight: str
    expert: int | None = None


@dataclass(frozen=True, slots=True)
class Foreign:
    """A tensor of a Hugging Face file."""

    name: str
    parts: tuple[Part, ...]  # one below the other
    transposed: bool = False  # GPT-2 keeps [input, output]


@dataclass(frozen=True, slots=True)
class Architecture:
    """`config.json`, and the tensors in the order of the layers."""

    config: Mapping[str, Any]
    tensors: tuple[Foreign, ...] = field(repr=False)


def architecture(model: Model, vocabulary: int, eod: int) -> Architecture:
    """Raises ExchangeError for a model that is none of LLaMA, Qwen2, Qwen3, Mixtral and GPT-2."""
    if model.overrides:
        raise ExchangeError("model.overrides: layers of several kinds have no Hugging Face form here: export without")
    if isinstance(model.position, Learned):
        return _gpt2(model, vocabulary, eod)
    return _llama_like(model, vocabulary, eod)


def _kind(model: Model) -> tuple[str, str]:
    """Class and `model_type` of a model in LLaMA's shape."""
    attention, feed_forward, position = model.attention, model.feed_forward, model.position
    if not isinstance(position, Rotary) or position.fraction != 1 or not isinstance(model.norm, RootMeanSquare):
        raise ExchangeError(
            f"model.position={position.kind} and model.norm={model.norm.kind}: only rotary positions over whole heads "
            "beside rms norms, or learned positions beside layer norms, have a Hugging Face form here"
        )
    if isinstance(feed_forward, Experts):
        if attention.bias != "none" or attention.query_key_norm or feed_forward.shared or feed_forward.chosen < 2:
            raise ExchangeError(
                "model.feed_forward.kind=experts has Mixtral's form alone: no biases, no query_key_norm, shared=0, "
                "chosen of 2 or more"
            )
        if feed_forward.score != "softmax":
            raise ExchangeError(f"model.feed_forward.score={feed_forward.score}: Mixtral's is softmax")
        return "MixtralForCausalLM", "mixtral"
    if isinstance(feed_forward, Plain):
        raise ExchangeError("model.feed_forward.kind=plain beside rotary positions has no Hugging Face form here")
    if attention.query_key_norm and attention.bias == "none":
        return "Qwen3ForCausalLM", "qwen3"
    if attention.bias == "qkv" and not attention.query_key_norm:
        return "Qwen2ForCausalLM", "qwen2"
    if attention.query_key_norm:
        raise ExchangeError(f"model.attention.query_key_norm=true beside bias={attention.bias}: Qwen3 has no biases")
    return "LlamaForCausalLM", "llama"


def _common(model: Model, name: str, kind: str, vocabulary: int, eod: int) -> dict[str, Any]:
    ends = {"bos_token_id": eod, "eos_token_id": eod}  # every document begins after an EOD, and ends in one
    return {
        "architectures": [name],
        "model_type": kind,
        "vocab_size": vocabulary,
        "tie_word_embeddings": model.embedding.tied,
        "initializer_range": model.init.std,
        "dtype": "float32",
        **ends,
    }


def _llama_like(model: Model, vocabulary: int, eod: int) -> Architecture:
    name, kind = _kind(model)
    attention, feed_forward, position = model.attention, model.feed_forward, model.position
    base = position.base if isinstance(position, Rotary) else 0.0
    config = {
        **_common(model, name, kind, vocabulary, eod),
        "hidden_size": model.hidden,
        "intermediate_size": feed_forward.width,
        "num_hidden_layers": model.layers,
        "num_attention_heads": attention.heads,
        "num_key_value_heads": attention.groups,
        "head_dim": model.head_width(attention),
        "hidden_act": _ACTIVATIONS[feed_forward.activation],
        "max_position_embeddings": model.sequence_length,
        "rms_norm_eps": model.norm.epsilon,
        "rope_theta": base,
        "rope_parameters": {"rope_type": "default", "rope_theta": base},
        "attention_dropout": attention.dropout,
    }
    if kind == "llama":
        config |= {"attention_bias": attention.bias == "all", "mlp_bias": attention.bias == "all"}
    if kind in ("qwen2", "mixtral") and model.hidden != attention.heads * model.head_width(attention):
        raise ExchangeError(f"model.attention.width={attention.width}: {name} has heads of hidden / heads")
    if isinstance(feed_forward, Experts):
        config |= {
            "num_local_experts": feed_forward.experts,
            "num_experts_per_tok": feed_forward.chosen,
            "router_aux_loss_coef": feed_forward.balance,
            "sliding_window": None,
        }
    return Architecture(config, tuple(_llama_tensors(model)))


_ATTENTION = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "o_proj": "output"}


def _llama_tensors(model: Model) -> Iterator[Foreign]:
    yield Foreign("model.embed_tokens.weight", (Part("embedding.weight"),))
    for layer in range(model.layers):
        ours, theirs = f"layers.{layer}", f"model.layers.{layer}"
        names = {"input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm"}
        names |= {f"self_attn.{other}": f"attention.{own}" for other, own in _ATTENTION.items()}
        if model.attention.query_key_norm:
            names |= {"self_attn.q_norm": "attention.query_norm", "self_attn.k_norm": "attention.key_norm"}
        if not isinstance(model.feed_forward, Experts):
            names |= {f"mlp.{each}_proj": f"ffn.{each}" for each in ("gate", "up", "down")}
        for other, own in names.items():
            yield Foreign(f"{theirs}.{other}.weight", (Part(f"{ours}.{own}.weight"),))
            if _biased(model, own):
                yield Foreign(f"{theirs}.{other}.bias", (Part(f"{ours}.{own}.bias"),))
        if isinstance(model.feed_forward, Experts):
            yield from _mixtral_experts(model.feed_forward, f"{theirs}.block_sparse_moe", f"{ours}.ffn")
    yield Foreign("model.norm.weight", (Part("final_norm.weight"),))
    if not model.embedding.tied:
        yield Foreign("lm_head.weight", (Part("output.weight"),))


def _biased(model: Model, own: str) -> bool:
    group, _, name = own.partition(".")
    if group == "attention" and name in _ATTENTION.values():
        return model.attention.bias == "all" or (model.attention.bias == "qkv" and name != "output")
    return group == "ffn" and isinstance(model.feed_forward, Gated) and model.feed_forward.bias


def _mixtral_experts(part: Experts, theirs: str, ours: str) -> Iterator[Foreign]:
    yield Foreign(f"{theirs}.gate.weight", (Part(f"{ours}.router.weight"),))
    for expert in range(part.experts):
        for other, own in (("w1", "gate"), ("w3", "up"), ("w2", "down")):
            name = f"{theirs}.experts.{expert}.{other}.weight"
            yield Foreign(name, (Part(f"{ours}.experts.{own}.weight", expert),))


def _gpt2(model: Model, vocabulary: int, eod: int) -> Architecture:
    attention, feed_forward = model.attention, model.feed_forward
    wrong = {
        "model.norm.kind=rms": not isinstance(model.norm, LayerNorm),
        f"model.feed_forward.kind={feed_forward.kind}": not isinstance(feed_forward, Plain),
        f"model.attention.bias={attention.bias}": attention.bias != "all",
        f"model.attention.groups={attention.groups}": attention.groups != attention.heads,
        f"model.attention.width={attention.width}": model.head_width(attention) * attention.heads != model.hidden,
        "model.attention.query_key_norm=true": attention.query_key_norm,
        "model.embedding.tied=false": not model.embedding.tied,
    }
    if found := [name for name, is_wrong in wrong.items() if is_wrong]:
        raise ExchangeError(f"{' and '.join(found)} beside learned positions: GPT-2 has no such form")
    config = {
        **_common(model, "GPT2LMHeadModel", "gpt2", vocabulary, eod),
        "n_embd": model.hidden,
        "n_layer": model.layers,
        "n_head": attention.heads,
        "n_inner": feed_forward.width,
        "n_positions": model.sequence_length,
        "activation_function": _ACTIVATIONS[feed_forward.activation],
        "layer_norm_epsilon": model.norm.epsilon,
        "embd_pdrop": model.embedding.dropout,
        "resid_pdrop": model.block.dropout,
        "attn_pdrop": attention.dropout,
    }
    return Architecture(config, tuple(_gpt2_tensors(model)))


def _gpt2_tensors(model: Model) -> Iterator[Foreign]:
    yield Foreign("transformer.wte.weight", (Part("embedding.weight"),))
    yield Foreign("transformer.wpe.weight", (Part("position.weight"),))
    linears = {
        "attn.c_attn": ("attention.query", "attention.key", "attention.value"),
        "attn.c_proj": ("attention.output",),
        "mlp.c_fc": ("ffn.up",),
        "mlp.c_proj": ("ffn.down",),
    }
    for layer in range(model.layers):
        ours, theirs = f"layers.{layer}", f"transformer.h.{layer}"
        for kind in ("weight", "bias"):
            for other, own in (("ln_1", "attention_norm"), ("ln_2", "ffn_norm")):
                yield Foreign(f"{theirs}.{other}.{kind}", (Part(f"{ours}.{own}.{kind}"),))
            for other, parts in linears.items():
                below = tuple(Part(f"{ours}.{own}.{kind}") for own in parts)
                yield Foreign(f"{theirs}.{other}.{kind}", below, transposed=kind == "weight")
    for kind in ("weight", "bias"):
        yield Foreign(f"transformer.ln_f.{kind}", (Part(f"final_norm.{kind}"),))
