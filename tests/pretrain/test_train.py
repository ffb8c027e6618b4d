"""A run is the same run however often it is stopped, killed or taken further: tensor for tensor."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus.fault import LOG
from corpus.shard import open_shard
from pretrain.config import Mixture
from pretrain.data.batches import Batches
from pretrain.state.checkpoint import Checkpoint, CheckpointError
from tests import forked
from tests.pretrain.tools import ROOT, VOCABULARY, content, journal, losses, run, small_job, write_job
from tests.waiting import Pipe

KILLS = ("box:7", "gap", "sync:1", "sync:3", "update:2", "journal:3")
Job = dict[str, Any]


def drive(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The trainer through driver.py."""
    command = [sys.executable, "-m", "tests.pretrain.driver", str(path), *arguments]
    return forked.run(command, cwd=ROOT)


def make(folder: Path, name: str, **changes: Any) -> tuple[Job, Path]:
    """A job with dropout, so that random states count, in a folder of its own, on the same documents."""
    job = small_job(
        folder,
        directory=str(folder / name),
        model__block__dropout=0.1,
        model__attention__dropout=0.1,
        model__embedding__dropout=0.1,
        mixture__weights={"en": 2, "zh": 1},
        train__schedule={"schedule": "cosine", "horizon_tokens": 4096},
        **changes,
    )
    return job, write_job(folder, job, f"{name}-{job['steps']}.json")


def undisturbed(folder: Path) -> Job:
    job, path = make(folder, "whole")
    done = drive(path, "record", str(folder / "seen.npy"))
    assert done.returncode == 0, done.stderr
    return job


def in_parts(folder: Path) -> Job:
    """To step 6, then to 12, then a target that lies behind."""
    for steps in (6, 12, 8):
        job, path = make(folder, "parts", steps=steps)
        done = run(path)
        assert done.returncode == 0, done.stderr
    return job


def killed(folder: Path) -> tuple[Job, list[tuple[str, int]]]:
    """Killed at one point after another, then left alone."""
    job, path = make(folder, "killed")
    seen = [(point, drive(path, "kill", point).returncode) for point in KILLS]
    done = run(path)
    assert done.returncode == 0, done.stderr
    return job, seen


