"""A store's worth of small things: items, contexts, and a stage that squares numbers."""

from pathlib import Path

import pytest

from pipelines.engine.stage import Context, Stage
from tests.pipelines.programs import What, context_of, stage_of


@pytest.fixture
def stage() -> Stage:
    """A stage without inputs."""
    return stage_of(What())


@pytest.fixture
def context(tmp_path: Path, stage: Stage) -> Context:
    """Its context, in a folder of this test."""
    made = context_of(stage, tmp_path)
    made.directory.mkdir(parents=True)
    return made
