"""The state of a run on the disk: copied at once, written by a thread, committed when every rank has its part."""

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any

import torch

from corpus.fault import fault_point
from pretrain.config import Model
from pretrain.engine.optimizer import WEIGHT, Optimizer
from pretrain.exchange.folder import Folder
from pretrain.models.binding import Box
from pretrain.models.build import ModelPart
from pretrain.models.draw import initial
from pretrain.parallel.mesh import Mesh
from pretrain.state import checkpoint
from pretrain.state.checkpoint import Checkpoint, CheckpointError, Floats, Stored
from pretrain.state.cursor import Cursor

Entry = tuple[Box, str, Floats]  # a box of a kind, and its values on the host


def _copied(optimizer: Optimizer, mesh: Mesh) -> list[Entry]:
    """What this rank stores, copied, so that training can go on."""
    entries, pinned = [], mesh.device.type == "cuda"
    for unit in optimizer.units:
        if not unit.mine:
            continue
        for kind, tensor in optimizer.tensors(unit).items():
            host = torch.empty(tensor.shape, dtype=torch.float32, pin_memory=pinned)
            host.copy_(tensor.detach(), non_blocking=True)
            entries += [(piece.box, kind, host.numpy()[part]) for piece, part in unit.pieces()]
    if pinned:
        torch.cuda.synchronize()
    return entries


class Saver:
    """Commits checkpoints in the background, one at a time. Ranks report to rank 0 through the checkpoint's folder."""

    def __init__(self, directory: Path, mesh: Mesh, digest: str, attempt: int) -> None:
        self._directory, self._mesh, self._digest, self._attempt = directory, mesh, digest, attempt
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self.seconds = 0.0  # that the last save took, from its start to its commit or this rank's report

    def start(self, optimizer: Optimizer, cursor: Cursor) -> None:
        """Copy the state and write it in the background; every rank calls it after the same step.

        A step that is there already is left as it is: the first commit wins. Raises what the save before met.
        """
        self.wait()
        final = self._directory / f"step-{cursor.step}"
        if final.exists():
            return
        content = {"digest": self._digest, **cursor.content()}
        entries, folder = _copied(optimizer, self._mesh), final.with_name(f"{final.name}.tmp-{self._attempt}")
        self._thread = threading.Thread(target=self._run, args=(entries, folder, final, content), daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise what a save has met, without waiting for it."""
        if self._error is not None:
            raise self._error

    def wait(self) -> None:
        """Until the save that is under way has ended; raises what it met."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.check()

    def _run(self, entries: Sequence[Entry], folder: Path, final: Path, content: dict[str, Any]) -> None:
        began = time.monotonic()
        try:
            self._write(entries, folder)
            if self._mesh.rank == 0:
                self._commit(folder, final, content)
        except OSError as error:
            self._error = CheckpointError(f"cannot write checkpoint {final}: {error}: make room and run again")
        except CheckpointError as error:
            self._error = error
        self.seconds = time.monotonic() - began

    def _write(self, entries: Sequence[Entry], folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        rank, stored = self._mesh.rank, []
        with (folder / f"rank-{rank}.bin").open("wb") as file:
            for box, kind, values in entries:
                fault_point("train.checkpoint:part")
                stored += checkpoint.write_box(file, box.weight.name, kind, box, values)
            file.flush()
            os.fsync(file.fileno())
        report = folder / f"rank-{rank}.json"
        temporary = report.with_suffix(".tmp")
        temporary.write_text(json.dumps([astuple(each) for each in stored]), encoding="utf-8")
        temporary.rename(report)

    def _commit(self, folder: Path, final: Path, content: dict[str, Any]) -> None:
        reports = [folder / f"rank-{rank}.json" for rank in range(self._mesh.layout.world)]
        deadline = time.monotonic() + self._mesh.layout.timeout_s
        while missing := [rank for rank, report in enumerate(reports) if not report.exists()]:
            if time.monotonic() > deadline:
                raise CheckpointError(
                    f"ranks {missing} have not written their part of {final} after layout.timeout_s="
                    f"{self._mesh.layout.timeout_s}: see their logs, and run again"
                )
            time.sleep(0.02)
        parts = [[Stored(*row) for row in json.loads(report.read_text(encoding="utf-8"))] for report in reports]
        fault_point("train.checkpoint:parts")
        for report in reports:
            report.unlink()
        checkpoint.commit(folder, final, content, parts)


@torch.no_grad()
def restore(optimizer: Optimizer, found: Checkpoint) -> Cursor:
    """Set weights and moments from a checkpoint of any layout; each rank reads its own slices alone."""
    for unit in optimizer.units:
        for kind, tensor in optimizer.tensors(unit).items():
            for piece, part in unit.pieces():
                box = piece.box
                values = found.read(box.weight.name, kind, box.offsets, box.extent)
                tensor[part] = torch.from_numpy(values).flatten().to(tensor.device)
    content = found.content
    cursor = Cursor(content["step"], content["next_sample"], content["tokens"], content["skipped"])
    optimizer.set_step(cursor.step)
    optimizer.publish()
    return cursor


Start = Callable[[Box], torch.Tensor]  # the initial weights of a box, fp32


def beginning(folder: str, model: Model, vocabulary: int, seed: int) -> Start:
    """Weights as a Hugging Face folder has them, or drawn where none is named."""
    if not folder:
        return partial(initial, seed=seed)
    read = Folder(Path(folder), model, vocabulary).read
    return lambda box: torch.from_numpy(read(box.weight.name, box.offsets, box.extent))


@torch.no_grad()
def begin(optimizer: Optimizer, start: Start) -> None:
    """Set the initial weights, of which each rank takes its own slices alone, and a state that has seen nothing."""
    for unit in optimizer.units:
        for tensor in optimizer.tensors(unit).values():
            tensor.zero_()
        master = optimizer.tensors(unit)[WEIGHT]
        for piece, part in unit.pieces():
            master[part] = start(piece.box).flatten().to(master.device)
    optimizer.set_step(0)
    optimizer.publish()


@torch.no_grad()
def fill(part: ModelPart, found: Checkpoint | None, start: Start) -> None:
    """Set the weights of a part that is only read: from a checkpoint, or as they begin."""
    for name, parameter in part.module.named_parameters():
        flat = torch.cat(
            [
                start(band).flatten()
                if found is None
                else torch.from_numpy(found.read(band.weight.name, WEIGHT, band.offsets, band.extent)).flatten()
                for band in part.bindings[name].bands
            ]
        )
        parameter.copy_(flat.view(parameter.shape))
