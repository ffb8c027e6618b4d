"""The model: megatron-core's GPT in LLaMA's shape, its initial weights and its loss."""

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import torch
from megatron.core import tensor_parallel
from megatron.core.models.gpt import GPTModel
from megatron.core.models.gpt.gpt_layer_specs import (
    get_gpt_layer_local_spec,
    get_gpt_layer_with_transformer_engine_spec,
)
from megatron.core.tensor_parallel.layers import set_tensor_model_parallel_attributes
from megatron.core.transformer import TransformerConfig

from pretrain.attention import CausalAttention
from pretrain.config import Layout, Model, Precision, padded_vocabulary
from pretrain.distributed import Place
from pretrain.names import Binding, Piece, bind
from pretrain.platform import Platform

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Built:
    """A rank's part of the model, with what names its parameters and masks its padding."""

    module: Any  # GPTModel
    config: Any  # TransformerConfig
    bindings: dict[str, Binding]
    vocabulary: int  # of the tokenizer
    rows: int  # of the embedding


def numerics(platform: Platform) -> dict[str, bool | str]:
    """What differs by device, chosen here alone: fused kernels need CUDA, the layer spec needs what is installed."""
    engine = platform.transformer_engine
    return {
        "layer_spec": "transformer_engine" if engine else "local",
        "core_attention": "transformer_engine" if engine else "torch sdpa",
        "fused_kernels": engine,
    }


def _recompute(layout: Layout) -> dict[str, Any]:
    if layout.recompute == "full":
        return {"recompute_granularity": "full", "recompute_method": "uniform", "recompute_num_layers": 1}
    return {"recompute_granularity": "selective"} if layout.recompute == "selective" else {}


def transformer_config(model: Model, precision: Precision, layout: Layout, platform: Platform) -> TransformerConfig:
    """megatron-core's configuration; weights are left unset, for `initial` draws them."""
    dtype, fused = DTYPES[precision.dtype], bool(numerics(platform)["fused_kernels"])
    return TransformerConfig(
        num_layers=model.layers,
        hidden_size=model.hidden,
        num_attention_heads=model.heads,
        num_query_groups=model.kv_groups,
        ffn_hidden_size=model.ffn,
        normalization="RMSNorm",
        layernorm_epsilon=model.norm_epsilon,
        gated_linear_unit=True,
        activation_func=torch.nn.functional.silu,
        add_bias_linear=False,
        hidden_dropout=model.dropout,
        attention_dropout=model.dropout,
        use_cpu_initialization=True,
        perform_initialization=False,
        params_dtype=dtype,
        pipeline_dtype=dtype,
        bf16=precision.dtype == "bf16",
        tensor_model_parallel_size=layout.tp,
        pipeline_model_parallel_size=layout.pp,
        bias_dropout_fusion=fused,
        bias_activation_fusion=fused,
        apply_rope_fusion=fused,
        masked_softmax_fusion=False,
        gradient_accumulation_fusion=False,
        cross_entropy_loss_fusion=False,
        deterministic_mode=platform.device == "cuda",
        **_recompute(layout),
    )


def _layer_spec(platform: Platform) -> Any:  # noqa: ANN401 - a megatron ModuleSpec
    if platform.transformer_engine:
        return get_gpt_layer_with_transformer_engine_spec()
    spec = get_gpt_layer_local_spec(normalization="RMSNorm")
    spec.submodules.self_attention.submodules.core_attention = CausalAttention
    return spec


def build(model: Model, precision: Precision, platform: Platform, place: Place, vocabulary: int) -> Built:
    """This rank's part of the model, weights unset."""
    config = transformer_config(model, precision, place.layout, platform)
    rows = padded_vocabulary(model, vocabulary)
    module = GPTModel(
        config,
        _layer_spec(platform),
        vocab_size=rows,
        max_sequence_length=model.sequence_length,
        position_embedding_type="rope",
        rotary_base=model.rope_base,
        share_embeddings_and_output_weights=model.tied,
        parallel_output=True,
        pre_process=place.first_stage,
        post_process=place.last_stage,
    ).to(place.device)
    first_layer = place.pp * (model.layers // place.layout.pp)
    bindings = {name: bind(name, model, rows, first_layer, place.first_stage) for name, _ in module.named_parameters()}
    for name, parameter in module.named_parameters():
        axis = bindings[name].pieces[0].axis
        if axis is not None:  # upstream marks slices while it draws weights, and only the marks count in the norm
            set_tensor_model_parallel_attributes(parameter, True, axis, 1)
    return Built(module, config, bindings, vocabulary, rows)


def initial(piece: Piece, model: Model, seed: int) -> torch.Tensor:
    """The global tensor before training, fp32 on the CPU: a function of (seed, name) alone.

    Normal with init_std; projections into the residual stream are scaled by 1/sqrt(2 layers) (GPT-2).
    """
    if len(piece.shape) == 1:
        return torch.ones(piece.shape)
    digest = hashlib.sha256(f"siku.weight:{seed}:{piece.name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    into_residual = piece.name.endswith(("attention.output.weight", "ffn.down.weight"))
    std = model.init_std / math.sqrt(2 * model.layers) if into_residual else model.init_std
    return torch.randn(piece.shape, generator=generator) * std


def token_losses(logits: torch.Tensor, targets: torch.Tensor, vocabulary: int, tp_rank: int) -> torch.Tensor:
    """Nats per token, [b, s] fp32, from this rank's columns of the logits [b, s, rows / tp].

    Rows beyond the tokenizer's vocabulary take no part in the softmax. The logits are written to.
    """
    columns = logits.size(-1)
    real = min(max(vocabulary - tp_rank * columns, 0), columns)
    logits = logits.float()
    if real < columns:
        logits.narrow(-1, real, columns - real).fill_(float("-inf"))
    losses: torch.Tensor = tensor_parallel.vocab_parallel_cross_entropy(logits, targets)
    return losses
