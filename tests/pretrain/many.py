"""One world, many jobs: `python -m tests.pretrain.many JOB.json...` trains each to its end, importing torch once.

Every job needs as many ranks as the world has; without a launcher's environment that is one.
"""

import functools
import sys
import warnings
from datetime import timedelta
from pathlib import Path

from pretrain import train as entry
from pretrain.job import TrainJob, read_job
from pretrain.parallel.launch import die_with_parent


def main(paths: list[str]) -> int:
    """The first status that is not 0, or 0."""
    sys.excepthook = entry.fail
    die_with_parent()
    warnings.filterwarnings("ignore", module=r"megatron\.|torch\.distributed")
    import torch.distributed as dist

    from pretrain.parallel import mesh, platform

    platform.install = functools.cache(platform.install)  # once a process
    store = mesh.rendezvous(timedelta(seconds=60))
    for number, path in enumerate(paths):
        mesh.rendezvous = lambda _, prefix=f"job {number}": dist.PrefixStore(prefix, store)
        if status := entry.run_rank(read_job(Path(path), TrainJob)):
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
