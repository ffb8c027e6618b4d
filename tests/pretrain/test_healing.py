"""A run heals itself: what is out of the ordinary never reaches the weights, and the documents to blame are named."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.document import tokens_schema
from corpus.order import Span
from corpus.shard import open_shard, write_shard
from pretrain.config import Healing, Mixture
from pretrain.data.batches import Batches
from pretrain.engine.spikes import LEAST_LOSS, LOSS, NORM, NOT_FINITE, Seen, Window, robust_z
from pretrain.engine.suspects import suspects
from tests.pretrain.tools import VOCABULARY, asked_for, content, journal, run_many, small_job, write_job, write_tokens

BATCH, BAD, STEPS = 8, 24, 27
USED = 150  # tokens that sound documents use; poisoned ones use the others
HEALING = {"window": 16, "threshold": 5.0, "every": 10}
LAYOUTS: dict[str, dict[str, Any]] = {
    "one": {},
    "dp2 zero1": {"dp": 2, "zero1": True, "overlap": True},
    "pp2": {"pp": 2},
    "cp2": {"cp": 2},
    "tp2": {"tp": 2, "sequence_parallel": True},
}

numbers = st.floats(-100, 100)


@given(st.lists(numbers, min_size=2, max_size=30), numbers, st.floats(0.1, 10), numbers)
def test_deviations_are_numpys_and_do_not_know_of_units(others, value, unit, shift):
    middle = np.median(others[-8:])
    spread = max(1.4826 / np.sqrt(2) * np.median(np.abs(np.diff(others) - np.median(np.diff(others)))), 0.5)
    assert robust_z(value, others, 0.5) == pytest.approx((value - middle) / spread)
    moved = robust_z(value * unit + shift, [other * unit + shift for other in others], 0.5 * unit)
    assert moved == pytest.approx(robust_z(value, others, 0.5), abs=1e-6)


def test_a_window_judges_once_it_is_half_full_and_forgets_what_was_taken_back():
    window = Window(Healing(window=8, threshold=5))
    for step in range(1, 4):
        window.add(Seen(step, 3.0 + 0.1 * (step % 2), 1.0))
        assert window.judge(1e9, 1e9)[0] == ""
        assert window.judge(math.nan, 1.0)[0] == window.judge(1.0, math.inf)[0] == NOT_FINITE
    window.add(Seen(4, 3.0, 1.0))
    assert [window.judge(*each)[0] for each in ((3.0, 1.0), (3.9, 1.0), (3.0, 9.0), (0.1, 0.01))] == [
        "",
        LOSS,
        NORM,
        "",
    ]
    window.add(Seen(5, 50.0, 1.0))  # one that was let through hardly moves what is usual
    assert window.judge(3.9, 1.0)[0] == LOSS
    window.forget(3)
    assert window.loss is None and window.judge(1e9, 1.0)[0] == ""


def test_suspects_are_those_beyond_chance_even_where_they_are_most():
    def span(sample, name, start, stop):
        return Span(sample, name.encode() * 16, start, stop, "zh", 0, 0)

    # Samples of 9 tokens: each sample's first token is no target.
    spans = [span(7, "a", 0, 4), span(7, "b", 0, 5), span(8, "b", 5, 11), span(8, "c", 0, 3), span(9, "d", 0, 9)]
    nats = np.full((3, 8), 2.0, np.float32)
    nats[0, 3:], nats[1, :5], nats[2] = 9.0, 9.0, 8.0
    found = suspects(spans, nats, 2.0, 5.0)
    assert [(each.document[:2], each.nats, each.tokens) for each in found] == [("62", 9.0, 10), ("64", 8.0, 8)]
    nats[:] = 2.0
    (worst,) = suspects(spans, nats, 2.0, 5.0)
    assert (
        worst.deviations == 0
        and not suspects(spans, nats, 2.0, 5.0, least=0)
        and len(suspects(spans, nats, None, 5.0)) == 1
    )
    nats[1, 6:] = np.nan
    (worst, *_) = suspects(spans, nats, 2.0, 5.0)
    assert worst.document == "63" * 16 and math.isinf(worst.deviations)


def poisoned(folder: Path, job: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """The same documents, but that three that are read in the bad batch alone are of tokens nobody uses."""
    batches = Batches(job["components"], Mixture(), 32, 1, VOCABULARY)
    reads: dict[tuple[str, bytes], set[int]] = {}
    sizes: dict[tuple[str, bytes], int] = {}
    for part in batches.order.spans(0, BATCH * (STEPS + 9)):
        key = (part.source, bytes(part.document))
        reads.setdefault(key, set()).add(part.sample // BATCH + 1)
        sizes[key] = sizes.get(key, 0) + part.stop - part.start
    chosen = sorted((key for key, steps in reads.items() if steps == {BAD}), key=lambda key: -sizes[key])[:3]
    random, components = np.random.default_rng(5), {}
    for name, (path,) in job["components"].items():
        rows = open_shard(Path(path)).to_pylist()
        for row in rows:
            if (name, row["id"]) in chosen:
                row["tokens"] = [*random.integers(USED, VOCABULARY, len(row["tokens"]) - 1).tolist(), 0]
        schema = tokens_schema("uint16")
        (folder / "bad").mkdir(exist_ok=True)
        write_shard(
            folder / "bad" / f"{name}.arrow", [pa.RecordBatch.from_pylist(rows, schema)], schema, compressed=False
        )
        components[name] = [str(folder / "bad" / f"{name}.arrow")]
    return components, {document.hex() for _, document in chosen}


def watched(folder: Path, job: dict[str, Any]) -> dict[str, Any]:
    """The same run, with held-out documents scored on the way."""
    shards = {name: [str(folder / f"{name}.arrow")] for name in ("en", "zh")}
    watch = {"evaluate_every": 9, "documents": 7}
    return job | {"directory": f"{job['directory']} watched", "held_out": shards, "watch": watch}


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Sound and poisoned runs; one launch for each number of processes."""
    folder = tmp_path_factory.mktemp("healing")
    for seed, (name, documents) in enumerate((("en", 300), ("zh", 900))):
        write_tokens(folder / f"{name}.arrow", name, documents, seed, USED)

    def job_of(name: str, layout: str = "one", **changes: Any) -> dict[str, Any]:
        settings = {"directory": str(folder / name), "steps": STEPS, "checkpoint_every": 100}
        job = small_job(folder, **{**settings, "train__healing": HEALING, "train__warmup_tokens": 0, **changes})
        job["layout"] |= {"micro_batch": 4, **LAYOUTS[layout]}
        return job

    components, blamed = poisoned(folder, job_of("sound"))
    jobs = {"sound": job_of("sound"), "unwatched": job_of("unwatched", train__healing={"threshold": 1e9})}
    asked = {layout for (layout,) in asked_for(request, "layout")} | {"one"}
    jobs |= {name: job_of(name, name, components=components) for name in LAYOUTS if name in asked}
    jobs["drops"] = job_of("drops", model__block__dropout=0.1, model__attention__dropout=0.1)
    jobs |= {f"{name} watched": watched(folder, jobs[name]) for name in (*LAYOUTS, "drops") if name in jobs}
    for world in (1, 2):
        names = [name for name in jobs if (name.removesuffix(" watched") in {*LAYOUTS} - {"one"}) == (world == 2)]
        paths = [write_job(folder, jobs[name], f"{name}.json".replace(" ", "-")) for name in names]
        if paths:
            done = run_many(paths, world)
            assert done.returncode == 0, done.stderr
    return {"jobs": jobs, "blamed": blamed, "folder": folder}


