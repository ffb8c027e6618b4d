"""Every layout computes what the plain reference does, and its checkpoints have the blueprint's names and shapes.

`python -m tests.pretrain.parity` does so for twice the steps.
"""

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from pretrain.config import padded_vocabulary
from pretrain.config.blueprint import blueprint
from pretrain.job import TrainJob
from pretrain.state.checkpoint import Checkpoint
from tests.pretrain.parity import CASES, MODELS, TOLERANCE, Case, Difference, job_of, table
from tests.pretrain.tools import asked_for, journal

STEPS = 4


@pytest.fixture(scope="module")
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Difference]]:
    folder, wanted = tmp_path_factory.mktemp("parity"), {name for (name,) in asked_for(request, "name")} | set(MODELS)
    return folder, table(folder, [case for case in CASES if case.name in wanted], STEPS)


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_a_layout_equals_the_plain_reference(trained, name):
    found = trained[1][name]
    assert max(found) <= TOLERANCE, found


def test_the_norm_is_clipped_so_that_it_matters(trained):
    for model in MODELS:
        assert min(row["grad_norm"] for row in journal(job_of(trained[0], Case(model, {})))) > 0.5


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_checkpoints_are_the_blueprint_in_every_layout(trained, name):
    folder = trained[0]
    (case,) = [each for each in CASES if each.name == name]
    job = TypeAdapter(TrainJob).validate_python(job_of(folder, case))
    weights = blueprint(job.model, padded_vocabulary(job.model, 300))
    inner = {weight.name for weight in weights if case.model == "muon" and weight.hidden_matrix}
    shapes = {weight.name: weight.shape for weight in weights}
    rest = {name: shape for name, shape in shapes.items() if name not in inner}
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    for shape in Checkpoint(Path(job.directory) / f"step-{STEPS}").shapes():
        found.setdefault(shape.kind, {})[shape.name] = shape.shape
    momentum = {"momentum": {name: shapes[name] for name in inner}} if inner else {}
    assert found == {"weight": shapes, "exp_avg": rest, "exp_avg_sq": rest, **momentum}
