"""The model that a Hugging Face folder's `config.json` describes: the way back of `pretrain.exchange.architecture`.

Settings that a family knows and a model here has no form for are refused by name. No torch here.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pretrain.config.differences import differences
from pretrain.config.model import Activation, Model

CONFIG = "config.json"
Described = dict[str, Any]
_ACTIVATIONS: Mapping[str, Activation] = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}
# What training decides anew, whatever the folder says: it is no shape and no part of what a trained model computes.
OWN: tuple[str, ...] = (
    "sequence_length",
    "vocabulary",
    "init",
    "embedding.dropout",
    "block.dropout",
    "attention.dropout",
)
OWN += ("feed_forward.balance",)


class ImportedModelError(ValueError):
    """A Hugging Face folder that training cannot start from: names the file, the setting and the way out."""


def read_config(folder: Path) -> Described:
    """A folder's `config.json`. Raises ImportedModelError."""
    path = folder / CONFIG
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ImportedModelError(f"{path} cannot be read ({error}): name a folder that transformers loads") from None
    if not isinstance(found, dict):
        raise ImportedModelError(f"{path} is no JSON object: name a folder that transformers loads")
    return found


def model_of(config: Described) -> Model:
    """The model. Raises ImportedModelError for a family or a setting that has no form here."""
    kind = str(config.get("model_type"))
    if kind not in _FAMILIES:
        raise ImportedModelError(
            f"{CONFIG}: model_type={kind!r} is none of the families that are known here: {', '.join(sorted(_FAMILIES))}"
        )
    try:
        found = TypeAdapter(Model).validate_python(_FAMILIES[kind](config))
    except KeyError as error:
        raise ImportedModelError(f"{CONFIG} has no {error.args[0]}, which a {kind} model needs: add it") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ImportedModelError(f"{CONFIG} describes no model that there can be: {wrong}") from None
    return found


def _refuse(config: Described, **allowed: Any) -> None:  # noqa: ANN401 - JSON values
    """Settings that must have one of the values given, where they are there and not null."""
    for name, value in allowed.items():
        found = config.get(name)
        if found is not None and found not in value:
            raise ImportedModelError(f"{CONFIG}: {name}={found!r} has no form here: only {value[0]!r} is known")


def _activation(config: Described, name: str) -> str:
    found = config[name]
    if found not in _ACTIVATIONS:
        raise ImportedModelError(f"{CONFIG}: {name}={found!r}: only {', '.join(sorted(_ACTIVATIONS))} are known here")
    return _ACTIVATIONS[found]


def _rotary(config: Described) -> Described:
    """transformers 5 has the base among `rope_parameters`, 4 beside `rope_scaling`."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        raise ImportedModelError(f"{CONFIG}: rope_type={kind!r} has no form here: only 'default' is known")
    base = rope.get("rope_theta", config.get("rope_theta", 10000.0))
    fraction = rope.get("partial_rotary_factor", config.get("partial_rotary_factor", 1.0))
    return {"kind": "rotary", "base": base, "fraction": fraction}


def _shared(config: Described, bias: str, **attention: Any) -> Described:  # noqa: ANN401 - JSON values
    """What LLaMA and its kin have in common."""
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    width = config.get("head_dim") or 0
    return {
        "layers": config["num_hidden_layers"],
        "hidden": hidden,
        "sequence_length": config["max_position_embeddings"],
        "embedding": {"tied": bool(config.get("tie_word_embeddings", False))},
        "position": _rotary(config),
        "norm": {"kind": "rms", "epsilon": config["rms_norm_eps"]},
        "attention": {
            "kind": "grouped",
            "heads": heads,
            "groups": config.get("num_key_value_heads") or heads,
            "width": 0 if width * heads == hidden else width,
            "bias": bias,
            **attention,
        },
        "feed_forward": {
            "kind": "gated",
            "width": config["intermediate_size"],
            "activation": _activation(config, "hidden_act"),
            "bias": bias == "all",
        },
    }


def _llama(config: Described) -> Described:
    biased = bool(config.get("attention_bias", False))
    _refuse(config, mlp_bias=(biased,))
    return _shared(config, "all" if biased else "none")


def _qwen2(config: Described) -> Described:
    _refuse(config, use_sliding_window=(False,))
    return _shared(config, "qkv")


def _qwen3(config: Described) -> Described:
    _refuse(config, use_sliding_window=(False,), attention_bias=(False,))
    return _shared({"head_dim": 128, **config}, "none", query_key_norm=True)


def _mixtral(config: Described) -> Described:
    _refuse(config, sliding_window=(None,))
    experts = {
        "kind": "experts",
        "experts": config["num_local_experts"],
        "chosen": config["num_experts_per_tok"],
        "width": config["intermediate_size"],
        "activation": _activation(config, "hidden_act"),
        "balance": config.get("router_aux_loss_coef") or 0.0,
    }
    return {**_shared(config, "none"), "feed_forward": experts}


def _gpt2(config: Described) -> Described:
    _refuse(
        config,
        scale_attn_weights=(True,),
        scale_attn_by_inverse_layer_idx=(False,),
        add_cross_attention=(False,),
        tie_word_embeddings=(True,),
    )
    hidden, heads = config["n_embd"], config["n_head"]
    activation = _activation({"activation_function": "gelu_new", **config}, "activation_function")
    width = config.get("n_inner") or 4 * hidden
    return {
        "layers": config["n_layer"],
        "hidden": hidden,
        "sequence_length": config["n_positions"],
        "embedding": {"tied": True},
        "position": {"kind": "learned"},
        "norm": {"kind": "layer", "epsilon": config.get("layer_norm_epsilon", 1e-5)},
        "attention": {"kind": "grouped", "heads": heads, "groups": heads, "bias": "all"},
        "feed_forward": {"kind": "plain", "width": width, "activation": activation, "bias": True},
    }


_FAMILIES: Mapping[str, Callable[[Described], Described]] = {
    "llama": _llama,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "mixtral": _mixtral,
    "gpt2": _gpt2,
}


def check_model(model: Model, folder: Path) -> None:
    """Raise ImportedModelError where a model is another one than the folder's, `OWN` fields left out."""
    there = model_of(read_config(folder))
    if wrong := differences(_computed(there), _computed(model)):
        raise ImportedModelError(
            f"{folder / CONFIG} describes another model ({'; '.join(wrong)}): `siku import --from {folder}` sets it"
        )
    if model.position.kind == "learned" and model.sequence_length > there.sequence_length:
        raise ImportedModelError(
            f"model.sequence_length={model.sequence_length}: {folder} has learned {there.sequence_length} positions"
        )


def _computed(model: Model) -> Described:
    """What a model computes: its fields but for `OWN`, by their paths."""
    whole: Described = {"model": TypeAdapter(Model).dump_python(model, mode="json")}
    whole["model"]["attention"]["width"] = model.head_width(model.attention)
    for name in OWN:
        *path, last = f"model.{name}".split(".")
        place = whole
        for key in path:
            place = place[key]
        place.pop(last, None)
    return whole
