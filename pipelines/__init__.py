"""How the corpus is made at any scale: stages, their identity, the store, Beam at the rim."""

PART_OF = "siku"  # another distribution's `pipelines` in this place does not say so
