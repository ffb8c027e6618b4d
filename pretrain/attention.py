"""Core attention over torch's scaled_dot_product_attention, for machines without Transformer Engine."""

import math

import torch
from megatron.core.transformer.enums import AttnMaskType
from megatron.core.transformer.module import MegatronModule
from megatron.core.transformer.transformer_config import TransformerConfig


class CausalAttention(MegatronModule):  # type: ignore[misc] # megatron-core has no types
    """Causal self-attention without materialized scores; grouped keys and values are not repeated."""

    def __init__(
        self,
        config: TransformerConfig,
        layer_number: int,
        attn_mask_type: AttnMaskType,
        attention_type: str,
        cp_comm_type: str | None = None,
        softmax_scale: float | None = None,
        pg_collection: object = None,
    ) -> None:
        super().__init__(config)
        if attn_mask_type != AttnMaskType.causal:
            raise ValueError(f"layer {layer_number}: attention mask {attn_mask_type} is not causal: use another module")
        self.scale = softmax_scale or 1.0 / math.sqrt(config.kv_channels)
        self.dropout = config.attention_dropout

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        attn_mask_type: AttnMaskType | None = None,
        attention_bias: torch.Tensor | None = None,
        packed_seq_params: object = None,
    ) -> torch.Tensor:
        """[s, b, heads, width] each -> [s, b, heads x width]; raises ValueError for a mask, bias or packing."""
        if attention_mask is not None or attention_bias is not None or packed_seq_params is not None:
            raise ValueError("causal attention takes no mask, bias or packed sequences: use another core attention")
        q, k, v = (tensor.permute(1, 2, 0, 3) for tensor in (query, key, value))
        out = torch.nn.functional.scaled_dot_product_attention(
            q,
            k,
            v,
            is_causal=True,
            scale=self.scale,
            dropout_p=self.dropout if self.training else 0.0,
            enable_gqa=q.size(1) != k.size(1),
        )
        return out.permute(2, 0, 1, 3).reshape(query.size(0), query.size(1), -1)
