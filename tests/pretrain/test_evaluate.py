"""Evaluation of real models: the whole command, and what it must not depend on."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpus.document import tokens_schema
from corpus.shard import open_shard, write_shard
from pretrain.objectives.score import unigram_nats
from tests.pretrain.tools import EOD, ROOT, VOCABULARY, run, small_job, write_job, write_tokens


def evaluation(folder: Path, job: dict[str, Any], name: str, **changes: Any) -> dict[str, Any]:
    """An evaluation job of a training job."""
    shared = {key: job[key] for key in ("model", "train", "precision", "layout", "vocabulary", "eod", "components")}
    return shared | {
        "checkpoint": None,
        "held_out": {"zh": [str(folder / "held-zh.arrow")], "en": [str(folder / "held-en.arrow")], "none": []},
        "evaluation": {"resamples": 500},
        "output": str(folder / f"{name}.json"),
        "documents": str(folder / f"{name}.arrow"),
        **changes,
    }


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("evaluate")
    job = small_job(folder, steps=60, checkpoint_every=60)
    for name, seed in (("zh", 11), ("en", 12)):
        write_tokens(folder / f"held-{name}.arrow", name, 40, seed)
    done = run(write_job(folder, job))
    assert done.returncode == 0, done.stderr
    untrained = evaluation(folder, job, "untrained")
    trained = evaluation(
        folder, job, "trained", checkpoint=f"{job['directory']}/step-60", untrained=untrained["documents"]
    )
    for made in (untrained, trained):
        done = run(write_job(folder, made, "evaluate.json"), "pretrain.evaluate")
        assert done.returncode == 0, done.stderr
    driver = [sys.executable, "-m", "tests.pretrain.eval_driver", str(write_job(folder, trained, "driver.json"))]
    probe = subprocess.run(driver, cwd=ROOT, capture_output=True, text=True, check=False)
    assert probe.returncode == 0, probe.stderr
    return {
        "folder": folder,
        "job": job,
        "trained": json.loads(Path(trained["output"]).read_text()),
        "documents": open_shard(Path(trained["documents"])),
        "probe": json.loads(probe.stdout.splitlines()[-1]),
    }


def test_training_beats_the_untrained_and_the_unigram_beyond_chance(scored):
    for language in ("zh", "en"):
        found = scored["trained"]["languages"][language]
        low, high = found["interval"]
        assert low < found["bits_per_byte"] < high
        for other in ("untrained", "unigram"):
            assert found[other]["difference_interval"][1] < 0
            assert found[other]["difference"] == pytest.approx(found["bits_per_byte"] - found[other]["bits_per_byte"])


def test_figures_are_sums_over_the_documents_of_the_shards(scored):
    table, languages = scored["documents"], scored["trained"]["languages"]
    train = [row for paths in scored["job"]["components"].values() for row in open_shard(Path(paths[0])).to_pylist()]
    counts = np.bincount(np.concatenate([row["tokens"] for row in train]), minlength=VOCABULARY)
    for language in ("zh", "en"):
        rows = {row["id"]: row for row in open_shard(scored["folder"] / f"held-{language}.arrow").to_pylist()}
        own = [row for row in table.to_pylist() if row["language"] == language]
        assert [row["id"] for row in own] == sorted(rows)
        for row in own:
            assert row["bytes"] == rows[row["id"]]["bytes"] and row["tokens"] == len(rows[row["id"]]["tokens"])
            assert row["unigram_nats"] == pytest.approx(unigram_nats(counts)[rows[row["id"]]["tokens"]].sum())
        found = languages[language]
        assert (found["documents"], found["bytes"], found["tokens"]) == (
            40,
            sum(row["bytes"] for row in own),
            sum(row["tokens"] for row in own),
        )
        assert found["bits_per_byte"] == pytest.approx(found["nats"] / np.log(2) / found["bytes"])
        assert found["nats"] == pytest.approx(sum(row["nats"] for row in own))


def test_a_language_without_documents_has_no_figure(scored):
    found = scored["trained"]["languages"]["none"]
    assert (found["documents"], found["bits_per_byte"], found["unigram"]["bits_per_byte"]) == (0, None, None)


def test_a_uniform_model_is_exact_so_that_padding_rows_take_no_part(scored):
    assert VOCABULARY % 128 and scored["probe"]["uniform"] == pytest.approx(scored["probe"]["expected"], rel=1e-6)
    assert scored["probe"]["loud"] == scored["probe"]["alone"]


def test_batching_and_padding_do_not_show(scored):
    nats = scored["probe"]["nats"]
    assert nats["1"] == pytest.approx(nats["5"], rel=1e-5) and nats["1"] == pytest.approx(nats["None"], rel=1e-5)
    assert scored["probe"]["alone"] == pytest.approx(scored["probe"]["beside"], rel=1e-4)


def test_bad_input_is_one_clear_error(scored, tmp_path: Path):
    folder, job = scored["folder"], scored["job"]
    schema = tokens_schema("uint16")
    wide = {"id": b"w" * 16, "bytes": 3, "tokens": [VOCABULARY, EOD]}
    write_shard(tmp_path / "wide.arrow", [pa.RecordBatch.from_pylist([wide], schema)], schema, compressed=False)
    bad = evaluation(folder, job, "bad", components={"en": [str(tmp_path / "wide.arrow")]})
    done = run(write_job(tmp_path, bad), "pretrain.evaluate")
    assert done.returncode == 1
    assert done.stderr == (
        "TokenError: component 'en' holds token 300, but the vocabulary ends at 300: "
        "tokenize again with this tokenizer\n"
    )
