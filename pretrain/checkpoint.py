"""Checkpoints in Siku's own schema: global names and shapes, fp32, whatever layout wrote them.

`step-<n>/` holds `stage-<k>.bin` (raw little-endian tensors), `rng.bin` and `manifest.json`, which is written last
and names every tensor with its place and SHA-256. The folder is made under a temporary name and renamed when whole,
so that a `step-<n>` that exists is complete.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
import torch.distributed as dist

from pretrain.distributed import Place, versions
from pretrain.names import Piece
from pretrain.optimizer import Trained, gather

FORMAT = 1


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be written or trusted: names the file and the way out."""


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """Where one global tensor lies."""

    name: str
    kind: str
    shape: tuple[int, ...]
    file: str
    offset: int
    sha256: str


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _write_tensor(file: BinaryIO, piece: Piece, kind: str, tensor: torch.Tensor) -> TensorEntry:
    data = tensor.numpy().astype("<f4", copy=False).tobytes()
    entry = TensorEntry(
        piece.name, kind, piece.shape, Path(file.name).name, file.tell(), hashlib.sha256(data).hexdigest()
    )
    file.write(data)
    return entry


def _write_stage(trained: Trained, folder: Path) -> list[TensorEntry]:
    """Collective over the stage; its first rank writes, the others take part in the gathering."""
    place = trained.place
    if place.tp or place.dp:
        for _ in gather(trained):
            pass
        return []
    with (folder / f"stage-{place.pp}.bin").open("wb") as file:
        entries = [_write_tensor(file, piece, kind, tensor) for piece, kind, tensor in gather(trained)]
        file.flush()
        os.fsync(file.fileno())
    return entries


def random_states() -> dict[str, torch.Tensor]:
    """The states that dropout draws from, by name."""
    from megatron.core import tensor_parallel

    states = {"torch": torch.get_rng_state(), "device": torch.cuda.get_rng_state()}
    tracked = tensor_parallel.get_cuda_rng_tracker().get_states()
    return states | {f"tracker:{name}": state for name, state in tracked.items()}


def set_random_states(states: Mapping[str, torch.Tensor]) -> None:
    """The inverse of `random_states`."""
    from megatron.core import tensor_parallel

    torch.set_rng_state(states["torch"])
    torch.cuda.set_rng_state(states["device"])
    tracked = {name.removeprefix("tracker:"): state for name, state in states.items() if name.startswith("tracker:")}
    tensor_parallel.get_cuda_rng_tracker().set_states(tracked)


def _layout_key(place: Place) -> dict[str, Any]:
    layout = place.layout
    return {"tp": layout.tp, "pp": layout.pp, "dp": layout.dp, "device": place.device.type}


def _commit(folder: Path, final: Path, parts: list[dict[str, Any]], content: dict[str, Any], place: Place) -> None:
    """Rank 0: the random states, the manifest last, the rename."""
    rng: dict[str, dict[str, list[int]]] = {}
    with (folder / "rng.bin").open("wb") as file:
        for rank, part in enumerate(parts):
            rng[str(rank)] = {}
            for name, data in part["random"].items():
                rng[str(rank)][name] = [file.tell(), len(data)]
                file.write(data)
        file.flush()
        os.fsync(file.fileno())
    entries = sorted((entry for part in parts for entry in part["entries"]), key=lambda e: (e.name, e.kind))
    tensors = [asdict(entry) for entry in entries]
    layout_free = [[entry.name, entry.kind, entry.shape, entry.sha256] for entry in entries]
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "content": {**content, "tensors_sha256": hashlib.sha256(_canonical(layout_free)).hexdigest()},
        "tensors": tensors,
        "random": {
            "layout": _layout_key(place),
            "sha256": hashlib.sha256((folder / "rng.bin").read_bytes()).hexdigest(),
            "ranks": rng,
        },
        "record": {"versions": versions()},
    }
    manifest["sha256"] = hashlib.sha256(_canonical(manifest)).hexdigest()
    path = folder / "manifest.json"
    path.write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
    sync(path)
    sync(folder)
    folder.rename(final)
    sync(final.parent)


