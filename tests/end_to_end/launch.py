"""`siku` with many small home shards and, where SIKU_TEST_WORKERS is set, worker processes for the smallest input.

A 40-page site would make one shard, which no second worker could share.
"""

import os
import sys

from pipelines.cli import main as cli
from pipelines.engine import runner, shuffle


def main() -> int:
    """As `siku`."""
    shuffle.TARGET = 40_000
    if os.environ.get("SIKU_TEST_WORKERS"):
        runner.SMALL_INPUT = 0
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
