"""What must be fast: the plain reference of each kernel, its fast form, and what picks between them."""

PART_OF = "siku"  # another distribution's `kernels` in this place does not say so
