"""What a document is and what is done to it: pure functions over Arrow. No Beam, no torch, no Hydra."""

PART_OF = "siku"  # another distribution's `corpus` in this place does not say so
