"""A run that starts from a Hugging Face folder: its model, its weights and its tokenizer as overrides."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from corpus.configuration import absolute
from corpus.tokenize import Encoder, TokenizerError
from pipelines.graph.checks import PlanError
from pretrain.config import ImportedModelError, Model
from pretrain.config.hugging_face import model_of, read_config

TOKENIZER = "tokenizer.json"


def start_from(folder: str | Path) -> dict[str, Any]:
    """What to override so that a run goes on from a folder: `siku run` with these is `siku import`.

    A sequence is as long as the folder's model can see, unless an override says otherwise. Raises PlanError.
    """
    path = Path(absolute(str(folder)))
    try:
        model = model_of(read_config(path))
        vocabulary = Encoder(path / TOKENIZER).vocabulary
    except (ImportedModelError, TokenizerError) as error:
        raise PlanError(f"--from {folder}: {error}") from None
    return {
        "model": TypeAdapter(Model).dump_python(model, mode="json"),
        "train": {"initial": str(path)},
        "recipe": {"tokenizer": {"file": str(path / TOKENIZER), "vocabulary": vocabulary}},
    }
