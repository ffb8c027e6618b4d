"""One process, many jobs: `python -m tests.pretrain.many JOB.json...` trains each to its end, importing torch once."""

import functools
import sys
import warnings
from pathlib import Path

from pretrain import platform
from pretrain import train as entry
from pretrain.job import TrainJob, read_job


def main(paths: list[str]) -> int:
    """The first status that is not 0, or 0."""
    warnings.filterwarnings("ignore", module=r"megatron\.|torch\.distributed")
    platform.install = functools.cache(platform.install)  # once a process
    for path in paths:
        if status := entry.run_rank(read_job(Path(path), TrainJob)):
            return status
        from megatron.core import parallel_state

        parallel_state.destroy_model_parallel()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
