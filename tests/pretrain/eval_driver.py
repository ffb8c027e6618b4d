"""What a real model gives under the evaluation: `python eval_driver.py JOB.json` prints JSON."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch

from pretrain import evaluate as entry
from pretrain.job import EvaluateJob, read_job
from pretrain.objectives.score import bits_per_byte


def main(path: str) -> None:
    """A uniform model, and the job's own under several batch sizes and shard orders."""
    job = read_job(Path(path), EvaluateJob)
    flat = np.zeros(job.vocabulary)
    scorer = entry.model_scorer(job)
    tables = {str(batch): entry.evaluate_language(job, "zh", flat, scorer, batch) for batch in (1, 5, None)}
    ids = [table["id"].to_pylist() for table in tables.values()]
    assert ids[0] == ids[1] == ids[2] == sorted(ids[0])
    inputs = np.arange(1, 21, dtype=np.int64).reshape(1, -1)
    targets = inputs + 1
    alone, padded = scorer(inputs, targets), np.zeros((3, 32), np.int64)
    padded[1, :20] = inputs
    beside = scorer(padded, np.pad(targets.repeat(3, 0), ((0, 0), (0, 12))))
    module = next(
        cell.cell_contents for cell in scorer.__wrapped__.__closure__ if hasattr(cell.cell_contents, "module")
    ).module
    with torch.no_grad():
        # Padding rows beyond the tokenizer's vocabulary must not matter, however loud they are.
        module.embedding.word_embeddings.weight[job.vocabulary :] = 100.0
        loud = scorer(inputs, targets)
        module.embedding.word_embeddings.weight.zero_()
    uniform = entry.evaluate_language(job, "zh", flat, scorer)
    sizes = uniform["bytes"].to_numpy()
    print(
        json.dumps(
            {
                "nats": {name: table["nats"].to_pylist() for name, table in tables.items()},
                "alone": alone[0].tolist(),
                "beside": beside[1, :20].tolist(),
                "loud": loud[0].tolist(),
                "uniform": bits_per_byte(uniform["nats"].to_numpy(), sizes),
                "expected": int(uniform["tokens"].to_numpy().sum()) * math.log2(job.vocabulary) / int(sizes.sum()),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
