"""The root of the typed configuration, and the plain YAML that Hydra composes into it."""

PART_OF = "siku"  # another distribution's `conf` in this place does not say so
