"""What a worker may take follows from the machine, or the container, and from nothing else."""

import pytest

from conf.load import load
from conf.search import ConfigError
from pipelines.engine import memory
from pipelines.engine.memory import SMALLEST_MEMORY, USUAL_MEMORY, machine_memory, worker_memory


@pytest.mark.parametrize("limit", ["8000000000\n", "max\n", None])
def test_a_container_has_the_memory_it_is_given(tmp_path, monkeypatch, limit):
    whole = memory.psutil.virtual_memory().total
    path = tmp_path / "memory.max"
    if limit is not None:
        path.write_text(limit)
    monkeypatch.setattr(memory, "_LIMITS", (str(path),))
    assert machine_memory() == (min(whole, 8_000_000_000) if limit == "8000000000\n" else whole)


def test_workers_share_half_of_the_machine(monkeypatch):
    monkeypatch.setattr(memory, "machine_memory", lambda: 8 << 30)
    assert [worker_memory(n) for n in (1, 4, 8, 1000)] == [USUAL_MEMORY, USUAL_MEMORY, 512 << 20, SMALLEST_MEMORY]


def test_memory_is_given_as_a_size():
    assert load(["site.memory=2GB"]).site.memory == 2_000_000_000
    assert load([]).site.memory is None
    with pytest.raises(ConfigError, match=r"site\.memory='5 kB'"):
        load(["site.memory=5 kB"])
