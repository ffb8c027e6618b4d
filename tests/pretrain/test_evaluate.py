"""Evaluation of real models: the whole command, and what it must not depend on."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import TypeAdapter

from corpus.document import tokens_schema
from corpus.shard import open_shard, write_shard
from pretrain.config import Mixture, Model, padded_vocabulary
from pretrain.config.blueprint import training_flops
from pretrain.data.batches import Batches
from pretrain.objectives.score import unigram_nats
from tests import forked
from tests.pretrain.tools import EOD, ROOT, VOCABULARY, journal, run, small_job, write_job, write_tokens


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
    watch = {"evaluate_every": 30, "profile": "3-4"}
    held_out = {f"web.{name}": [str(folder / f"held-{name}.arrow")] for name in ("zh", "en")}
    job = small_job(folder, steps=60, checkpoint_every=60, watch=watch, held_out=held_out)
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
    probe = forked.run(driver, cwd=ROOT)
    assert probe.returncode == 0, probe.stderr
    return {
        "folder": folder,
        "job": job,
        "trained": json.loads(Path(trained["output"]).read_text()),
        "documents": open_shard(Path(trained["documents"])),
        "probe": json.loads(probe.stdout.splitlines()[-1]),
        "metrics": [json.loads(line) for line in (Path(job["directory"]) / "metrics.jsonl").read_text().splitlines()],
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


def test_the_scores_on_the_way_are_those_at_the_end(scored):
    """By component, and of `source.language` components by each."""
    scores = [line for line in scored["metrics"] if "loss" not in line]
    assert [line["step"] for line in scores] == [30, 60]
    last = {name: value for name, value in scores[-1].items() if "/" in name}
    languages = scored["trained"]["languages"]
    expected = {
        f"bits_per_byte/{kind}{name}": languages[name] for kind in ("web.", "language/") for name in ("zh", "en")
    }
    assert last.keys() == {*expected, "bits_per_byte/source/web"}
    for name, found in expected.items():
        assert last[name] == pytest.approx(found["bits_per_byte"], rel=1e-6)
    nats, size = (sum(languages[name][key] for name in ("zh", "en")) for key in ("nats", "bytes"))
    assert last["bits_per_byte/source/web"] == pytest.approx(nats / np.log(2) / size, rel=1e-6)
    assert scores[0]["bits_per_byte/source/web"] > last["bits_per_byte/source/web"]


def test_figures_of_speed_and_loss_agree_with_the_journal(scored):
    rows = {row["step"]: row for row in journal(scored["job"])}
    lines = [line for line in scored["metrics"] if "loss" in line]
    model = TypeAdapter(Model).validate_python(scored["job"]["model"])
    flops = training_flops(model, padded_vocabulary(model, VOCABULARY))
    order = Batches(scored["job"]["components"], Mixture(), 32, 1, VOCABULARY).order
    for line in lines:
        steps = [rows[step] for step in range(line["step"] - 9, line["step"] + 1)]
        seconds = sum(row["seconds"] for row in steps)
        assert {name: line[name] for name in ("loss", "lr", "grad_norm", "tokens")} == {
            name: steps[-1][name] for name in ("loss", "lr", "grad_norm", "tokens")
        }
        assert line["tokens_per_second"] == pytest.approx(10 * 8 * 32 / seconds)
        assert line["flops_per_second"] == pytest.approx(flops * line["tokens_per_second"])
        assert 0 < line["mfu"] < 1 and 0 < line["reading_share"] < 1 and line["memory_bytes"] > 5e7
        components = {name.removeprefix("loss/"): line[name] for name in line if name.startswith("loss/")}
        counts = np.diff([order.counts(8 * step) for step in (line["step"] - 10, line["step"])], axis=0)[0]
        mean = np.average(list(components.values()), weights=counts)
        assert mean == pytest.approx(np.mean([row["loss"] for row in steps])) and len(components) == 2
    assert [line["step"] for line in lines] == [10, 20, 30, 40, 50, 60]


def test_a_trace_is_of_the_steps_asked_for(scored):
    (trace,) = (Path(scored["job"]["directory"]) / "profile").iterdir()
    assert trace.name == "steps-3-4.rank-0.json"
    names = [event.get("name") for event in json.loads(trace.read_text())["traceEvents"]]
    assert names.count("aten::embedding") == 2 * 4  # two steps of four micro-batches
