"""A trace of some steps by torch's profiler."""

from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from pretrain.engine.callbacks import StepResult
from pretrain.job import TrainJob
from pretrain.parallel.mesh import Mesh


class Profiler:
    """Traces the steps of `watch.profile`, or what of them this start takes: `profile/steps-A-B.rank-R.json`."""

    name = "profiler"

    def __init__(self, job: TrainJob, mesh: Mesh, step: int) -> None:
        (self._first, self._last), self._mesh = job.watch.profiled(), mesh
        self._folder = Path(job.directory) / "profile"
        self._trace: Any = None
        self._begun, self._step = 0, step
        self._follow(step)

    def _follow(self, step: int) -> None:
        """After a step: the trace begins before the first step of the window, and ends after its last."""
        self._step = step
        if self._trace is not None and step >= self._last:
            self._write()
        elif self._trace is None and self._first <= step + 1 <= self._last:
            activities = [torch.profiler.ProfilerActivity.CPU]
            if self._mesh.device.type == "cuda":
                activities.append(torch.profiler.ProfilerActivity.CUDA)
            self._trace, self._begun = torch.profiler.profile(activities=activities), step + 1
            self._trace.start()

    def after_step(self, result: StepResult) -> None:
        """Batches that were not taken are in the trace too."""
        self._follow(result.cursor.step)

    def _write(self) -> None:
        trace, self._trace = self._trace, None
        trace.stop()
        self._folder.mkdir(exist_ok=True)
        name = f"steps-{self._begun}-{self._step}.rank-{self._mesh.rank}.json"
        trace.export_chrome_trace(str(self._folder / name))

    def __enter__(self) -> "Profiler":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """A run that ends within the window leaves what it has traced."""
        if self._trace is not None:
            self._write()
