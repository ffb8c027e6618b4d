"""What all tests share: stores built once a session; properties searched without a clock or a memory on disk."""

from pathlib import Path

import pytest
from hypothesis import settings

from tests.end_to_end.support import TINY, Built, apart, ok, small_site

FULL_STEPS = 40

# The same examples each time, so that nothing hangs on chance; `--hypothesis-profile=search` looks for new ones.
settings.register_profile("siku", deadline=None, database=None, derandomize=True)
settings.register_profile("search", deadline=None, database=None)
settings.load_profile("siku")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-layouts", action="store_true", help="resume from every layout in every other: minutes more")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sample site, whole, and 40 steps of the demo's model. Tests may add to its store, not change it."""
    root = tmp_path_factory.mktemp("built") / ".siku"
    arguments = (f"site.store={root}", f"run.steps={FULL_STEPS}", "run.name=built", "evaluation.stride=1")
    ended = apart("run", *arguments)
    assert ended.code == 0, ended.said
    return Built(root, arguments, ended)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of 20 translated pairs of the sample's pages."""
    return small_site(tmp_path_factory.mktemp("site") / "site.tar.xz")


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, site: Path) -> Built:
    """The 40-page site and four steps of a model of one layer. Tests may add to its store, not change it."""
    root = tmp_path_factory.mktemp("small") / ".siku"
    arguments = (
        *TINY,
        f"site.store={root}",
        f"site.hosts.sample.serve={site}",
        "recipe.split.held_out=0.3",
        "run.steps=4",
    )
    return Built(root, arguments, ok("run", *arguments, "run.name=small"))
