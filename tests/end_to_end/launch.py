"""`siku` with many small home shards and, if asked, worker processes for the smallest input.

A 40-page site would make one shard, which no second worker could share.
"""

from collections.abc import Sequence

from pipelines.cli import main as cli
from pipelines.engine import runner, shuffle


def main(arguments: Sequence[str], *, workers: bool = False) -> int:
    """As `siku`."""
    shuffle.TARGET = 40_000
    if workers:
        runner.SMALL_INPUT = 0
    return cli.main(arguments)
