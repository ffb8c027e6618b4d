"""Small token shards and job files for the trainer's tests."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpus.document import tokens_schema
from corpus.shard import write_shard
from pretrain.state.checkpoint import Checkpoint
from tests import forked

ROOT = Path(__file__).resolve().parents[2]
VOCABULARY, EOD = 300, 0


def write_tokens(path: Path, name: str, documents: int, seed: int, vocabulary: int = VOCABULARY) -> Path:
    """Documents of a learnable language: runs of a walk over the vocabulary, each ending in EOD."""
    random = np.random.Generator(np.random.Philox(seed))
    rows = []
    for index in range(documents):
        length = int(random.integers(1, 200))
        steps = random.integers(1, 4, length).cumsum() + int(random.integers(0, vocabulary))
        tokens = np.append(steps % (vocabulary - 1) + 1, EOD)
        digest = hashlib.sha256(f"{name}:{seed}:{index}".encode()).digest()[:16]
        rows.append({"id": digest, "bytes": 3 * length, "tokens": tokens.tolist()})
    schema = tokens_schema("uint16")
    write_shard(path, [pa.RecordBatch.from_pylist(rows, schema)], schema, compressed=False)
    return path


def small_job(folder: Path, **changes: Any) -> dict[str, Any]:
    """A job of 12 steps on a model of two layers, as it stands in a job file; dotted keys set single fields."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = {}
    for seed, (name, documents) in enumerate((("en", 15), ("zh", 120))):
        path = folder / f"{name}.arrow"
        shards[name] = [str(path if path.exists() else write_tokens(path, name, documents, seed))]
    job: dict[str, Any] = {
        "directory": str(folder / "run"),
        "digest": "d" * 16,
        "model": {
            "layers": 2,
            "hidden": 32,
            "sequence_length": 32,
            "attention": {"kind": "grouped", "heads": 4, "groups": 2},
            "feed_forward": {"kind": "gated", "width": 48},
        },
        "train": {"global_batch": 8, "optimizer": {"kind": "adamw", "lr": 0.01}, "warmup_tokens": 1024},
        "precision": {},
        "mixture": {},
        "layout": {"device": "cpu", "micro_batch": 2, "timeout_s": 60},
        "vocabulary": VOCABULARY,
        "eod": EOD,
        "tokens_digest": "t" * 16,
        "components": shards,
        "steps": 12,
        "checkpoint_every": 5,
    }
    for key, value in changes.items():
        place = job
        *path, last = key.split("__")
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return job


def write_job(folder: Path, job: dict[str, Any], name: str = "job.json") -> Path:
    """The job file."""
    path = folder / name
    path.write_text(json.dumps(job), encoding="utf-8")
    return path


def command(path: Path, module: str = "pretrain.train") -> list[str]:
    """How pipelines starts it."""
    return [sys.executable, "-m", module, str(path)]


def run(path: Path, module: str = "pretrain.train", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return forked.run(command(path, module), cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1", **environment})


def run_many(
    paths: Sequence[Path], world: int = 1, *flags: str, module: str = "many"
) -> subprocess.CompletedProcess[str]:
    """Train many jobs in one world of processes, one after another."""
    program = [sys.executable, "-m", f"tests.pretrain.{module}", *flags, *map(str, paths)]
    if world > 1:
        code = "import sys; from pathlib import Path; from pretrain.parallel.launch import launch\n"
        code += f"sys.exit(launch(sys.argv[1:], {world}, Path({str(paths[0].parent / 'logs')!r})))"
        program = [sys.executable, "-c", code, *program]
    return forked.run(program, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})


def asked_for(request: pytest.FixtureRequest, *names: str) -> set[tuple[Any, ...]]:
    """Values of the parameters `names` in the tests that this session runs: what need not be made is not."""
    calls = [getattr(item, "callspec", None) for item in request.session.items if item.path == request.path]
    return {
        tuple(call.params[n] for n in names) for call in calls if call is not None and set(names) <= call.params.keys()
    }


def journal(job: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a job's journal."""
    text = (Path(job["directory"]) / "journal.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def losses(job: dict[str, Any]) -> list[float]:
    """Loss by step, rolled back rows left out."""
    last = {row["step"]: row for row in journal(job)}
    return [row["loss"] for _, row in sorted(last.items()) if row["status"] == "taken"]


def content(job: dict[str, Any], step: int) -> dict[str, str]:
    """SHA-256 of every global tensor of a checkpoint."""
    found = Checkpoint(Path(job["directory"]) / f"step-{step}")
    return {f"{s.name}/{s.kind}": hashlib.sha256(found.tensor(s).tobytes()).hexdigest() for s in found.shapes()}
