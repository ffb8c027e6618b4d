"""The model of a configuration in megatron-core: its GPT, put together from the parts that the configuration names."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from megatron.core.models.gpt import GPTModel
from megatron.core.models.gpt.gpt_layer_specs import (
    get_gpt_layer_local_spec,
    get_gpt_layer_with_transformer_engine_spec,
)
from megatron.core.transformer import TransformerConfig
from megatron.core.transformer.transformer_block import TransformerBlockSubmodules
from megatron.core.transformer.transformer_layer import TransformerLayer

from pretrain.config import Layout, Model, Precision, padded_vocabulary
from pretrain.config.blueprint import blueprint
from pretrain.config.model import Activation, Experts, Gated, RootMeanSquare, Rotary
from pretrain.models.attention import CausalAttention
from pretrain.models.binding import Binding, Slot, bind
from pretrain.models.norm import Norm
from pretrain.parallel.mesh import Mesh
from pretrain.parallel.platform import Platform

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_ACTIVATIONS: Mapping[Activation, Callable[[torch.Tensor], torch.Tensor]] = {
    "silu": torch.nn.functional.silu,
    "gelu": torch.nn.functional.gelu,
    "gelu_tanh": functools.partial(torch.nn.functional.gelu, approximate="tanh"),
    "relu": torch.nn.functional.relu,
}
_POSITIONS = {"rotary": "rope", "learned": "learned_absolute", "none": "none"}


@dataclass(frozen=True, slots=True)
class ModelPart:
    """A run of layers on a rank, with the embedding or the output where it has them."""

    module: Any  # Decoder
    config: Any  # TransformerConfig
    bindings: Mapping[str, Binding]  # by parameter name
    has_output: bool


class Decoder(GPTModel):  # type: ignore[misc] # megatron-core has no types
    """megatron-core's GPT up to its last hidden states [s, b, hidden]: the objective has the output layer."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - upstream's signature
        super().__init__(*arguments, **named)
        if self.post_process:
            self.output_layer.forward = lambda hidden: hidden  # called all the same: hooks gather its weight

    def _postprocess(self, hidden_states: torch.Tensor, **_: object) -> torch.Tensor:
        out: torch.Tensor = self.output_layer(hidden_states) if self.post_process else hidden_states
        return out

    @property
    def output_weight(self) -> torch.Tensor:
        """[rows / tp, hidden]."""
        weight: torch.Tensor = (
            self.shared_embedding_or_output_weight()
            if self.share_embeddings_and_output_weights
            else self.output_layer.weight
        )
        return weight


class _Layer(TransformerLayer):  # type: ignore[misc] # megatron-core has no types
    """A layer with a configuration of its own."""

    def __init__(self, config: TransformerConfig, *arguments: Any, own: TransformerConfig, **named: Any) -> None:  # noqa: ANN401 - upstream's signature
        super().__init__(own, *arguments, **named)


def numerics(platform: Platform) -> dict[str, bool | str]:
    """What differs by device, chosen here alone: fused kernels need CUDA, the layer spec needs what is installed."""
    engine = platform.transformer_engine
    return {
        "layer_spec": "transformer_engine" if engine else "local",
        "core_attention": "transformer_engine" if engine else "torch sdpa",
        "fused_kernels": engine,
    }


def _feed_forward(model: Model, layout: Layout, layer: int) -> dict[str, Any]:
    part = model.feed_forward_of(layer)
    # Upstream multiplies a sequence's balance loss by the tokens of it that a rank has, where the sum over tokens wants
    # all tokens of the micro-batch.
    parts_of_sequence = layout.cp * (layout.tp if layout.sequence_parallel else 1)
    found: dict[str, Any] = {"ffn_hidden_size": part.width, "activation_func": _ACTIVATIONS[part.activation]}
    if not isinstance(part, Experts):
        return found | {"gated_linear_unit": isinstance(part, Gated), "add_bias_linear": part.bias}
    return found | {
        "gated_linear_unit": True,
        "add_bias_linear": False,
        "num_moe_experts": part.experts,
        "moe_ffn_hidden_size": part.width,
        "moe_router_topk": part.chosen,
        "moe_router_pre_softmax": part.chosen == 1,  # the weight of a single choice would always be 1
        "moe_router_score_function": part.score,
        "moe_router_dtype": "fp32",
        "moe_router_load_balancing_type": "seq_aux_loss" if part.balance else "none",
        "moe_aux_loss_coeff": part.balance * layout.micro_batch * parts_of_sequence,
        "moe_shared_expert_intermediate_size": part.shared or None,
        "moe_token_dispatcher_type": "alltoall",
        "expert_model_parallel_size": layout.ep,
        "expert_tensor_parallel_size": 1,
    }


def _recompute(model: Model, layout: Layout) -> dict[str, Any]:
    if "layer" in layout.recompute:
        return {"recompute_granularity": "full", "recompute_method": "uniform", "recompute_num_layers": 1}
    if not layout.recompute:
        return {}
    names = {"attention": "core_attn", "feed_forward": "moe" if isinstance(model.feed_forward, Experts) else "mlp"}
    return {"recompute_granularity": "selective", "recompute_modules": [names[part] for part in layout.recompute]}


