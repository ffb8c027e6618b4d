"""What a device can compute, measured: the yardstick of MFU."""

import functools
import time

import torch

LONG_ENOUGH_S = 0.01  # a product that takes so long has hidden what comes with starting it
LARGEST = {"cpu": 2048, "cuda": 16384}
TIMES = 3


@functools.cache
def matmul_flops(device: torch.device, dtype: torch.dtype, threads: int) -> float:
    """FLOP/s of a square matrix product, the best that was seen, in sizes from 256 until one takes long enough.

    `threads` of this process share the work on a CPU. Torch's random state is left as it is.
    """
    size, best = 256, 0.0
    while True:
        generator = torch.Generator(device).manual_seed(1)
        matrix = torch.randn(size, size, generator=generator, device=device).to(dtype)
        seconds = min(_timed(matrix) for _ in range(TIMES))
        best = max(best, 2 * size**3 / seconds)
        if seconds >= LONG_ENOUGH_S or size >= LARGEST[device.type]:
            return best
        size *= 2


def _timed(matrix: torch.Tensor) -> float:
    _wait(matrix.device)
    began = time.perf_counter()
    _ = matrix @ matrix
    _wait(matrix.device)
    return max(time.perf_counter() - began, 1e-9)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
