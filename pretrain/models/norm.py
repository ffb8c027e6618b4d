"""torch's norms in the place of megatron-core's, whose wrapper refuses sequence parallelism."""

import torch
from megatron.core.transformer.transformer_config import TransformerConfig


class Norm:
    """torch.nn.RMSNorm or LayerNorm over the last axis, in the model's number format."""

    def __new__(  # type: ignore[misc] # upstream builds a norm by calling a class
        cls, config: TransformerConfig, hidden_size: int, eps: float = 1e-5
    ) -> torch.nn.Module:
        """Upstream sums the gradients of what is marked `sequence_parallel` over the tensor-parallel ranks."""
        kind = torch.nn.RMSNorm if config.normalization == "RMSNorm" else torch.nn.LayerNorm
        norm = kind(hidden_size, eps=eps, dtype=config.params_dtype)
        for parameter in norm.parameters():
            parameter.sequence_parallel = config.sequence_parallel  # type: ignore[attr-defined]
        return norm
