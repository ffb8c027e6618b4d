"""The kinds of stages, one a file, and what several share."""
