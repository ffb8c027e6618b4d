"""The trainer's log: plain lines to stderr, details among them where another process sorts them out."""

import logging
import os

from pretrain.job import LOG_LEVELS


def configure(*, speaks: bool = True) -> None:
    """Set up this process's log; a rank that does not speak says only what is wrong.

    With LOG_LEVELS in the environment each line begins with its level, and details (DEBUG) are written too.
    """
    levelled = LOG_LEVELS in os.environ
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s" if levelled else "%(message)s")
    level = logging.DEBUG if levelled else logging.INFO
    logging.getLogger("pretrain").setLevel(level if speaks else logging.WARNING)
