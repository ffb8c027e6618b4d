"""A store of its own for every example of a property."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Gives an empty folder at every call."""
    return lambda: tmp_path_factory.mktemp("store")
