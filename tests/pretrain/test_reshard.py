"""A checkpoint goes on in any layout: bit for bit in its own, with the same losses and weights in every other.

A layout's checkpoint is read in two others, and it reads those of two; `pytest --all-layouts` tries all pairs.
"""

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.pretrain.parity import EXPERTS, weights
from tests.pretrain.tools import asked_for, content, journal, run_many, small_job, write_job

HALF, WHOLE = 2, 4
LAYOUTS: dict[str, dict[str, Any]] = {
    "one": {},
    "tp2 pp2": {"tp": 2, "pp": 2, "sequence_parallel": True, "ep": 2},
    "tp2 dp2 zero1": {"tp": 2, "dp": 2, "sequence_parallel": True, "ep": 2, "zero1": True},
    "cp2": {"cp": 2},
    "ep2": {"dp": 2, "ep": 2},
    "vpp2": {"pp": 2, "vpp": 2},
}
_NAMES = [*LAYOUTS]
PAIRS = [(name, _NAMES[(at + by) % len(_NAMES)]) for at, name in enumerate(_NAMES) for by in (1, 4)]
WORLDS = {1: ["one"], 2: ["cp2", "ep2", "vpp2"], 4: ["tp2 pp2", "tp2 dp2 zero1"]}
DROPS = {"model__block__dropout": 0.1, "model__attention__dropout": 0.1, "model__embedding__dropout": 0.1}
BF16 = {"precision": {"dtype": "bf16"}}
# Goes on in its own layout, with all that could be lost on the way: dropout in every layout, bf16 in some.
ITSELF = {
    **dict.fromkeys(LAYOUTS, DROPS),
    **{f"{name} bf16": DROPS | BF16 for name in ("one", "tp2 dp2 zero1")},
}


def job_of(folder: Path, directory: str, layout: str, steps: int, **changes: Any) -> Path:
    settings = {
        "directory": str(folder / directory),
        "steps": steps,
        "checkpoint_every": HALF,
        "model__layers": 4,
        "model__feed_forward": EXPERTS,
        "model__overrides": {"0-1": {"feed_forward": {"kind": "gated", "width": 48}}},
        "train__optimizer": {"kind": "adamw", "lr": 0.002, "clip": 0.5, "epsilon": 1e-6},
    }
    job = small_job(folder, **settings | changes)
    job["layout"] |= {"micro_batch": 4, **LAYOUTS[layout]}
    return write_job(folder, job, f"{directory}-{steps}.json".replace(" ", "-"))


def launch(world: int, paths: list[Path]) -> None:
    if paths:
        done = run_many(paths, world)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a run in every layout, each gone on with in every other, beside runs that were not interrupted."""
    folder, pairs = tmp_path_factory.mktemp("reshard"), asked_for(request, "source", "target")
    itself = {case for (case,) in asked_for(request, "case")}
    halves = {source for source, _ in pairs} | {name for (name,) in asked_for(request, "name")} | {"one"}
    for world, names in WORLDS.items():
        paths = [job_of(folder, name, name, HALF) for name in names if name in halves]
        for case in (case for case in ITSELF if case in itself and case.removesuffix(" bf16") in names):
            layout, changes = case.removesuffix(" bf16"), ITSELF[case]
            paths.append(job_of(folder, f"{case} at once", layout, WHOLE, **changes))
            paths += [job_of(folder, f"{case} in two", layout, steps, **changes) for steps in (HALF, WHOLE)]
        launch(world, [*paths, *([job_of(folder, "whole", "one", WHOLE)] if world == 1 else [])])
    for world, names in WORLDS.items():
        paths = []
        for source, target in sorted(pair for pair in pairs if pair[1] in names):
            shutil.copytree(folder / source, folder / f"{source} to {target}")
            paths.append(job_of(folder, f"{source} to {target}", target, WHOLE))
        launch(world, paths)
    return folder


def steps(path: Path) -> list[dict[str, Any]]:
    return journal({"directory": str(path)})


@pytest.mark.parametrize("case", ITSELF)
def test_two_steps_and_two_more_are_four_bit_for_bit(folder, case):
    one, other = ({"directory": str(folder / f"{case} {how}")} for how in ("at once", "in two"))
    assert content(one, WHOLE) == content(other, WHOLE)
    assert content(one, WHOLE) != content(one, HALF)
    figures = [[(row["loss"], row["grad_norm"], row["first_sample"]) for row in journal(each)] for each in (one, other)]
    assert figures[0] == figures[1]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" in metafunc.fixturenames:
        every = metafunc.config.getoption("all_layouts")
        metafunc.parametrize(("source", "target"), itertools.product(LAYOUTS, LAYOUTS) if every else PAIRS)


def test_any_layout_goes_on_from_any_other(folder, source, target):
    path = folder / f"{source} to {target}"
    expected, found = steps(folder / "whole"), steps(path)
    assert [row["first_sample"] for row in found] == [row["first_sample"] for row in expected]
    for name in ("loss", "grad_norm"):
        assert [row[name] for row in found] == pytest.approx([row[name] for row in expected], abs=1e-5)
    for kind in ("weight", "exp_avg", "exp_avg_sq"):
        one, other = weights(folder / "whole" / f"step-{WHOLE}", kind), weights(path / f"step-{WHOLE}", kind)
        assert one.keys() == other.keys()
        for name, tensor in one.items():
            assert (other[name] - tensor).abs().max() <= 1e-5, (name, kind)


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_a_layout_writes_is_spread_over_its_ranks(folder, name):
    """Every rank has something to write, and together no more than one process does."""
    sizes = [path.stat().st_size for path in (folder / name / f"step-{HALF}").glob("rank-*.bin")]
    (one,) = (path.stat().st_size for path in (folder / "one" / f"step-{HALF}").glob("rank-*.bin"))
    assert min(sizes) > 0 and sum(sizes) == one
