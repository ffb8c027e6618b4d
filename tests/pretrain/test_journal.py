"""The journal and the trajectory's folder: torn lines, lost steps, another run's folder, two trainers."""

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from pretrain.job import TrainJob
from pretrain.journal import Journal, JournalError, Row, append_segment, effective, read, targets
from pretrain.state import trajectory
from tests.pretrain.tools import small_job


def row(step: int, attempt: int = 1, **changes) -> Row:
    made = Row(step, attempt, (step - 1) * 8, step * 8, "taken", 1 / 3 + step, 1e-3, 0.5, step * 256, 0.1)
    return replace(made, **changes)


def test_rows_come_back_bit_for_bit(tmp_path: Path):
    journal = Journal(tmp_path / "journal.jsonl")
    rows = [row(1, loss=0.1 + 0.2), row(2, loss=5e-324)]
    journal.append(rows)
    journal.sync()
    assert read(journal.path) == rows


def test_reconcile_cuts_the_torn_line_and_marks_lost_steps(tmp_path: Path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append([row(step) for step in range(1, 8)])
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole + b'{"step": 8, "att')
    assert read(journal.path)[-1].step == 7
    assert journal.reconcile(5) == 2
    assert journal.path.read_bytes().startswith(whole)  # append-only: what was written stays
    assert [(r.step, r.status) for r in read(journal.path)[7:]] == [(6, "rolled_back"), (7, "rolled_back")]
    assert list(effective(read(journal.path))) == [1, 2, 3, 4, 5]
    assert journal.reconcile(5) == 0
    journal.append([row(6, attempt=2)])
    assert effective(read(journal.path))[6].attempt == 2


def test_a_checkpoint_without_its_rows_is_an_error(tmp_path: Path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append([row(1), row(3)])
    with pytest.raises(JournalError, match=r"journal.jsonl has no row for step 2, but checkpoint step-3"):
        journal.reconcile(3)
    journal.path.write_bytes(b"nonsense\n" + journal.path.read_bytes())
    with pytest.raises(JournalError, match="line 1 is no journal row"):
        read(journal.path)


def test_segments_count_attempts_and_remember_targets(tmp_path: Path):
    path = tmp_path / "segments.jsonl"
    assert targets(path) == set()
    assert [append_segment(path, {"target": target}) for target in (100, 200)] == [1, 2]
    path.write_bytes(path.read_bytes() + b'{"attempt": 3, "tar')
    assert append_segment(path, {"target": 300}) == 3
    assert targets(path) == {100, 200, 300}
    assert [json.loads(line)["attempt"] for line in path.read_text().splitlines()] == [1, 2, 3]


@pytest.mark.parametrize("line", ["nonsense", "{}", "[]", "7", '{"target": "x"}', '{"target": null}', "\\x1b[31m"])
def test_a_damaged_start_is_named(tmp_path: Path, line: str):
    """S14."""
    path = tmp_path / "segments.jsonl"
    append_segment(path, {"target": 100})
    path.write_bytes(path.read_bytes() + line.encode() + b"\n")
    with pytest.raises(JournalError, match=r"segments\.jsonl line 2 is no start .*: restore it from a copy"):
        targets(path)


def test_only_complete_checkpoints_count_and_pruning_spares_targets(tmp_path: Path):
    for name in ("step-5", "step-10", "step-100", "step-20", "step-15.tmp-77", "step-x", "step-30"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text("{}")
    assert list(trajectory.steps(tmp_path)) == [5, 10, 20, 30, 100]
    assert [path.name for path in trajectory.remove_unfinished(tmp_path)] == ["step-15.tmp-77"]
    trajectory.prune(tmp_path, 20, 1, {5})  # a run to an earlier target counts its own alone
    assert list(trajectory.steps(tmp_path)) == [5, 20, 30, 100]
    (tmp_path / "step-10").mkdir()
    trajectory.prune(tmp_path, 100, 2, {10})
    assert list(trajectory.steps(tmp_path)) == [10, 30, 100]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-10", "step-100", "step-30", "step-x"]


def test_another_run_in_the_folder_is_refused_with_the_differing_fields(tmp_path: Path):
    def job(**changes):
        return TypeAdapter(TrainJob).validate_python(small_job(tmp_path, **changes))

    first = job()
    Path(first.directory).mkdir()
    trajectory.record_what(first)
    trajectory.record_what(job(steps=99, layout__tp=2, threads=4, checkpoint_every=1))  # WHERE may change
    changed = job(digest="e" * 16, train__global_batch=16, model__block__dropout=0.5)
    with pytest.raises(trajectory.TrajectoryError) as refused:
        trajectory.record_what(changed)
    for part in ("digest: 'dddd", "model.block.dropout: 0.0 there, 0.5 here", "train.global_batch: 8 there, 16 here"):
        assert part in str(refused.value)
    assert "layers" not in str(refused.value)


def _hold(directory: Path, held, waited_for, log: Path) -> None:
    with trajectory.ownership(directory, print), log.open("a") as file:
        file.write("in\n")
        file.flush()
        held.set()
        waited_for.wait(30)
        file.write("out\n")


def test_two_trainers_do_not_share_a_folder(tmp_path: Path):
    context = multiprocessing.get_context("fork")
    held, waited_for, log = context.Event(), context.Event(), tmp_path / "log"
    other = context.Process(target=_hold, args=(tmp_path / "run", held, waited_for, log))
    other.start()
    assert held.wait(10)
    said: list[str] = []
    with trajectory.ownership(tmp_path / "run", lambda line: (said.append(line), waited_for.set())):
        assert said == [f"waiting for the trainer that holds {tmp_path / 'run'}"]
        assert log.read_text() == "in\nout\n"
    other.join()


def test_a_full_disk_names_the_file_and_the_way_out():
    with pytest.raises(JournalError, match=r"cannot write /dev/full: .*No space left.*make room and run again"):
        Journal(Path("/dev/full")).append([row(1)])
