"""Two layouts side by side: `python -m tests.pretrain.drift JOB.json --steps 100 --layout tp=2 sequence_parallel=true`.

JOB.json is what a run leaves beside its training (`<store>/train/*/*/job.json`). Prints the losses of one process and
of the layout, and their largest difference so far.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from itertools import accumulate
from pathlib import Path

from tests.pretrain.tools import command, losses, write_job


def main(arguments: list[str]) -> int:
    """The status of the first run that fails, or 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", type=Path)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--layout", nargs="*", default=["tp=2", "sequence_parallel=true"])
    options = parser.parse_args(arguments)
    body = json.loads(options.job.read_text(encoding="utf-8"))
    given = (pair.partition("=") for pair in options.layout)
    layouts = {"one": {}, "other": {key: json.loads(value) for key, _, value in given}}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, layout in layouts.items():
            where = {"micro_batch": body["layout"]["micro_batch"], "device": body["layout"]["device"], **layout}
            job = body | {"directory": f"{folder}/{name}", "steps": options.steps, "layout": where}
            job |= {"checkpoint_every": options.steps, "threads": 1, "held_out": {}, "watch": {}}
            if status := subprocess.run(command(write_job(Path(folder), job, f"{name}.json")), check=False).returncode:
                return status
            found[name] = losses(job)
    pairs = list(zip(found["one"], found["other"], strict=True))
    worst = accumulate((abs(one - other) for one, other in pairs), max)
    print(f"step  one process  {' '.join(options.layout)}  largest difference")
    for step, ((one, other), so_far) in enumerate(zip(pairs, worst, strict=True), 1):
        if step % max(1, options.steps // 10) == 0:
            print(f"{step:>4}  {one:.6f}  {other:.6f}  {so_far:.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
