"""What a run was trained on, as its journal tells it."""

from dataclasses import replace

from pipelines.past.garbage import collect_garbage
from pipelines.past.trained import training
from pretrain.journal import Journal
from tests.pipelines.fixtures import make_run


def test_batches_that_were_passed_over_are_not_trained_on(tmp_path):
    """A skipped batch, one that was taken back, and what was read instead."""
    history = make_run(tmp_path)
    trained = training(history)
    assert trained is not None
    path, length = trained.stage.directory / "journal.jsonl", trained.order.sequence_length
    rows = list(trained.taken.values())
    size = rows[0].last_sample
    path.unlink()
    moved = [
        replace(row, first_sample=row.first_sample + 2 * size, last_sample=row.last_sample + 2 * size) for row in rows
    ]
    skipped = replace(rows[2], status="skipped")
    back = replace(rows[3], step=3, status="rolled_back")
    Journal(path).append([*rows[:2], skipped, replace(back, status="taken"), back, *moved[2:]])
    found = training(history)
    assert found is not None and len(found.taken) == len(rows)
    counts = dict.fromkeys(found.order.names, 0)
    for row in found.taken.values():  # the plain way: every sample by itself
        for index in found.order.components(row.first_sample, row.last_sample):
            counts[found.order.names[index]] += length
    assert found.trained() == counts and sum(counts.values()) == len(rows) * size * length


def test_gc_removes_what_a_kill_left_of_a_checkpoint(tmp_path):
    """A run that is done does not start its trainer again, which would."""
    trained = training(make_run(tmp_path))
    assert trained is not None
    left = trained.stage.directory / "step-2.tmp-removed"
    left.mkdir()
    (left / "rank-0.bin").write_bytes(b"x" * 20_000)
    before = {path for path in tmp_path.rglob("*") if left not in (path, path.parent)}
    said: list[str] = []
    collect_garbage(tmp_path, said.append)
    assert (
        any(line.endswith("step-2.tmp-removed  left by a kill") and "0.02 MB" in line for line in said)
        and left.exists()
    )
    collect_garbage(tmp_path, said.append, remove=True)
    lease = trained.stage.directory / "lease"
    assert {path for path in tmp_path.rglob("*") if lease not in (path, path.parent)} == before