def save(directory: Path, trained: Trained, digest: str, step: int, samples: int) -> Path:
    """Write `step-<n>`; collective. A step that is there already is left as it is: the first commit wins."""
    place, final = trained.place, directory / f"step-{step}"
    name = [f"{final.name}.tmp-{os.getpid()}" if not final.exists() else ""]
    dist.broadcast_object_list(name, src=0)
    if not name[0]:
        return final
    folder = directory / name[0]
    try:
        if place.rank == 0:
            folder.mkdir()
        dist.barrier()
        random = {key: state.cpu().numpy().tobytes() for key, state in sorted(random_states().items())}
        part = {"entries": _write_stage(trained, folder), "random": random}
        parts: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(parts, part)
        if place.rank == 0:
            _commit(folder, final, parts, {"digest": digest, "step": step, "samples": samples}, place)
    except OSError as error:
        raise CheckpointError(f"cannot write checkpoint {final}: {error}: make room and run again") from error
    dist.barrier()
    return final


class Checkpoint:
    """A complete checkpoint, opened for reading; every tensor is checked against its SHA-256 as it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        manifest = path / "manifest.json"
        try:
            found = json.loads(manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{manifest} cannot be read ({error}): {self._way_out}") from error
        claimed = found.pop("sha256", None)
        if claimed != hashlib.sha256(_canonical(found)).hexdigest():
            raise CheckpointError(f"{manifest} does not match its own checksum: {self._way_out}")
        if found["format"] != FORMAT:
            raise CheckpointError(f"{manifest} has format {found['format']}, this is {FORMAT}: {self._way_out}")
        self.content: dict[str, Any] = found["content"]
        self._random: dict[str, Any] = found["random"]
        self.tensors = {
            (e["name"], e["kind"]): TensorEntry(**{**e, "shape": tuple(e["shape"])}) for e in found["tensors"]
        }

    @property
    def _way_out(self) -> str:
        return f"remove {self.path} and run again, which goes on from the checkpoint before it"

    @property
    def step(self) -> int:
        """The step after which it was taken."""
        return int(self.content["step"])

    def tensor(self, piece: Piece, kind: str) -> torch.Tensor:
        """A global tensor, memory-mapped; raises CheckpointError where it is missing, misshapen or damaged."""
        entry = self.tensors.get((piece.name, kind))
        if entry is None or entry.shape != piece.shape:
            raise CheckpointError(
                f"{self.path} has {piece.name} {kind} of shape {entry and entry.shape}, the model needs {piece.shape}: "
                "it belongs to another model"
            )
        path, count = self.path / entry.file, int(np.prod(entry.shape))
        try:
            data = np.memmap(path, dtype="<f4", mode="c", offset=entry.offset, shape=(count,))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} is missing or too short ({error}): {self._way_out}") from error
        if hashlib.sha256(data.data).hexdigest() != entry.sha256:
            raise CheckpointError(f"{path} does not match the checksum of {piece.name} ({kind}): {self._way_out}")
        return torch.from_numpy(data).view(entry.shape)

    def random_states(self, place: Place) -> dict[str, torch.Tensor] | None:
        """This rank's random states; None when another layout wrote them."""
        if self._random["layout"] != _layout_key(place):
            return None
        path = self.path / "rng.bin"
        data = path.read_bytes() if path.exists() else b""
        if hashlib.sha256(data).hexdigest() != self._random["sha256"]:
            raise CheckpointError(f"{path} does not match its checksum: {self._way_out}")
        places = self._random["ranks"][str(place.rank)]
        return {
            name: torch.from_numpy(np.frombuffer(data[at : at + size], np.uint8).copy())
            for name, (at, size) in places.items()
        }
