"""A sweep's rows: seeds are draws of one setting, and every other key has a column."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.files import StoreWarning
from pipelines.past.sweep import Sweep, SweepCell, heads, is_seed, keep_sweep, open_sweeps, rows


def cell(run, swept, bits=None, documents=10):
    bits = bits or {}
    return SweepCell(run, swept, documents, {"zh": 5, "en": 7}, 100, bits, dict.fromkeys(bits))


def sweep(*cells, name="一"):
    return Sweep(name, "siku run -m …", 1.0, cells)


def test_cells_that_differ_in_seeds_alone_are_one_row():
    scores = {("gopher", "1"): 2.0, ("gopher", "2"): 2.2, ("none", "1"): 3.0, ("none", "2"): 3.5}
    cells = [cell(f"{f}{s}", {"filters": f, "train.seed": s}, {"zh": v}) for (f, s), v in scores.items()]
    found = rows(sweep(*cells))
    assert [(row.swept, len(row.cells)) for row in found] == [({"filters": "gopher"}, 2), ({"filters": "none"}, 2)]
    mean, spread = found[1].bits_per_byte("zh")
    assert mean == statistics.mean([3.0, 3.5]) and spread == statistics.stdev([3.0, 3.5])
    assert found[0].bits_per_byte("en") is None
    assert found[0].tokens() == 12 and found[0].tokens("zh") == 5 and found[0].documents == 10


def test_one_seed_has_no_spread():
    (row,) = rows(sweep(cell("a", {"filters": "none"}, {"en": 2.5})))
    assert row.bits_per_byte("en") == (2.5, None)


def test_seeds_are_told_by_name():
    assert [key for key in ("train.seed", "train.data_seed", "evaluation.seed", "recipe.split.salt", "a.seeds") if
            is_seed(key)] == ["train.seed", "train.data_seed", "evaluation.seed"]  # fmt: skip


def test_heads_are_short_and_apart():
    keys = ["recipe.filter.rules.words.minimum.zh", "train.seed", "filters", "recipe.measure.measures.quality.short"]
    assert list(heads(keys).values()) == ["filter.words.minimum.zh", "train.seed", "filters", "measure.quality.short"]
    both = ["recipe.a.rules.x", "recipe.a.edits.x"]
    assert list(heads(both).values()) == both


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 3), st.floats(1, 9)), min_size=1, max_size=12))
def test_no_cell_is_lost(drawn):
    cells = [cell(str(i), {"x": x, "train.seed": str(s)}, {"en": b}) for i, (x, s, b) in enumerate(drawn)]
    found = rows(sweep(*cells))
    assert sorted(c.run for row in found for c in row.cells) == sorted(c.run for c in cells)
    for row in found:
        values = [b for x, _, b in drawn if x == row.swept["x"]]
        assert row.bits_per_byte("en")[0] == pytest.approx(statistics.mean(values))


def test_a_sweep_is_read_back(tmp_path):
    assert open_sweeps(tmp_path) == []
    made = sweep(cell("甲", {"filters": "none"}, {"zh": 2.5}))
    keep_sweep(tmp_path / "sweeps" / made.name, made)
    assert open_sweeps(tmp_path) == [made]
    path = tmp_path / "sweeps" / made.name / "sweep.json"
    path.write_text(path.read_text()[:-9])
    other = sweep(cell("乙", {"filters": "none"}, {"zh": 2.5}))
    keep_sweep(tmp_path / "sweeps" / "other", other)
    with pytest.warns(StoreWarning, match=f"{path} is passed over"):
        assert open_sweeps(tmp_path) == [other]