def test_a_sound_run_is_left_alone(runs):
    sound, unwatched = runs["jobs"]["sound"], runs["jobs"]["unwatched"]
    assert {row["status"] for row in journal(sound)} == {"taken"}
    assert content(sound, STEPS) == content(unwatched, STEPS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_poisoned_batch_is_passed_over_and_its_documents_are_named(runs, layout):
    job = runs["jobs"][layout]
    rows = journal(job)
    bad = [row for row in rows if row["status"] != "taken"]
    assert [(row["step"], row["first_sample"], row["status"]) for row in bad] == [(BAD, (BAD - 1) * BATCH, "skipped")]
    assert bad[0]["reason"] in (LOSS, NORM)
    taken = [(row["step"], row["first_sample"]) for row in rows if row["status"] == "taken"]
    assert taken == [(step, (step - (step < BAD)) * BATCH) for step in range(1, STEPS + 1)]
    listed = [json.loads(line) for line in (Path(job["directory"]) / "quarantine.jsonl").read_text().splitlines()]
    assert {each["document"] for each in listed} == runs["blamed"] and len(listed) == 3
    assert {(each["step"], each["first_sample"], each["reason"]) for each in listed} == {
        (BAD, (BAD - 1) * BATCH, bad[0]["reason"])
    }
    assert all(each["nats"] > bad[0]["loss"] and each["source"] in ("en", "zh") for each in listed)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_watching_changes_no_bit_and_sees_the_same_in_every_layout(runs, layout):
    plain, watched, alone = (runs["jobs"][name] for name in (layout, f"{layout} watched", "one watched"))
    assert content(plain, STEPS) == content(watched, STEPS)
    assert [row | {"seconds": 0} for row in journal(plain)] == [row | {"seconds": 0} for row in journal(watched)]
    seen = [scores(job) for job in (watched, alone)]
    assert seen[0].keys() == {9, 18, 27} and {name for each in seen[0].values() for name in each} == {"en", "zh"}
    for step, each in seen[0].items():
        assert each == pytest.approx(seen[1][step], rel=1e-4)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_do_not_drift_apart(runs, layout):
    """Over the first 20 steps, at a rate at which the loss falls; dropout 0, fp32."""
    one, other = (journal(runs["jobs"][name])[:20] for name in ("one", layout))
    assert one[19]["loss"] < one[0]["loss"] - 1
    for name in ("loss", "grad_norm"):
        assert [row[name] for row in other] == pytest.approx([row[name] for row in one], rel=1e-4)


def test_watching_draws_nothing_and_lets_dropout_go_on(runs):
    plain, watched = runs["jobs"]["drops"], runs["jobs"]["drops watched"]
    assert content(plain, STEPS) == content(watched, STEPS) != content(runs["jobs"]["sound"], STEPS)


def scores(job: dict[str, Any]) -> dict[int, dict[str, float]]:
    """Bits per byte by step and component."""
    lines = [json.loads(line) for line in (Path(job["directory"]) / "metrics.jsonl").read_text().splitlines()]
    rows = [(line["step"], line) for line in lines if "loss" not in line]
    return {
        step: {name.removeprefix("bits_per_byte/"): value for name, value in line.items() if "/" in name}
        for step, line in rows
    }


def test_what_was_passed_over_left_no_trace(runs):
    """Up to the bad batch the run is the sound one, bit for bit, and after it as good."""
    sound, healed = (journal(runs["jobs"][name]) for name in ("sound", "one"))
    assert [row["loss"] for row in healed[: BAD - 1]] == [row["loss"] for row in sound[: BAD - 1]]
    assert abs(healed[-1]["loss"] - sound[-1]["loss"]) < 0.5 < healed[BAD - 1]["loss"] - sound[BAD - 1]["loss"]
    assert LEAST_LOSS < 0.5


@given(st.integers(0, 2**32 - 1), st.floats(-0.5, 0.0), st.floats(0.1, 2.0))
def test_noise_on_a_falling_loss_is_no_spike(seed, slope, noise):
    """Of 200 normal steps none is 8 deviations away, however fast the loss falls."""
    random = np.random.default_rng(seed)
    losses = 10 + slope * np.arange(200) + noise * random.standard_normal(200)
    for at in range(64, 200):
        assert robust_z(losses[at], list(losses[at - 64 : at]), 0) < 8
