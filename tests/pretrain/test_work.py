"""What a step does that its loss does not show: who draws which dropout, and what is computed again."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.pretrain.tools import run_many, small_job, write_job

DROPS = {
    "model__block__dropout": 0.2,
    "model__attention__dropout": 0.2,
    "model__embedding__dropout": 0.2,
    "steps": 2,
    "checkpoint_every": 2,
}
# name -> (processes, layout, other changes)
JOBS: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {
    "none": (1, {}, {"steps": 1}),
    "attention": (1, {"recompute": ["attention"]}, {"steps": 1}),
    "feed_forward": (1, {"recompute": ["feed_forward"]}, {"steps": 1}),
    "layer": (1, {"recompute": ["layer"]}, {"steps": 1}),
    "one": (1, {}, DROPS),
    "again": (1, {}, {**DROPS, "steps": 1, "checkpoint_every": 1}),
    "resumed": (1, {}, {**DROPS, "steps": 2, "checkpoint_every": 1}),
    "tp2": (2, {"tp": 2}, DROPS),
    "tp2 sp": (2, {"tp": 2, "sequence_parallel": True}, DROPS),
    "dp2": (2, {"dp": 2}, DROPS),
    "cp2": (2, {"cp": 2}, DROPS),
    "pp2": (2, {"pp": 2}, DROPS),
}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Each job's record, by rank."""
    folder, paths = tmp_path_factory.mktemp("work"), {}
    for name, (_, layout, changes) in JOBS.items():
        directory = folder / ("again" if name == "resumed" else name)
        job = small_job(folder, **{"directory": str(directory), **changes})
        job["layout"] |= {"micro_batch": 4, **layout}
        paths[name] = write_job(folder, job, f"{name}.json")
    for world in (1, 2):
        chosen = [path for name, path in paths.items() if JOBS[name][0] == world]
        done = run_many(chosen, world, "--record")
        assert done.returncode == 0, done.stderr
    return {
        name: [json.loads(Path(f"{path}.{rank}").read_text()) for rank in range(JOBS[name][0])]
        for name, path in paths.items()
    }


@pytest.mark.parametrize(
    ("name", "attention", "feed_forward"),
    [("none", 1, 1), ("attention", 2, 1), ("feed_forward", 1, 2), ("layer", 2, 2)],
)
def test_what_is_recomputed_is_computed_twice(work, name, attention, feed_forward):
    calls = 2 * 2  # layers x micro-batches
    assert work[name][0]["calls"] == {"attention": attention * calls, "feed_forward": feed_forward * calls}


def draws(work, name: str, kind: str) -> list[list[str]]:
    return [rank["draws"][kind] for rank in work[name]]


def test_every_draw_is_another_and_a_resumed_step_draws_as_it_would_have(work):
    for kind in ("attention", "hidden"):
        (one,), (first,), (second,) = (draws(work, name, kind) for name in ("one", "again", "resumed"))
        assert len(one) == (2 * 2 * 2 if kind == "attention" else 2 * 2 * (1 + 2 * 2))  # steps, micro-batches, layers
        assert len(set(one)) == len(one)
        assert first + second == one


def test_tensor_parallel_ranks_drop_other_heads_and_the_same_of_what_both_hold(work):
    one, other = draws(work, "tp2", "attention")
    assert not set(one) & set(other)
    one, other = draws(work, "tp2", "hidden")
    assert one == other
    for kind in ("attention", "hidden"):  # each has other positions, and nothing is held twice
        one, other = draws(work, "tp2 sp", kind)
        assert not set(one) & set(other)


@pytest.mark.parametrize("name", ["dp2", "cp2", "pp2"])
@pytest.mark.parametrize("kind", ["attention", "hidden"])
def test_replicas_parts_of_a_sequence_and_stages_draw_otherwise(work, name, kind):
    one, other = draws(work, name, kind)
    assert one and other and not set(one) & set(other)
