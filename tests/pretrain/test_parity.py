"""Several processes compute what one does, and a checkpoint of one layout goes on in another."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.pretrain.parity import TOLERANCE, difference, torchrun, train
from tests.pretrain.tools import content, journal, small_job


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("parity")
    small_job(folder)
    with ThreadPoolExecutor(2) as pool:
        futures = {name: pool.submit(train, folder, name) for name in ("one", "tp2", "pp2, then tp2")}
        futures["dp2"] = pool.submit(train, folder, "dp2", lambda path: torchrun(path, 2))
        futures["dp2 zero1"] = pool.submit(train, folder, "dp2 zero1")
        return {name: future.result() for name, future in futures.items()}


@pytest.mark.parametrize("name", ["tp2", "dp2", "dp2 zero1", "pp2, then tp2"])
def test_a_layout_agrees_with_one_process(trained, name):
    loss, norm = difference(trained["one"], trained[name])
    assert loss <= TOLERANCE and norm <= 1e-3
    rows = [
        [(row["first_sample"], row["last_sample"], row["lr"]) for row in journal(trained[key])] for key in ("one", name)
    ]
    assert rows[0] == rows[1]


def test_the_norm_is_clipped_so_that_it_matters(trained):
    assert max(row["grad_norm"] for row in journal(trained["one"])) > 0.5


def test_checkpoints_have_the_same_names_and_shapes_in_every_layout(trained):
    one = content(trained["one"], 20)
    assert "layers.1.attention.key.weight/exp_avg" in one
    for name, job in trained.items():
        assert content(job, 20).keys() == one.keys()
        manifest = (Path(job["directory"]) / "step-20" / "manifest.json").read_text()
        assert '"name": "layers.0.ffn.gate.weight"' in manifest and "linear_fc1" not in manifest, name
