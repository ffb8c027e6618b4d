"""A Hugging Face folder read as a checkpoint is: any box of any weight of the blueprint, and nothing beside it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open

from pretrain.config import Model, check_model, padded_vocabulary
from pretrain.config.blueprint import Weight, blueprint
from pretrain.exchange.architecture import ExchangeError, Foreign, architecture

Floats = npt.NDArray[np.float32]
_LONGER = ("embedding.weight", "output.weight", "position.weight")  # the folder may have more rows, or fewer of padding
# What some files hold besides weights: masks and frequencies that the model's code makes anew.
_BUFFERS = re.compile(r"\.attn\.(masked_)?bias$|\.rotary_emb\.inv_freq$")


class _Place(NamedTuple):
    """Where a weight, or one expert's, lies: rows [first, first + rows) of a foreign tensor."""

    tensor: str
    first: int
    rows: int
    transposed: bool


class Folder:
    """The weights of a folder for a model here; raises ImportedModelError or ExchangeError where they do not fit.

    Tensors of any float type are read as fp32. Rows of padding, which the folder has not, are 0.
    """

    def __init__(self, path: Path, model: Model, vocabulary: int) -> None:
        self.path, self._vocabulary = path, vocabulary
        self.elements_read = 0
        check_model(model, path)
        self._files = {name: file for file in self._open() for name in file.keys()}  # noqa: SIM118 - no mapping
        self._weights = {each.name: each for each in blueprint(model, padded_vocabulary(model, vocabulary))}
        self._places: dict[tuple[str, int | None], _Place] = {}
        table = architecture(model, vocabulary, 0).tensors
        self._check_names(model, {foreign.name for foreign in table})
        for foreign in table:
            self._place(foreign)

    def _open(self) -> list[Any]:
        paths = sorted(self.path.glob("*.safetensors"))
        if not paths:
            raise ExchangeError(f"{self.path} holds no *.safetensors: save the model with safe_serialization=True")
        return [safe_open(path, framework="pt") for path in paths]

    def _check_names(self, model: Model, names: set[str]) -> None:
        there = {name for name in self._files if not _BUFFERS.search(name)}
        if not any(name.startswith("transformer.") for name in there) and model.position.kind == "learned":
            self._files = {f"transformer.{name}": file for name, file in self._files.items()}
            there = {f"transformer.{name}" for name in there}  # GPT-2 as it was first published
        if model.embedding.tied:
            there -= {"lm_head.weight", "transformer.lm_head.weight"}
        if there != names:
            raise ExchangeError(
                f"{self.path} has {sorted(there - names)[:3]} that the model has not, and lacks "
                f"{sorted(names - there)[:3]}: describe the model as its config.json does"
            )

    def _slice(self, tensor: str) -> Any:  # noqa: ANN401 - safetensors has no types
        file = self._files[tensor]
        return file.get_slice(tensor if tensor in file.keys() else tensor.removeprefix("transformer."))  # noqa: SIM118

    def _place(self, foreign: Foreign) -> None:
        """Note where the parts of a tensor lie, and check that they fill it."""
        shape = tuple(self._slice(foreign.name).get_shape())
        shape = shape[::-1] if foreign.transposed else shape
        first = 0
        for part in foreign.parts:
            weight = self._weights[part.weight]
            wanted = weight.shape if part.expert is None else weight.shape[1:]
            rows = shape[0] if weight.name in _LONGER else wanted[0]
            self._places[part.weight, part.expert] = _Place(foreign.name, first, rows, foreign.transposed)
            first += rows
            short = weight.name != "position.weight" and weight.name in _LONGER and rows < self._vocabulary
            if shape[1:] != wanted[1:] or first > shape[0] or short:
                needed = (self._vocabulary if short else wanted[0], *wanted[1:])
                raise ExchangeError(f"{self.path}: {foreign.name} is {shape}, the model's {part.weight} {needed}")
        if first != shape[0]:
            raise ExchangeError(f"{self.path}: {foreign.name} has {shape[0]} rows, of which the model has {first}")

    def read(self, name: str, offsets: Sequence[int], extent: Sequence[int]) -> Floats:
        """A box of a weight of the blueprint, fp32."""
        weight = self._weights[name]
        if weight.expert is None:
            return self._read(weight, None, offsets, extent)
        experts = range(offsets[0], offsets[0] + extent[0])
        return np.stack([self._read(weight, expert, offsets[1:], extent[1:]) for expert in experts])

    def _read(self, weight: Weight, expert: int | None, offsets: Sequence[int], extent: Sequence[int]) -> Floats:
        tensor, first, rows, transposed = self._places[weight.name, expert]
        out = np.zeros(tuple(extent), np.float32)
        stop = min(offsets[0] + extent[0], rows)
        if offsets[0] >= stop:
            return out
        box = [slice(first + offsets[0], first + stop)]
        box += [slice(at, at + size) for at, size in zip(offsets[1:], extent[1:], strict=True)]
        values = self._slice(tensor)[tuple(box[::-1] if transposed else box)].to(torch.float32).numpy()
        self.elements_read += values.size
        out[: stop - offsets[0]] = values.T if transposed else values
        return out
