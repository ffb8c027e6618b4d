"""Bytes that autograd keeps for a backward, as torch counts them: `python -m tests.pretrain.kept JOB.json...`."""

import sys
from datetime import timedelta
from pathlib import Path

from pretrain.job import TrainJob, read_job


def kept(job: TrainJob, mesh, platform) -> int:
    """Of one micro-batch through all layers, parameters left out; a tensor kept twice counts once."""
    import torch

    from pretrain.models.build import build

    (part,) = build(job.model, job.precision, platform, mesh, job.vocabulary)
    torch.nn.init.normal_(part.module.embedding.word_embeddings.weight)
    parameters = {parameter.untyped_storage().data_ptr() for parameter in part.module.parameters()}
    seen: dict[int, int] = {}
    held = []  # a storage that is given back could be taken for another's

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            seen[storage.data_ptr()] = storage.nbytes()
            held.append(tensor)
        return tensor

    shape = (job.layout.micro_batch, job.model.sequence_length)
    tokens = torch.zeros(shape, dtype=torch.int64)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        part.module(tokens, torch.arange(shape[1]).expand(shape), None)
    return sum(seen.values())


def main(paths: list[str]) -> int:
    """A number a job."""
    from pretrain.parallel import platform as machine

    platform = machine.detect("cpu")
    machine.install(platform)
    from pretrain.parallel import mesh as world

    jobs = [read_job(Path(path), TrainJob) for path in paths]
    mesh = world.join(jobs[0].layout, platform, world.rendezvous(timedelta(seconds=60)))
    world.seed_dropout(1, 0, mesh)
    print(*(kept(job, mesh, platform) for job in jobs))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
