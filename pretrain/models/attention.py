"""Core attention over torch's scaled_dot_product_attention, for machines without Transformer Engine."""

import contextlib
import math
from typing import Any

import torch
from megatron.core import parallel_state, tensor_parallel
from megatron.core.process_groups_config import ProcessGroupCollection
from megatron.core.transformer.enums import AttnMaskType
from megatron.core.transformer.module import MegatronModule
from megatron.core.transformer.transformer_config import TransformerConfig

from pretrain.data.batches import context_positions


class CausalAttention(MegatronModule):  # type: ignore[misc] # megatron-core has no types
    """Causal self-attention without materialized scores; grouped keys and values are not repeated.

    Under context parallelism each rank has its queries and gathers all keys and values.
    """

    def __init__(
        self,
        config: TransformerConfig,
        layer_number: int,
        attn_mask_type: AttnMaskType,
        attention_type: str,
        cp_comm_type: str | None = None,
        softmax_scale: float | None = None,
        pg_collection: ProcessGroupCollection | None = None,
    ) -> None:
        super().__init__(config)
        if attn_mask_type != AttnMaskType.causal:
            raise ValueError(f"layer {layer_number}: attention mask {attn_mask_type} is not causal: use another module")
        self.scale = softmax_scale or 1.0 / math.sqrt(config.kv_channels)
        self.dropout = config.attention_dropout
        self.group = pg_collection.cp if pg_collection is not None else parallel_state.get_context_parallel_group()

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
        mask = None
        if self.group.size() > 1:
            key, value, mask = self._gathered(key, value)
        q, k, v = (tensor.permute(1, 2, 0, 3) for tensor in (query, key, value))
        with self._randomness():
            out = torch.nn.functional.scaled_dot_product_attention(
                q,
                k,
                v,
                attn_mask=mask,
                is_causal=mask is None,
                scale=self.scale,
                dropout_p=self.dropout if self.training else 0.0,
                enable_gqa=q.size(1) != k.size(1),
            )
        return out.permute(2, 0, 1, 3).reshape(query.size(0), query.size(1), -1)

    def _randomness(self) -> Any:  # noqa: ANN401 - a context manager
        """Tensor-parallel ranks have other heads, and so other dropout; under sequence parallelism upstream forks."""
        if not self.dropout or self.config.sequence_parallel:
            return contextlib.nullcontext()
        return tensor_parallel.get_cuda_rng_tracker().fork()

    def _gathered(self, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """All keys and values in their natural order, and which of them each query here may see."""
        size, rank, length = self.group.size(), self.group.rank(), key.size(0) * self.group.size()
        places = [torch.from_numpy(context_positions(each, size, length)).to(key.device) for each in range(size)]
        order = torch.cat(places).argsort()
        gather = tensor_parallel.gather_from_sequence_parallel_region
        key, value = (gather(tensor, group=self.group)[order] for tensor in (key, value))
        seen = places[rank][:, None] >= torch.arange(length, device=key.device)[None]
        return key, value, seen
