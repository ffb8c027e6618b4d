"""`siku export --what model --format hf`: a run's model, its tokenizer and its card as a Hugging Face folder."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from pipelines.engine.files import StoreError, explained
from pipelines.past.export import ExportError, new_folder, sources
from pipelines.past.history import History
from pipelines.past.summary import scores
from pipelines.past.trained import training, untrained
from pipelines.stages.train import checkpoint
from pretrain.config import Model, padded_vocabulary
from pretrain.config.blueprint import parameters
from pretrain.job import REFUSED, ExportJob
from pretrain.state.trajectory import recorded


class ExportFailedError(RuntimeError):
    """The process that writes the weights failed. `trace` is its own traceback."""

    def __init__(self, trace: str) -> None:
        super().__init__(f"the model's weights were not written: {trace.rpartition(chr(10))[2]}")
        self.trace = trace


def export_model(history: History, to: Path) -> dict[str, Any]:
    """Write the folder; returns what its `export.json` says. Raises ExportError, StoreError."""
    trained, to = training(history), to.expanduser().absolute()
    step = int(history.record["steps"])
    if trained is None or step == 0:
        raise ExportError(untrained(history))
    stage = trained.stage
    what = recorded(stage.directory)
    weights = checkpoint(stage.directory, step)
    if weights is None:
        raise StoreError(f"{stage.directory}/step-{step} is gone: run the same command again")
    with new_folder(to) as folder, explained(folder / "export"):
        model = TypeAdapter(Model).validate_python(what["model"])
        job = ExportJob(
            model=model,
            vocabulary=what["vocabulary"],
            eod=what["eod"],
            checkpoint=str(weights.absolute()),
            to=str(folder),
        )
        _weights(job, folder)
        _tokenizer(history, folder, model)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        last = trained.taken[step]
        body = {
            "run": history.name,
            "command": history.record["command"],
            "architecture": config["architectures"][0],
            "parameters": parameters(model, padded_vocabulary(model, job.vocabulary)),
            "step": step,
            "tokens": last.tokens,
            "loss": last.loss,
            "sources": sources(history),
            "held_out": scores(history),
            "training": {name: what[name] for name in ("model", "train", "precision", "mixture", "tokens_digest")},
            "stages": {each.name: each.digest for each in history.stages.values()},
        }
        (folder / "export.json").write_text(json.dumps(body, indent=1, ensure_ascii=False, sort_keys=True), "utf-8")
        (folder / "README.md").write_text(card(body), "utf-8")
    return body


def _weights(job: ExportJob, folder: Path) -> None:
    path = folder / ".job.json"
    path.write_bytes(TypeAdapter(ExportJob).dump_json(job))
    command = [sys.executable, "-P", "-m", "pretrain.exchange.hugging_face", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    path.unlink()
    said = done.stderr.strip()
    if done.returncode == REFUSED:
        raise ExportError(said.rpartition("\n")[2])
    if done.returncode:
        raise ExportFailedError(said)


def _tokenizer(history: History, folder: Path, model: Model) -> None:
    """The tokenizer's own file, and what transformers must know besides."""
    (stage,) = history.of_kind("tokenizer")
    path = history.artifact(stage).path("tokenizer")
    shutil.copyfile(path, folder / "tokenizer.json")
    ends = next(each["content"] for each in json.loads(path.read_text(encoding="utf-8"))["added_tokens"])
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": ends,
        "eos_token": ends,
        "model_max_length": model.sequence_length,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, ensure_ascii=False, indent=2), "utf-8")


def card(body: Mapping[str, Any]) -> str:
    """A model card: what the model is, what it was trained on and how, and how to ask it."""
    import yaml

    licences = sorted({licence for licence in body["sources"].values() if licence})
    head = {"library_name": "transformers", "pipeline_tag": "text-generation", "tags": ["siku"]}
    train = body["training"]["train"]
    paragraphs = [
        f"{body['architecture']} of {body['parameters']:,} parameters, trained for {body['step']:,} steps on "
        f"{body['tokens']:,} tokens by run `{body['run']}`. The last batch's loss was {body['loss']:.3f} nats a token.",
        f"```\n{body['command']}\n```",
        *(
            f"- held-out bits per byte, {language}: {score['model']:.3f}"
            for language, score in body["held_out"].items()
            if score["model"] is not None
        ),
        "## Data",
        *(f"- source `{name}`: licence {licence or 'not told'}" for name, licence in sorted(body["sources"].items())),
        f"- token shards `{body['training']['tokens_digest']}`; every stage's digest is in `export.json`",
        "## Training",
        f"- optimizer: `{json.dumps(train['optimizer'], sort_keys=True)}`",
        f"- schedule: `{json.dumps(train['schedule'], sort_keys=True)}`, warm-up {train['warmup_tokens']:,} tokens",
        f"- global batch: {train['global_batch']} samples of {body['training']['model']['sequence_length']} tokens",
        "## Use",
        "A document begins after the end-of-document token: put it before a prompt. "
        f"Licences of the sources, which the model's own must heed: {', '.join(licences) or 'not told'}.",
    ]
    front = yaml.safe_dump(head, allow_unicode=True, sort_keys=False)
    return f"---\n{front}---\n\n# {body['run']}\n\n" + "\n\n".join(paragraphs) + "\n"
