"""The trainer, on megatron.core: one loop for a CPU and for GPUs."""

PART_OF = "siku"  # another distribution's `pretrain` in this place does not say so
