"""A step: backward, norm, decide, apply; and what happens around it."""
