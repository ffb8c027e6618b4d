"""Checkpoints to Hugging Face folders: `python -m pretrain.exchange.hugging_face JOB.json` writes one.

fp32, as the masters are. The padding rows of an embedding stay here: the other side's vocabulary is the tokenizer's.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from pretrain.config import Model, padded_vocabulary
from pretrain.config.blueprint import Weight, blueprint
from pretrain.exchange.architecture import ExchangeError, Foreign, Part, architecture
from pretrain.job import REFUSED, ExportJob, read_job
from pretrain.state.checkpoint import Checkpoint

Floats = npt.NDArray[np.float32]
FILE_BYTES = 5 * 10**9  # as transformers' own
INDEX = "model.safetensors.index.json"
_VOCABULARY = ("embedding.weight", "output.weight")


def _extent(weight: Weight, part: Part, vocabulary: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(offsets, extent) of a part in its weight: the tokenizer's rows alone, one expert alone."""
    offsets, extent = [0] * len(weight.shape), list(weight.shape)
    if weight.name in _VOCABULARY:
        extent[0] = vocabulary
    if part.expert is not None:
        offsets[0], extent[0] = part.expert, 1
    return tuple(offsets), tuple(extent)


def _joined(foreign: Foreign, part_of: Callable[[Part], Floats]) -> Floats:
    parts = [part_of(part) for part in foreign.parts]
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return np.ascontiguousarray(whole.T if foreign.transposed else whole)


def tensors(found: Checkpoint, model: Model, vocabulary: int, eod: int) -> Iterator[tuple[str, Floats]]:
    """Every tensor of the Hugging Face form of a checkpoint, one at a time."""
    weights = {weight.name: weight for weight in blueprint(model, padded_vocabulary(model, vocabulary))}

    def part_of(part: Part) -> Floats:
        offsets, extent = _extent(weights[part.weight], part, vocabulary)
        values = found.read(part.weight, "weight", offsets, extent)
        return values if part.expert is None else values[0]

    for foreign in architecture(model, vocabulary, eod).tensors:
        yield foreign.name, _joined(foreign, part_of)


def _files(pairs: Iterator[tuple[str, Floats]], limit: int) -> Iterator[dict[str, Floats]]:
    """Tensors in files of at most `limit` bytes, but for one that is larger."""
    held: dict[str, Floats] = {}
    for name, values in pairs:
        if held and sum(each.nbytes for each in held.values()) + values.nbytes > limit:
            yield held
            held = {}
        held[name] = values
    yield held


def write(job: ExportJob, limit: int = FILE_BYTES) -> list[str]:
    """Write `config.json` and the weights into the job's folder; returns the names of the files."""
    folder, found = Path(job.to), Checkpoint(Path(job.checkpoint))
    config = architecture(job.model, job.vocabulary, job.eod).config
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    ends = {"bos_token_id": job.eod, "eos_token_id": job.eod}
    (folder / "generation_config.json").write_text(json.dumps(ends, indent=2), encoding="utf-8")
    where: dict[str, str] = {}
    size = 0
    for number, held in enumerate(_files(tensors(found, job.model, job.vocabulary, job.eod), limit), start=1):
        name = f"model-{number:05}.safetensors"
        save_file(dict(held), folder / name, metadata={"format": "pt"})
        where |= dict.fromkeys(held, name)
        size += sum(values.nbytes for values in held.values())
    return _named(folder, where, size)


def _named(folder: Path, where: Mapping[str, str], size: int) -> list[str]:
    """Give the files the names that transformers looks for, with an index where they are several."""
    names = sorted(set(where.values()))
    if len(names) == 1:
        (folder / names[0]).rename(folder / "model.safetensors")
        return ["config.json", "generation_config.json", "model.safetensors"]
    final = {name: f"{name.removesuffix('.safetensors')}-of-{len(names):05}.safetensors" for name in names}
    for name, whole in final.items():
        (folder / name).rename(folder / whole)
    index = {"metadata": {"total_size": size}, "weight_map": {tensor: final[name] for tensor, name in where.items()}}
    (folder / INDEX).write_text(json.dumps(index, indent=2), encoding="utf-8")
    return ["config.json", "generation_config.json", INDEX, *final.values()]


def main(arguments: Sequence[str]) -> int:
    """Write the folder of a job file; REFUSED, and one sentence, for a model that has no such form."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m pretrain.exchange.hugging_face JOB.json\n")
        return 2
    try:
        write(read_job(Path(arguments[0]), ExportJob))
    except ExchangeError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
