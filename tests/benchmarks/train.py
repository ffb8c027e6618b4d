"""The trainer's speed and memory: `python -m tests.benchmarks.train [--model tiny] [--steps 30] [--threads 1]`.

Synthetic tokens at the demo's vocabulary; prints tokens per second (the median step, the first two left out), what a
start and a checkpoint cost, and the peak PSS of the process tree.

`--peer 12.5M|50M [--rounds 3]`: the same LLaMA here and in transformers' LlamaForCausalLM, in turns: tokens per CPU
second (of a process's own threads, so that a busy machine does not count; the first two steps left out), peak RSS.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
import yaml

from tests.pretrain.tools import ROOT, command, journal, small_job, write_job, write_tokens

VOCABULARY = 4096


def peak_pss(process: subprocess.Popen[str]) -> int:
    """Wait for the process; returns the largest sum of PSS seen over its tree, in bytes."""
    peak = 0
    while process.poll() is None:
        total = 0
        for member in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
            try:
                total += member.memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        peak = max(peak, total)
        time.sleep(0.2)
    return peak


PEERS: Mapping[str, dict[str, int]] = {  # tied embeddings
    "12.5M": {"layers": 6, "hidden": 384, "heads": 6, "groups": 2, "width": 1024, "vocabulary": 8064},
    "50M": {"layers": 8, "hidden": 640, "heads": 10, "groups": 10, "width": 1728, "vocabulary": 16384},
}
LENGTH, MICRO_BATCH, GLOBAL_BATCH = 256, 4, 8
FIRST = 2  # steps left out
MODES = {"fp32": ("fp32",), "bf16": ("bf16", "autocast")}  # of ours, and the peer's that stand against it


class Measured(NamedTuple):
    """One process: tokens a CPU second, peak RSS in bytes."""

    speed: float
    peak: int


def _highest(process: psutil.Process) -> int:
    """Peak RSS so far, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def _ours(folder: Path, size: Mapping[str, int], dtype: str, steps: int, threads: int) -> Measured:
    """CPU seconds as the journal's rows appear."""
    attention = {"kind": "grouped", "heads": size["heads"], "groups": size["groups"]}
    feed_forward = {"kind": "gated", "width": size["width"]}
    job = small_job(folder, steps=steps, threads=threads, vocabulary=size["vocabulary"], checkpoint_every=10**6)
    job["directory"] = tempfile.mkdtemp(dir=folder)
    job["model"] = {"layers": size["layers"], "hidden": size["hidden"], "sequence_length": LENGTH}
    job["model"] |= {"attention": attention, "feed_forward": feed_forward}
    path = folder / "tokens.arrow"
    if not path.exists():
        write_tokens(path, "bench", 3000, 1, size["vocabulary"])
    job |= {"components": {"bench": [str(path)]}, "precision": {"dtype": dtype}}
    job["train"] |= {"global_batch": GLOBAL_BATCH}
    job["layout"] = {"device": "cpu", "micro_batch": MICRO_BATCH}
    log = Path(job["directory"]) / "journal.jsonl"
    seen: list[float] = []
    with subprocess.Popen(command(write_job(folder, job)), cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        watched, peak = psutil.Process(process.pid), 0
        while process.poll() is None and len(seen) < steps:
            rows = log.read_bytes().count(b"\n") if log.exists() else 0
            if rows > len(seen):
                used, peak = watched.cpu_times(), _highest(watched)
                seen += [used.user + used.system] * (rows - len(seen))
            time.sleep(0.01)
    return Measured(_speed(seen), peak)


def _theirs(folder: Path, size: Mapping[str, int], mode: str, steps: int, threads: int) -> Measured:
    config = {
        "hidden_size": size["hidden"],
        "num_hidden_layers": size["layers"],
        "num_attention_heads": size["heads"],
        "num_key_value_heads": size["groups"],
        "intermediate_size": size["width"],
        "vocab_size": size["vocabulary"],
        "tie_word_embeddings": True,
        "max_position_embeddings": LENGTH,
    }
    settings = {"config": config, "mode": mode, "steps": steps, "threads": threads, "length": LENGTH}
    settings |= {"micro_batch": MICRO_BATCH, "global_batch": GLOBAL_BATCH}
    path = folder / "peer.json"
    path.write_text(json.dumps(settings))
    program = [sys.executable, "-m", "tests.benchmarks.llama_peer", str(path)]
    seen: list[float] = []
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        watched, peak = psutil.Process(process.pid), 0
        for line in process.stdout or ():
            seen.append(float(line))
            peak = _highest(watched) if watched.status() != psutil.STATUS_ZOMBIE else peak
    return Measured(_speed(seen), peak)


def _speed(seen: Sequence[float]) -> float:
    steps = len(seen) - FIRST
    if steps < 1:
        raise RuntimeError(f"only {len(seen)} steps were taken: run the command by itself to see why")
    return steps * GLOBAL_BATCH * LENGTH / (seen[-1] - seen[FIRST - 1])


def against_peer(name: str, rounds: int, steps: int, threads: int) -> None:
    """Print each round, then the medians and their ratios."""
    found: dict[str, list[Measured]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for number in range(rounds):
            for dtype, modes in MODES.items():
                sides = [("siku", dtype, _ours), *(("transformers", mode, _theirs) for mode in modes)]
                for side, mode, measure in sides[:: -1 if number % 2 else 1]:
                    each = measure(folder, PEERS[name], mode, steps, threads)
                    found.setdefault(f"{side} {mode}", []).append(each)
                    print(f"{name} round {number + 1} {side:12} {mode:8} {each.speed:7.0f} tokens/CPU-s", flush=True)
    speed = {key: statistics.median(each.speed for each in runs) for key, runs in found.items()}
    peak = {key: statistics.median(each.peak for each in runs) for key, runs in found.items()}
    for dtype, modes in MODES.items():
        for mode in modes:
            ours, theirs = f"siku {dtype}", f"transformers {mode}"
            ratio, rss = speed[ours] / speed[theirs], [peak[each] / 2**20 for each in (ours, theirs)]
            print(
                f"{name} {dtype} against {mode}: {speed[ours]:.0f} / {speed[theirs]:.0f} tokens a CPU second = "
                f"{ratio:.2f}; peak RSS {rss[0]:.0f} / {rss[1]:.0f} MiB = {rss[0] / rss[1]:.2f}"
            )


def main() -> int:
    """Train once and print the figures, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("model", "tiny"), ("train", "tiny"), ("dtype", "fp32")):
        parser.add_argument(f"--{name}", default=default)
    for name, default in (("steps", 30), ("threads", 1), ("micro_batch", 4), ("tp", 1), ("pp", 1), ("dp", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--peer", choices=PEERS)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    if chosen.peer:
        against_peer(chosen.peer, chosen.rounds, chosen.steps, chosen.threads)
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        job = small_job(folder, steps=chosen.steps, threads=chosen.threads, vocabulary=VOCABULARY)
        path = write_tokens(folder / "tokens.arrow", "bench", 3000, 1, VOCABULARY)
        layout = {name: getattr(chosen, name) for name in ("micro_batch", "tp", "pp", "dp")}
        for group in ("model", "train"):
            job[group] = yaml.safe_load((ROOT / "conf" / group / f"{getattr(chosen, group)}.yaml").read_text("utf-8"))
        job |= {"components": {"bench": [str(path)]}, "layout": {"device": "auto", **layout}}
        job |= {"precision": {"dtype": chosen.dtype}, "checkpoint_every": chosen.steps}
        began = time.perf_counter()
        process = subprocess.Popen(command(write_job(folder, job)), cwd=ROOT, stderr=subprocess.PIPE, text=True)
        peak = peak_pss(process)
        wall = time.perf_counter() - began
        if process.returncode:
            sys.stderr.write(process.stderr.read() if process.stderr else "")
            return 1
        seconds = [row["seconds"] for row in journal(job)]
        rate = job["train"]["global_batch"] * job["model"]["sequence_length"] / statistics.median(seconds[2:])
    print(f"model {chosen.model}, {chosen.dtype}, {layout}, {chosen.threads} threads, {chosen.steps} steps")
    print(f"{rate:.0f} tokens/s, {wall:.1f} s in all, {wall - sum(seconds):.1f} s start and checkpoint")
    print(f"peak PSS {peak / 2**20:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