def megatron_config(
    model: Model, precision: Precision, layout: Layout, platform: Platform, layer: int = 0
) -> TransformerConfig:
    """megatron-core's configuration as a layer sees it; weights are left unset, for they are drawn elsewhere."""
    dtype, fused = DTYPES[precision.dtype], bool(numerics(platform)["fused_kernels"])
    attention, rms = model.attention_of(layer), isinstance(model.norm, RootMeanSquare)
    return TransformerConfig(
        **_feed_forward(model, layout, layer),
        **_recompute(model, layout),
        num_layers=model.layers,
        hidden_size=model.hidden,
        num_attention_heads=attention.heads,
        num_query_groups=attention.groups,
        kv_channels=model.head_width(attention),
        add_qkv_bias=attention.bias == "qkv",
        qk_layernorm=attention.query_key_norm,
        attention_dropout=attention.dropout,
        normalization="RMSNorm" if rms else "LayerNorm",
        layernorm_epsilon=model.norm.epsilon,
        hidden_dropout=model.block.dropout,
        calculate_per_token_loss=True,  # gradients are sums over tokens: the engine divides once, by the global weight
        use_cpu_initialization=True,
        perform_initialization=False,
        params_dtype=dtype,
        pipeline_dtype=dtype,
        bf16=precision.dtype == "bf16",
        tensor_model_parallel_size=layout.tp,
        sequence_parallel=layout.sequence_parallel,
        context_parallel_size=layout.cp,
        pipeline_model_parallel_size=layout.pp,
        virtual_pipeline_model_parallel_size=layout.vpp if layout.vpp > 1 else None,
        deallocate_pipeline_outputs=True,
        batch_p2p_sync=platform.device == "cuda",
        bias_dropout_fusion=fused,
        bias_activation_fusion=fused and model.feed_forward_of(layer).activation == "silu",
        apply_rope_fusion=fused and isinstance(model.position, Rotary),
        masked_softmax_fusion=False,
        gradient_accumulation_fusion=False,
        cross_entropy_loss_fusion=False,
        deterministic_mode=platform.device == "cuda",
    )


def _layer_spec(model: Model, layer: int, platform: Platform, config: TransformerConfig) -> Any:  # noqa: ANN401 - a ModuleSpec
    experts, normed = config.num_moe_experts, config.qk_layernorm
    if platform.transformer_engine:
        spec = get_gpt_layer_with_transformer_engine_spec(experts, experts is not None, normed)
    else:
        spec = get_gpt_layer_local_spec(experts, False, normed, normalization=config.normalization)
        parts = spec.submodules
        parts.input_layernorm = parts.pre_mlp_layernorm = Norm
        parts.self_attention.submodules.core_attention = CausalAttention
        if normed:
            parts.self_attention.submodules.q_layernorm = parts.self_attention.submodules.k_layernorm = Norm
    spec.module, spec.params = _Layer, {"own": config}
    return spec


def _final_norm(platform: Platform) -> Any:  # noqa: ANN401 - a class, or what stands for one
    if not platform.transformer_engine:
        return Norm
    from megatron.core.extensions.transformer_engine import TENorm

    return TENorm


def _module(
    model: Model, precision: Precision, platform: Platform, mesh: Mesh, rows: int, chunk: int
) -> tuple[Decoder, TransformerConfig, Slot]:
    """One part of the model on this rank, weights unset."""
    layout, count = mesh.layout, model.layers // (mesh.layout.pp * mesh.layout.vpp)
    first = (chunk * layout.pp + mesh.pp) * count
    configs = [megatron_config(model, precision, layout, platform, layer) for layer in range(first, first + count)]
    specs = [_layer_spec(model, first + at, platform, config) for at, config in enumerate(configs)]
    config = next((each for each in configs if each.num_moe_experts), configs[0])
    has_input, has_output = first == 0, first + count == model.layers
    module = Decoder(
        config,
        TransformerBlockSubmodules(specs, _final_norm(platform)),
        vocab_size=rows,
        max_sequence_length=model.sequence_length,
        position_embedding_type=_POSITIONS[model.position.kind],
        rotary_base=model.position.base if isinstance(model.position, Rotary) else 10000,
        rotary_percent=model.position.fraction if isinstance(model.position, Rotary) else 1.0,
        share_embeddings_and_output_weights=model.embedding.tied,
        parallel_output=True,
        pre_process=has_input,
        post_process=has_output,
        vp_stage=chunk if layout.vpp > 1 else None,
    )
    if has_input:
        module.embedding.embedding_dropout.p = model.embedding.dropout
    slot = Slot(mesh.tp, layout.tp, mesh.ep, layout.ep, first, has_input)
    return module, config, slot


def build(model: Model, precision: Precision, platform: Platform, mesh: Mesh, vocabulary: int) -> tuple[ModelPart, ...]:
    """This rank's parts of the model in the order of their layers, weights unset."""
    rows = padded_vocabulary(model, vocabulary)
    weights = {weight.name: weight for weight in blueprint(model, rows)}
    parts = []
    for chunk in range(mesh.layout.vpp):
        module, config, slot = _module(model, precision, platform, mesh, rows, chunk)
        bindings = {}
        for name, parameter in module.named_parameters():
            parameter.data = parameter.data.to(mesh.device, DTYPES[precision.dtype])
            bindings[name] = bind(name, model, weights, slot)
            if parameter.numel() != bindings[name].size:
                raise RuntimeError(f"{name} has {parameter.numel()} elements, the blueprint {bindings[name].size}")
        parts.append(ModelPart(module.to(mesh.device), config, bindings, module.post_process))
    return tuple(parts)
