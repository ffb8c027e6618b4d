"""Every layout against one process: `python -m tests.pretrain.parity` prints the table.

fp32, dropout 0, from scratch, no shared checkpoint; gradients are clipped, so that the norm counts too.
"""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.pretrain.tools import ROOT, journal, losses, run, small_job, write_job

STEPS = 20
TOLERANCE = 1e-4
# name -> the layouts it goes through, each up to a step; a second one goes on from the first one's checkpoint.
CASES: dict[str, Sequence[tuple[int, dict[str, Any]]]] = {
    "one": [(STEPS, {})],
    "tp2": [(STEPS, {"tp": 2})],
    "dp2": [(STEPS, {"dp": 2})],
    "pp2": [(STEPS, {"pp": 2})],
    "dp2 zero1": [(STEPS, {"dp": 2, "zero1": True})],
    "tp2 pp2": [(STEPS, {"tp": 2, "pp": 2})],
    "tp2 dp2 zero1": [(STEPS, {"tp": 2, "dp": 2, "zero1": True})],
    "recompute full": [(STEPS, {"recompute": "full"})],
    "recompute selective": [(STEPS, {"recompute": "selective"})],
    "pp2, then tp2": [(8, {"pp": 2}), (STEPS, {"tp": 2})],
    "tp2, then dp2 zero1": [(8, {"tp": 2}), (STEPS, {"dp": 2, "zero1": True})],
    "dp2 zero1, then one": [(8, {"dp": 2, "zero1": True}), (STEPS, {})],
}


def torchrun(path: Path, processes: int) -> subprocess.CompletedProcess[str]:
    """The trainer's ranks started by torch's own launcher, on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    where = ["--master-addr", "127.0.0.1", "--master-port", str(port), "--nproc-per-node", str(processes)]
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *where, "-m", "pretrain.train", str(path)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def train(
    folder: Path, name: str, start: Callable[[Path], subprocess.CompletedProcess[str]] = run, **changes: Any
) -> dict[str, Any]:
    """Train a case; returns its job."""
    for target, layout in CASES[name]:
        job = small_job(folder, directory=str(folder / name.replace(" ", "-")), steps=target, **changes)
        job["layout"] |= {"micro_batch": 1, **layout}
        job["train"]["optimizer"]["clip"] = 0.5
        done = start(write_job(folder, job, f"{name.replace(' ', '-')}-{target}.json"))
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stderr}")
    return job


def difference(one: dict[str, Any], other: dict[str, Any]) -> tuple[float, float]:
    """Largest difference of losses, and of gradient norms, over the first 20 steps."""
    first, second = losses(one), losses(other)
    if len(first) != STEPS or len(second) != STEPS:
        raise RuntimeError(f"{len(first)} and {len(second)} losses, not {STEPS}")
    norms = [[row["grad_norm"] for row in journal(job)] for job in (one, other)]
    return (
        max(abs(a - b) for a, b in zip(first, second, strict=True)),
        max(abs(a - b) for a, b in zip(*norms, strict=True)),
    )


def main() -> int:
    """Print the table; 1 where a layout is beyond the tolerance."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, worst = Path(temporary), 0.0
        one = train(folder, "one")
        print(f"{'layout':24} {'largest difference of':>22}\n{'':24} {'loss':>10} {'grad norm':>11}")
        for name in list(CASES)[1:]:
            loss, norm = difference(one, train(folder, name))
            worst = max(worst, loss)
            print(f"{name:24} {loss:10.1e} {norm:11.1e}", flush=True)
    print(f"20 losses within {TOLERANCE}: {worst <= TOLERANCE}")
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
