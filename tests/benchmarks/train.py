"""The trainer's speed and memory: `python -m tests.benchmarks.train [--model tiny] [--steps 30] [--threads 1]`.

Synthetic tokens at the demo's vocabulary; prints tokens per second (the median step, the first two left out), what a
start and a checkpoint cost, and the peak PSS of the process tree.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def main() -> int:
    """Train once and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("model", "tiny"), ("train", "tiny"), ("dtype", "fp32")):
        parser.add_argument(f"--{name}", default=default)
    for name, default in (("steps", 30), ("threads", 1), ("micro_batch", 4), ("tp", 1), ("pp", 1), ("dp", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    chosen = parser.parse_args()
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