def interrupted(folder: Path) -> tuple[Job, int, str]:
    """Asked to stop in the middle of a long run."""
    job, path = make(folder, "stopped", steps=100_000, checkpoint_every=100_000)
    with Pipe(folder / "moments") as moments:
        process = forked.Served(
            [sys.executable, "-m", "pretrain.train", str(path)],
            cwd=ROOT,
            env={**os.environ, LOG: str(moments.path)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(5):  # at the fifth row, four are written
            while moments.line() != f"train.journal:row {process.pid}":
                pass
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=120)
    return job, process.returncode, error


def diverging(folder: Path) -> tuple[Job, subprocess.CompletedProcess[str]]:
    job, path = make(folder, "diverging", train__optimizer__lr=1e30, train__warmup_tokens=0, checkpoint_every=1)
    return job, run(path)


def foreign(folder: Path) -> tuple[Job, subprocess.CompletedProcess[str]]:
    """The folder of a run that another run's checkpoint was put into."""
    job, path = make(folder, "foreign", steps=12, digest="f" * 16)
    for name, steps, other in (("lender", 5, "d" * 16),):
        _, lent = make(folder, name, steps=steps, digest=other)
        done = run(lent)
        assert done.returncode == 0, done.stderr
        shutil.copytree(folder / name, job["directory"], ignore=shutil.ignore_patterns("trajectory.json"))
    return job, run(path)


def waiting(folder: Path) -> tuple[Job, subprocess.CompletedProcess[str], list[str], list[str]]:
    """Two ranks find the folder held by another; what they say of it before it is free, and after."""
    job, path = make(folder, "waiting", steps=1, layout={"device": "cpu", "dp": 2, "micro_batch": 2, "timeout_s": 5})
    Path(job["directory"]).mkdir()
    with Pipe(folder / "order") as order, ThreadPoolExecutor(1) as pool:
        with (Path(job["directory"]) / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = pool.submit(drive_two, path, "order", str(order.path))
            before = sorted(order.line() for _ in range(2))
        return job, done.result(), before, order.rest()


def differing(folder: Path) -> tuple[Job, subprocess.CompletedProcess[str]]:
    """Two ranks that were given different jobs."""
    job, path = make(folder, "differing", layout={"device": "cpu", "dp": 2, "micro_batch": 2, "timeout_s": 60})
    return job, drive_two(path, "differ", "digest")


def drive_two(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Two ranks through driver.py."""
    logs = path.with_suffix(".logs")
    code = "import sys; from pathlib import Path; from pretrain.parallel.launch import launch\n"
    code += f"sys.exit(launch(sys.argv[1:], 2, Path({str(logs)!r})))"
    command = [sys.executable, "-c", code, sys.executable, "-m", "tests.pretrain.driver", str(path), *arguments]
    return forked.run(command, cwd=ROOT)


def hanging(folder: Path) -> tuple[Job, subprocess.CompletedProcess[str]]:
    """One of two ranks stops in the middle of its third step."""
    job, path = make(folder, "hanging", layout={"device": "cpu", "dp": 2, "micro_batch": 2, "timeout_s": 15})
    return job, drive_two(path, "hang", "3")


def wrecked(folder: Path) -> tuple[Job, subprocess.CompletedProcess[str]]:
    """The weights are ruined in a step whose loss was good."""
    healing = {"window": 8, "threshold": 5, "patience": 2, "every": 10}
    job, path = make(folder, "wrecked", steps=20, train__healing=healing)
    return job, drive(path, "wreck", "15")


def out_of_space(folder: Path) -> tuple[Job, subprocess.CompletedProcess[str]]:
    job, path = make(folder, "full")
    return job, drive(path, "kill", "full")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("train")
    small_job(folder)  # writes the token shards once
    kinds = (
        killed,
        in_parts,
        undisturbed,
        interrupted,
        diverging,
        out_of_space,
        foreign,
        waiting,
        differing,
        hanging,
        wrecked,
    )
    with ThreadPoolExecutor(2) as pool:
        futures = {kind.__name__: pool.submit(kind, folder) for kind in kinds}
        return {"folder": folder, **{name: future.result() for name, future in futures.items()}}


def test_the_model_sees_the_tokens_of_the_spans(runs):
    job, seen = runs["undisturbed"], np.load(runs["folder"] / "seen.npy")
    batches = Batches(job["components"], Mixture(**job["mixture"]), 32, 1, VOCABULARY)
    spans = batches.order.spans(0, 12 * 8)
    texts = {
        row["id"]: row["tokens"] for paths in job["components"].values() for row in open_shard(paths[0]).to_pylist()
    }
    samples: dict[int, list[int]] = {}
    for span in spans:
        samples.setdefault(span.sample, []).extend(texts[span.document][span.start : span.stop])
    assert {span.epoch for span in spans if span.source == "en"} == {0, 1} and {s.source for s in spans} == {"en", "zh"}
    assert seen.tolist() == [samples[sample][:-1] for sample in range(96)]


def test_the_loss_falls(runs):
    found = losses(runs["undisturbed"])
    assert len(found) == 12 and found[-1] < found[0] - 0.5


def test_six_steps_then_twelve_are_twelve(runs):
    whole, parts = runs["undisturbed"], runs["in_parts"]
    assert content(parts, 12) == content(whole, 12)
    assert losses(parts) == losses(whole)
    names = sorted(path.name for path in Path(parts["directory"]).glob("step-*"))
    # Targets stay; of the others, the newest two.
    assert names == ["step-10", "step-12", "step-6", "step-8"]
    segments = [json.loads(line) for line in (Path(parts["directory"]) / "segments.jsonl").read_text().splitlines()]
    assert [(s["attempt"], s["start"], s["target"]) for s in segments] == [(1, 0, 6), (2, 6, 12), (3, 6, 8)]
    assert segments[0]["versions"]["megatron-core"] == "0.16.1" and segments[0]["device"] == "cpu"


def test_killed_anywhere_it_ends_in_the_same_tensors(runs):
    whole, (job, seen) = runs["undisturbed"], runs["killed"]
    assert seen == [(point, -signal.SIGKILL) for point in KILLS]
    for step in (10, 12):
        assert content(job, step) == content(whole, step)
    assert losses(job) == losses(whole)
    assert not list(Path(job["directory"]).glob("*.tmp*"))
    rows = journal(job)
    lost = [[row["step"] for row in rows if (row["attempt"], row["status"]) == (a, "rolled_back")] for a in range(1, 8)]
    # Checkpoints are written while training goes on. Three attempts lost all they did, the fourth committed step 5;
    # the fifth lost step 6, the sixth 6 and 7.
    assert all(len(steps) >= 5 and steps == list(range(1, len(steps) + 1)) for steps in lost[:3]), lost
    assert lost[3] == list(range(6, 6 + len(lost[3]))) and lost[4:] == [[6], [6, 7], []], lost
    assert [row["first_sample"] for row in rows if row["status"] == "taken" and row["attempt"] == 7] == [
        40,
        48,
        56,
        64,
        72,
        80,
        88,
    ]


def test_what_is_done_is_not_done_again(runs):
    _, path = make(runs["folder"], "whole")
    done = run(path)
    assert done.returncode == 0 and "step 12 is there already" in done.stderr and "adapted" not in done.stderr


def test_a_run_is_told_apart_from_another_in_its_folder(runs):
    _, path = make(runs["folder"], "whole", train__seed=2)
    done = run(path)
    assert done.returncode == 1
    assert done.stderr.startswith("TrajectoryError: ") and "train.seed: 1 there, 2 here" in done.stderr


def test_a_stop_signal_leaves_a_checkpoint_of_the_last_step(runs):
    job, status, error = runs["interrupted"]
    rows = journal(job)
    assert status == 85 and "stopped by SIGTERM; the same command goes on" in error
    assert (Path(job["directory"]) / f"step-{rows[-1]['step']}" / "manifest.json").exists()
    assert losses(job)[:4] == losses(runs["undisturbed"])[:4]


def test_a_gradient_that_is_no_number_never_reaches_the_weights(runs):
    job, done = runs["diverging"]
    assert done.returncode == 1 and "DivergedError: " in done.stderr and "lower train.optimizer.lr" in done.stderr
    rows = [(row["step"], row["status"], row["first_sample"]) for row in journal(job)]
    once = [(1, "taken", 0), (2, "skipped", 8), (2, "skipped", 16), (2, "skipped", 24)]
    again = [(step, status, first + 32) for step, status, first in once]  # from drawn weights, with other samples
    assert rows == [*once, (1, "rolled_back", 0), *again]
    assert {row["reason"] for row in journal(job) if row["status"] == "skipped"} == {"not finite"}
    assert "step 2 not taken (not finite): loss" in done.stderr and "back to step 0: 1 steps taken since" in done.stderr
    assert "samples [56, 64), and in the 2 batches before, also after going back" in done.stderr
    assert [path.name for path in Path(job["directory"]).glob("step-*")] == ["step-1"]


def test_ruined_weights_are_gone_back_from_and_the_samples_since_are_passed_over(runs):
    job, done = runs["wrecked"]
    assert done.returncode == 0, done.stderr
    rows = [(row["step"], row["status"], row["first_sample"]) for row in journal(job)]
    assert rows == [
        *((step, "taken", (step - 1) * 8) for step in range(1, 16)),
        *((16, "skipped", 15 * 8), (16, "skipped", 16 * 8)),
        *((step, "rolled_back", (step - 1) * 8) for step in range(11, 16)),
        *((step, "taken", (step + 6) * 8) for step in range(11, 21)),
    ]
    assert "back to step 10: 5 steps taken since are taken again with other samples" in done.stderr
    assert losses(job)[-1] < losses(job)[9] < 6
    found = Checkpoint(Path(job["directory"]) / "step-15")  # not the one of the ruined weights
    assert (found.content["next_sample"], found.content["skipped"]) == (22 * 8, 7)
    listed = [json.loads(line) for line in (Path(job["directory"]) / "quarantine.jsonl").read_text().splitlines()]
    assert {each["first_sample"] for each in listed} == {15 * 8, 16 * 8}  # what was taken before is not to blame


def test_a_hanging_rank_is_named_with_the_operation_that_waits_for_it(runs):
    job, done = runs["hanging"]
    assert done.returncode == 1
    waited = r"CollectiveError: rank 0 waited for layout.timeout_s=15 in \w+_grad_sync in the backward of step 4 "
    assert re.search(waited + r"for rank 1 \(last in the update of step 3\): see its log and node", done.stderr)
    assert [row["step"] for row in journal(job)] == [1, 2, 3]


def test_a_full_disk_is_one_error_and_leaves_no_checkpoint(runs):
    job, done = runs["out_of_space"]
    folder = Path(job["directory"])
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == (
        f"CheckpointError: cannot write checkpoint {folder / 'step-5'}: [Errno 28] No space left on device: "
        "make room and run again"
    )
    assert [path.name for path in folder.glob("step-*") if "tmp" not in path.name] == []


def test_another_runs_checkpoint_is_refused(runs):
    job, done = runs["foreign"]
    assert (
        done.returncode == 1
        and f"CheckpointError: {job['directory']}/step-5 belongs to run {'d' * 16}, not" in done.stderr
    )
    assert len(journal(job)) == 5


def test_waiting_for_the_folder_kills_no_group(runs):
    job, done, before, after = runs["waiting"]
    assert done.returncode == 0, done.stderr
    assert before == ["0 waits", "1 waits for 365 days"]  # no group, which could run into its timeout, is joined yet
    assert after[0] == "0 holds" and sorted(after[1:]) == ["0 joins", "1 joins"]
    assert [row["step"] for row in journal(job)] == [1]


def test_ranks_with_different_jobs_are_named_before_they_train(runs):
    job, done = runs["differing"]
    assert done.returncode == 1 and not (Path(job["directory"]) / "journal.jsonl").exists()
    assert f"RanksDifferError: job digest is {job['digest']!r} on rank 0 and 'other' on rank 1" in done.stderr


def test_a_checkpoint_is_read_in_any_part(runs):
    found = Checkpoint(Path(runs["undisturbed"]["directory"]) / "step-12")
    assert found.step == 12 and found.content["next_sample"] == 96 and found.content["skipped"] == 0
    whole = found.read("layers.1.ffn.down.weight", "exp_avg_sq", (0, 0), (32, 48))
    part = found.read("layers.1.ffn.down.weight", "exp_avg_sq", (5, 7), (9, 11))
    assert np.array_equal(part, whole[5:14, 7:18]) and whole.min() >= 0 and whole.max() > 0
    with pytest.raises(CheckpointError, match=r"has 1536 of the 2048 elements of layers.1.ffn.down.weight \(weight\)"):
        found.read("layers.1.ffn.down.weight", "weight", (0, 0), (32, 64))
    with pytest.raises(CheckpointError, match=r"has 0 of the 4 elements of layers.9.ffn.down.weight"):
        found.read("layers.9.ffn.down.weight", "weight", (0, 0), (2, 2))


@pytest.mark.parametrize("name", ["rank-0.bin", "manifest.json"])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_checkpoint_names_the_file_and_the_way_out(runs, tmp_path: Path, name: str, harm: str):
    copy = tmp_path / "step-12"
    shutil.copytree(Path(runs["undisturbed"]["directory"]) / "step-12", copy)
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data if harm == "flip" else data[: len(data) // 2])
    if harm == "remove":
        (copy / name).unlink()
    with pytest.raises(CheckpointError, match=rf"{name}.*remove {copy} and run again"):
        found = Checkpoint(copy)
        for shape in found.shapes():
            found.tensor(shape)
