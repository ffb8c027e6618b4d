"""`python -m tests.pretrain.logits JOB.json...`: as `many`, and of each job the logits that its run begins with.

They go to `logits.npy` in the run's folder, of the first batch: [samples, sequence_length, vocabulary].
"""

import sys
from pathlib import Path

import numpy as np
import torch

from pretrain import train as entry
from pretrain.data.batches import Batches
from pretrain.job import TrainJob
from tests.pretrain import many


def logits(job: TrainJob, state) -> np.ndarray:
    """Of a single process."""
    (part,) = state.computer.parts
    order = (job.components, job.mixture, job.model.sequence_length, job.train.data_seed, job.vocabulary)
    tokens = torch.from_numpy(Batches(*order).samples(0, job.train.global_batch))[:, :-1]
    part.module.eval()
    with torch.no_grad():
        hidden = part.module(tokens, torch.arange(tokens.size(1)).expand_as(tokens), None)
    part.module.train()
    return (hidden @ part.module.output_weight[: job.vocabulary].T).transpose(0, 1).detach().numpy()


def main(arguments: list[str]) -> int:
    """Run the jobs with their build step wrapped."""
    build = entry._build

    def wrapped(job: TrainJob, *others):
        state = build(job, *others)
        if job.initial:
            np.save(Path(job.directory) / "logits.npy", logits(job, state))
        return state

    entry._build = wrapped
    return many.main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
