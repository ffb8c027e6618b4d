"""Checkpoints as boxes: each rank writes the parts of global tensors it owns, and reads those it needs.

`step-<n>/` holds `rank-<r>.bin` (raw little-endian fp32) and `manifest.json`, which is written last and names every
box with its place and SHA-256. The folder is made under a temporary name and renamed when whole, so that a `step-<n>`
that exists is complete. Names and shapes are the blueprint's, so any layout reads what any other wrote. numpy only:
whoever reads a checkpoint needs no torch.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from corpus.fault import fault_point
from pretrain.models.binding import Box

FORMAT = 2
MANIFEST = "manifest.json"
_BYTES_AT_ONCE = 2**24  # a reader checks whole boxes: this is the most it reads beyond its slice
Floats = npt.NDArray[np.float32]


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be written or trusted: names the file and the way out."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A box of one kind of one global tensor, and where it lies."""

    name: str
    kind: str
    offsets: tuple[int, ...]
    extent: tuple[int, ...]
    file: str
    at: int  # byte offset
    sha256: str


@dataclass(frozen=True, slots=True)
class Shape:
    """A global tensor."""

    name: str
    kind: str
    shape: tuple[int, ...]


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def canonical(value: object) -> bytes:
    """The one encoding of a value that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _rows(box: Box, values: Floats) -> Iterable[tuple[tuple[int, ...], tuple[int, ...], Floats]]:
    """A box in runs of rows that are not too large: (offsets, extent, values)."""
    *outer, rows, width = box.extent if len(box.extent) > 1 else (*box.extent, 1)
    step = max(1, _BYTES_AT_ONCE // (4 * width))
    if rows <= step or any(size != 1 for size in outer):
        yield box.offsets, box.extent, values
        return
    axis = len(outer)
    for first in range(0, rows, step):
        count = min(step, rows - first)
        offsets, extent = list(box.offsets), list(box.extent)
        offsets[axis], extent[axis] = offsets[axis] + first, count
        yield tuple(offsets), tuple(extent), values.reshape(-1)[first * width : (first + count) * width]


def write_box(file: BinaryIO, name: str, kind: str, box: Box, values: Floats) -> list[Stored]:
    """Append a box to a rank's file."""
    stored = []
    for offsets, extent, part in _rows(box, values):
        data = np.ascontiguousarray(part, "<f4").data.cast("B")
        digest = hashlib.sha256(data).hexdigest()
        stored.append(Stored(name, kind, offsets, extent, Path(file.name).name, file.tell(), digest))
        file.write(data)
    return stored


def overlap(
    one: tuple[Sequence[int], Sequence[int]], other: tuple[Sequence[int], Sequence[int]]
) -> tuple[tuple[slice, ...], tuple[slice, ...]] | None:
    """Where two boxes (offsets, extent) meet: as slices of each, or None."""
    first, second = [], []
    for a, size, b, length in zip(one[0], one[1], other[0], other[1], strict=True):
        low, high = max(a, b), min(a + size, b + length)
        if low >= high:
            return None
        first.append(slice(low - a, high - a))
        second.append(slice(low - b, high - b))
    return tuple(first), tuple(second)


def commit(folder: Path, final: Path, content: Mapping[str, Any], parts: Sequence[Sequence[Stored]]) -> None:
    """Write the manifest, last, and give the folder its name. `content` is what is compared, layout or not."""
    boxes = sorted((box for part in parts for box in part), key=lambda b: (b.name, b.kind, b.offsets))
    rows = [[b.name, b.kind, b.offsets, b.extent, b.file, b.at, b.sha256] for b in boxes]
    manifest: dict[str, Any] = {"format": FORMAT, "content": dict(content), "boxes": rows}
    manifest["sha256"] = hashlib.sha256(canonical(manifest)).hexdigest()
    path = folder / MANIFEST
    path.write_text(json.dumps(manifest, sort_keys=True), encoding="utf-8")
    sync(path)
    sync(folder)
    fault_point("train.checkpoint:manifest")
    folder.rename(final)
    sync(final.parent)
    fault_point("train.checkpoint:committed")


class Checkpoint:
    """A complete checkpoint, opened for reading; every box is checked against its SHA-256 when it is first read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        manifest = path / MANIFEST
        try:
            found = json.loads(manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{manifest} cannot be read ({error}): {self._way_out}") from error
        claimed = found.pop("sha256", None)
        if claimed != hashlib.sha256(canonical(found)).hexdigest():
            raise CheckpointError(f"{manifest} does not match its own checksum: {self._way_out}")
        if found["format"] != FORMAT:
            raise CheckpointError(f"{manifest} has format {found['format']}, this is {FORMAT}: {self._way_out}")
        self.content: dict[str, Any] = found["content"]
        self._boxes: dict[tuple[str, str], list[Stored]] = {}
        for name, kind, offsets, extent, file, at, sha256 in found["boxes"]:
            box = Stored(name, kind, tuple(offsets), tuple(extent), file, at, sha256)
            self._boxes.setdefault((name, kind), []).append(box)
        self._checked: set[tuple[str, int]] = set()

    @property
    def _way_out(self) -> str:
        return f"remove {self.path} and run again, which goes on from the checkpoint before it"

    @property
    def step(self) -> int:
        """The step after which it was taken."""
        return int(self.content["step"])

    def shapes(self) -> list[Shape]:
        """Every global tensor."""
        found = []
        for (name, kind), boxes in sorted(self._boxes.items()):
            axes = range(len(boxes[0].offsets))
            shape = tuple(max(box.offsets[axis] + box.extent[axis] for box in boxes) for axis in axes)
            found.append(Shape(name, kind, shape))
        return found

    def read(self, name: str, kind: str, offsets: Sequence[int], extent: Sequence[int]) -> Floats:
        """Part of a global tensor; raises CheckpointError where it is missing, misshapen or damaged."""
        out, filled = np.empty(tuple(extent), np.float32), 0
        for box in self._boxes.get((name, kind), []):
            if len(box.offsets) != len(out.shape):
                break
            met = overlap((offsets, extent), (box.offsets, box.extent))
            if met is not None:
                part = self._values(box)[met[1]]
                out[met[0]] = part
                filled += part.size
        if filled != out.size:
            raise CheckpointError(
                f"{self.path} has {filled} of the {out.size} elements of {name} ({kind}) at {tuple(offsets)} that the "
                "model needs: it belongs to another model"
            )
        return out

    def tensor(self, shape: Shape) -> Floats:
        """A whole global tensor."""
        return self.read(shape.name, shape.kind, (0,) * len(shape.shape), shape.shape)

    def _values(self, box: Stored) -> Floats:
        path = self.path / box.file
        try:
            data = np.memmap(path, dtype="<f4", mode="r", offset=box.at, shape=(math.prod(box.extent),))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} is missing or too short ({error}): {self._way_out}") from error
        if (box.file, box.at) not in self._checked:
            if hashlib.sha256(data.data).hexdigest() != box.sha256:
                raise CheckpointError(f"{path} does not match the checksum of {box.name} ({box.kind}): {self._way_out}")
            self._checked.add((box.file, box.at))
        return data.reshape(box.extent)
