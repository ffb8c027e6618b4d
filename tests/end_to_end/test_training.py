"""A trajectory grows, and two processes share one store."""

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

from pipelines.past.history import History
from pipelines.past.trained import training
from pretrain.state.checkpoint import Checkpoint
from tests.end_to_end.support import MADE, REPOSITORY, REUSED, Built, command, environment, journal, ok
from tests.waiting import Pipe


def tensors(directory: Path) -> dict[tuple[str, str], bytes]:
    """Every tensor of a checkpoint, its moments among them, as bytes."""
    found = Checkpoint(directory)
    return {(shape.name, shape.kind): found.tensor(shape).tobytes() for shape in found.shapes()}


def spans(history: History) -> list[Any]:
    """What every step read."""
    trained = training(history)
    assert trained is not None
    return [trained.spans(row) for row in trained.taken.values()]


def test_ten_steps_and_then_twenty_equal_twenty(small: Built, tmp_path: Path) -> None:
    stores = [small.copy(tmp_path / name, "train", "evaluate", "runs") for name in ("grown", "at_once")]
    grown, at_once = stores
    assert ok("run", *grown.arguments, "run.steps=10", "run.until=train", "run.name=ten").made == ["train"]
    watched = ("site.watch.evaluate_every=10", "site.log_every=5")
    more = ok("run", *grown.arguments, "run.steps=20", "run.until=train", "run.name=twenty", *watched)
    assert more.made == ["train"] and "step 20/20" in more.said and "step 10/20" not in more.said
    ok("run", *at_once.arguments, "run.steps=20", "run.until=train", "run.name=twenty")
    histories = [store.history("twenty") for store in stores]
    folders = [history.stages["train"].directory for history in histories]
    one, other = (tensors(folder / "step-20") for folder in folders)
    assert one == other and len(one) > 20
    assert tensors(folders[0] / "step-10") != one
    rows = [journal(folder / "journal.jsonl") for folder in folders]
    assert rows[0] == rows[1] and [row[0] for row in rows[0]] == list(range(1, 21))
    assert spans(histories[0]) == spans(histories[1])
    metrics = [json.loads(line) for line in (folders[0] / "metrics.jsonl").read_text().splitlines()]
    looked = {line["step"]: sorted(name for name in line if "bits" in name) for line in metrics if "loss" not in line}
    assert looked == {20: ["bits_per_byte/en", "bits_per_byte/zh"]}
    assert re.search(r"step 20/20  held-out bits per byte: en \d\.\d+, zh \d\.\d+\n", more.said)


def test_two_processes_make_each_stage_once(small: Built, tmp_path: Path) -> None:
    arguments = [each for each in small.arguments if not each.startswith("site.store")]
    arguments += [f"site.store={tmp_path / '.siku'}", "run.until=tokens", "site.hosts.sample.delay_s=0.02"]

    def start(name: str, log: Path, **more: str) -> subprocess.Popen[bytes]:
        run = command("run", *arguments, f"run.name={name}")
        with log.open("w") as file:
            return subprocess.Popen(
                run, cwd=REPOSITORY, env=environment(**more), stdout=subprocess.DEVNULL, stderr=file
            )

    with Pipe(tmp_path / "moments") as moments, Pipe(tmp_path / "other.log") as log:
        one = start("one", tmp_path / "one.log", SIKU_FAULT="lease:taken:1:stop", SIKU_FAULT_LOG=str(moments.path))
        while moments.line() != f"lease:taken {one.pid}":
            pass
        other = start("other", log.path)
        try:
            waited = log.line()
            while not waited.startswith("waiting for "):
                waited = log.line()
        finally:
            one.send_signal(signal.SIGCONT)
            assert (one.wait(), other.wait()) == (0, 0)
        said = [(tmp_path / "one.log").read_text(), "\n".join(log.rest()) + "\n"]
    made = [[name for name, _ in MADE.findall(text)] for text in said]
    assert sorted(made[0] + made[1]) == sorted({*made[0], *made[1]}), made
    assert {*made[0], *made[1]} == {*made[0], *REUSED.findall(said[0]), *made[1]} - {""}
    assert f"process {one.pid} " in waited and waited.endswith("is making")
