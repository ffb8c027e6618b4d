"""`python -m pretrain.evaluate JOB.json`: bits per byte of a checkpoint on held-out documents.

Each document starts from EOD alone and ends in its EOD; long ones are read in overlapping windows, each token
scored once; sums are fp64 in id order, so that neither batching nor the order of shards shows.
"""

import json
import logging
import math
import sys
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.fault import fault_point
from corpus.shard import open_shard, sha256_file, write_shard
from pretrain.config import Layout, padded_vocabulary
from pretrain.data.shards import TokenShards
from pretrain.job import EvaluateJob, read_job
from pretrain.log import configure
from pretrain.objectives.score import Bootstrap, Estimate, Floats, Integers, Window, unigram_nats, windows
from pretrain.parallel.launch import die_with_parent, keep_threads_passive
from pretrain.train import fail

log = logging.getLogger("pretrain")

DOCUMENTS = pa.schema(
    [
        pa.field("id", pa.binary(16), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("tokens", pa.int64(), nullable=False),
        pa.field("nats", pa.float64(), nullable=False),
        pa.field("unigram_nats", pa.float64(), nullable=False),
    ]
)
QUIET_S = 10.0  # between lines of progress
_LOGITS_AT_ONCE = 2**24  # 64 MB of fp32
# Token losses of a batch: inputs [b, s] and targets [b, s] -> nats [b, s].
Scorer = Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], npt.NDArray[np.float32]]


class EvaluationError(RuntimeError):
    """An evaluation that cannot be made: names the file or language and the way out."""


