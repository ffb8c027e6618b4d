"""What a device can compute, measured: the yardstick of MFU."""

import time

import torch

LONG_ENOUGH_S = 0.01  # a product that takes so long has hidden what comes with starting it
LARGEST = {"cpu": 2048, "cuda": 16384}
TIMES = 3
_best: dict[tuple[torch.device, torch.dtype, int], float] = {}  # of this process


def matmul_peak(device: torch.device, dtype: torch.dtype, threads: int, *, again: bool = False) -> float:
    """FLOP/s of a square matrix product, the best that this process has seen; `again` looks once more.

    Others may be at work on the machine when it is looked for the first time: the peak of a busy one is too low.
    """
    key = (device, dtype, threads)
    if again or key not in _best:
        _best[key] = max(_best.get(key, 0.0), matmul_flops(device, dtype))
    return _best[key]


def matmul_flops(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a square matrix product, the best of sizes from 256 until one takes long enough.

    Torch's random state is left as it is.
    """
    size, best = 256, 0.0
    while True:
        generator = torch.Generator(device).manual_seed(1)
        try:
            matrix = torch.randn(size, size, generator=generator, device=device).to(dtype)
            seconds = min(_timed(matrix) for _ in range(TIMES))
        except torch.OutOfMemoryError:  # the model has the device: smaller products tell enough
            return best
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
