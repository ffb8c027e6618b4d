"""A short kill campaign; the long one is `python -m tests.end_to_end.kill`."""

import random
from pathlib import Path

from tests.end_to_end.kill import Kill, one_round, reference, table

KILLS = (
    Kill("source", "group"),
    Kill("extract", "parent", "commit"),
    Kill("measure", "parent", "workers"),
    Kill("tokens", "group", "commit"),
    Kill("train", "parent", "checkpoint write"),
    Kill("train", "group", "before its manifest"),
    Kill("evaluate", "parent"),
)


def test_killed_runs_end_like_an_undisturbed_one(site: Path, tmp_path: Path) -> None:
    wanted, seconds = reference(tmp_path, site)
    told = one_round(KILLS, tmp_path / "killed", site, seconds, random.Random(0), wanted)
    print(table([told]))
    assert len(told.kills) == len(KILLS)
    assert all(killed.met for killed in told.kills if killed.plan.moment != "random")
    assert told.differing == []
    assert told.left == []
    assert len(wanted) > 20 and "snapshot" in wanted