class Progress:
    """A line every QUIET_S seconds: how many windows are scored, and when the rest will be."""

    def __init__(self, name: str, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._total, self._clock = name, total, clock
        self._started = self._spoke = clock()

    def __call__(self, done: int) -> None:
        """After `done` windows in all."""
        now = self._clock()
        if now - self._spoke >= QUIET_S:
            left = (now - self._started) / done * (self._total - done)
            log.info("  evaluating %s: %d of %d windows, %.0f s left", self._name, done, self._total, left)
            self._spoke = now


def score(
    shards: TokenShards,
    rows: Integers,
    eod: int,
    plan: list[Window],
    batch: int,
    scorer: Scorer,
    progress: Callable[[int], None] = lambda done: None,
) -> Floats:
    """Nats of each document in `rows`, fp64. Windows of like length share a batch, padded on the right."""
    order = sorted(range(len(plan)), key=lambda index: plan[index].start - plan[index].stop)
    sums = np.zeros(len(plan))
    for at in range(0, len(order), batch):
        chosen = order[at : at + batch]
        width = max(plan[index].stop - plan[index].start for index in chosen)
        inputs = np.full((len(chosen), width), eod, np.int64)
        targets = np.full((len(chosen), width), eod, np.int64)
        for line, index in enumerate(chosen):
            window = plan[index]
            row, size = int(rows[window.document]), window.stop - window.start
            targets[line, :size] = shards.tokens(row, window.start, window.stop)
            inputs[line, 1:size] = targets[line, : size - 1]
            if window.start:
                inputs[line, 0] = shards.tokens(row, window.start - 1, window.start)[0]
        nats = scorer(inputs, targets).astype(np.float64)
        for line, index in enumerate(chosen):
            window = plan[index]
            sums[index] = np.add.reduce(nats[line, window.scored - window.start : window.stop - window.start])
        progress(at + len(chosen))
    totals = np.zeros(len(rows))
    np.add.at(totals, [window.document for window in plan], sums)
    return totals


def model_scorer(job: EvaluateJob) -> Scorer:
    """The model at the job's checkpoint, or with its initial weights, as a scorer."""
    import torch

    from pretrain.parallel import platform as machine

    torch.set_num_threads(job.threads)
    layout = Layout(device=job.layout.device, timeout_s=job.layout.timeout_s)
    platform = machine.detect(layout.device)
    machine.install(platform)

    from pretrain.models.build import build
    from pretrain.objectives.cross_entropy import token_nats, vocabulary_slice
    from pretrain.parallel import mesh as world
    from pretrain.state.checkpoint import Checkpoint
    from pretrain.state.saver import beginning, fill

    mesh = world.join(layout, platform, world.rendezvous(timedelta(seconds=layout.timeout_s)))
    world.seed_dropout(job.train.seed, 0, mesh)
    (part,) = build(job.model, job.precision, platform, mesh, job.vocabulary)
    start = beginning(job.initial, job.model, job.vocabulary, job.train.seed)
    fill(part, Checkpoint(Path(job.checkpoint)) if job.checkpoint else None, start)
    part.module.eval()
    vocabulary = vocabulary_slice(job.vocabulary, padded_vocabulary(job.model, job.vocabulary), 0, 1, None)

    @torch.inference_mode()
    def scorer(inputs: npt.NDArray[np.int64], targets: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        tokens = torch.from_numpy(inputs).to(mesh.device)
        positions = torch.arange(tokens.size(1), device=mesh.device).expand_as(tokens)
        hidden = part.module(tokens, positions, None)
        wanted = torch.from_numpy(targets).to(mesh.device)
        nats = token_nats(hidden, part.module.output_weight, wanted, vocabulary, sequence_parallel=False)
        found: npt.NDArray[np.float32] = nats.cpu().numpy()
        return found

    return scorer


def evaluate_language(
    job: EvaluateJob, language: str, unigram: Floats, scorer: Scorer, batch: int | None = None
) -> pa.Table:
    """The documents of one language with their nats, in id order."""
    shards = TokenShards(language, job.held_out[language])
    rows = shards.by_id()
    seen = shards.counts(job.vocabulary)  # refuses tokens beyond the vocabulary
    plan = windows(shards.lengths[rows], job.model.sequence_length, job.evaluation.stride)
    if batch is None:
        batch = max(1, _LOGITS_AT_ONCE // (job.model.sequence_length * len(seen)))
    nats = score(shards, rows, job.eod, plan, batch, scorer, Progress(language, len(plan)))
    baseline = np.array([np.add.reduce(unigram[shards.tokens(int(row))]) for row in rows], np.float64)
    columns = [
        pa.array([shards.ids[row].tobytes() for row in rows], pa.binary(16)),
        pa.array([language] * len(rows), pa.string()),
        pa.array(shards.bytes[rows], pa.int64()),
        pa.array(shards.lengths[rows], pa.int64()),
        pa.array(nats, pa.float64()),
        pa.array(baseline, pa.float64()),
    ]
    return pa.Table.from_arrays(columns, schema=DOCUMENTS)


def _unigram(job: EvaluateJob) -> Floats:
    counts = np.zeros(job.vocabulary, np.int64)
    for name, paths in sorted(job.components.items()):
        counts += TokenShards(name, paths).counts(job.vocabulary)
    return unigram_nats(counts)


def _as_json(estimate: Estimate) -> dict[str, Any]:
    return {"bits_per_byte": estimate.value, "interval": estimate.interval and list(estimate.interval)}


def _compared(bootstrap: Bootstrap, nats: Floats, other: Floats) -> dict[str, Any]:
    """Another model on the same documents: its own figure, and model minus other with a paired interval."""
    difference = bootstrap.estimate(nats - other)
    return {
        **_as_json(bootstrap.estimate(other)),
        "difference": difference.value,
        "difference_interval": difference.interval and list(difference.interval),
    }


def _untrained_nats(path: str, table: pa.Table, language: str) -> Floats:
    other = open_shard(Path(path))
    other = other.filter(pc.equal(other["language"], language))
    if other["id"].to_pylist() != table["id"].to_pylist():
        raise EvaluationError(f"{path} scored other documents of {language!r}: evaluate the untrained model again")
    found: Floats = other["nats"].to_numpy()
    return found


def summarize(job: EvaluateJob, language: str, table: pa.Table) -> dict[str, Any]:
    """The figures of one language."""
    nats, sizes = table["nats"].to_numpy(), table["bytes"].to_numpy()
    bootstrap = Bootstrap(sizes, job.evaluation.resamples, job.evaluation.seed, language)
    found = {
        "documents": table.num_rows,
        "bytes": int(sizes.sum()),
        "tokens": int(table["tokens"].to_numpy().sum()),
        "nats": float(np.add.reduce(nats)),
        **_as_json(bootstrap.estimate(nats)),
        "unigram": _compared(bootstrap, nats, table["unigram_nats"].to_numpy()),
    }
    if job.untrained is not None:
        found["untrained"] = _compared(bootstrap, nats, _untrained_nats(job.untrained, table, language))
    return found


def evaluate(job: EvaluateJob) -> dict[str, Any]:
    """Score every language, write the table of documents and the result; returns the result."""
    unigram, scorer = _unigram(job), model_scorer(job)
    tables, languages = [], {}
    for language in sorted(job.held_out):
        table = evaluate_language(job, language, unigram, scorer)
        if not np.isfinite(table["nats"].to_numpy()).all():
            row = int(np.argmin(np.isfinite(table["nats"].to_numpy())))
            raise EvaluationError(
                f"{job.checkpoint}: document {table['id'][row].as_py().hex()} of {language!r} has no finite loss: "
                "evaluate an earlier checkpoint"
            )
        tables.append(table)
        languages[language] = summarize(job, language, table)
        log.debug(
            "%s: %d documents, %.3f bits per byte", language, table.num_rows, languages[language]["bits_per_byte"]
        )
    documents, output = Path(job.documents), Path(job.output)
    temporary = documents.with_suffix(".tmp")
    write_shard(temporary, tables, DOCUMENTS, compressed=False)
    temporary.rename(documents)
    fault_point("evaluate.result:write")
    result = {
        "checkpoint": None if job.checkpoint is None else Path(job.checkpoint).name,
        "vocabulary": job.vocabulary,
        "uniform_nats_per_token": math.log(job.vocabulary),
        "documents_sha256": sha256_file(documents),
        "languages": languages,
    }
    temporary = output.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1, sort_keys=True, allow_nan=False), encoding="utf-8")
    temporary.rename(output)
    return result


def main(arguments: list[str]) -> int:
    """Entry point."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m pretrain.evaluate JOB.json\n")
        return 2
    sys.excepthook = fail
    die_with_parent()
    keep_threads_passive()
    warnings.filterwarnings("ignore", module=r"megatron\.|torch\.distributed")
    configure()
    evaluate(read_job(Path(arguments[0]), EvaluateJob))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
