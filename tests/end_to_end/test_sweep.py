"""An ablation: cells share what they share, are scored alike, and end in one table."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from pipelines.past.sweep import open_sweeps
from tests.end_to_end.support import Built, ok, siku


def test_a_threshold_and_two_seeds(small: Built) -> None:
    key = "recipe.filter.rules.words.minimum.zh"
    asked = (*small.arguments, f"{key}=48,700", "train.seed=1,2", "run.steps=2", "run.name=abl")
    planned = ok("plan", "-m", *asked).out
    ended = ok("run", "-m", *asked)
    made = Counter(ended.made)
    for shared in ("filter", "detox", "dedupe", "decontaminate", "tokens"):
        assert made[shared] <= 2, made
    assert made["train"] == made["evaluate"] == 4
    assert made["untrained"] == 1  # the one of seed 2; seed 1 is the store's own
    assert not {"extract", "clean", "split", "tokenizer", "held_out"} & made.keys()
    # The plan had said so: a line a cell, each new stage once, and what it costs.
    cells = [line for line in planned.splitlines() if line.startswith("cell ")]
    assert len(cells) == 4 and "filter.words.minimum.zh=700 train.seed=2" in cells[3]
    assert re.search(r"  \d+ reused, \d+ new, \d+ shared with cells before$", cells[3])
    new = Counter(line.split()[0] for line in planned.splitlines() if "  new for " in line)
    assert new == made
    assert f"to be trained: {4 * 2 * 2 * 64:,} tokens in 8 steps" in planned
    assert not [line for line in ok("plan", "-m", *asked).out.splitlines() if "  new for " in line]
    (found,) = open_sweeps(small.root)
    assert found.name == "abl" and [cell.swept for cell in found.cells] == [
        {key: threshold, "train.seed": seed} for threshold in ("48", "700") for seed in ("1", "2")
    ]
    assert len({json.dumps(cell.bits_per_byte) for cell in found.cells}) == 4
    for name in ("held_out", "tokenizer"):
        digests = {small.history(cell.run).stages[name].digest for cell in found.cells}
        assert len(digests) == 1
    for cell in found.cells:
        assert cell.tokens_trained == 2 * 2 * 64 and cell.tokens["zh"] > 0
        assert cell.bits_per_byte.keys() == {"zh", "en"}
        record = small.history(cell.run).record
        assert f"train.seed={cell.swept['train.seed']}" in record["command"].split()
        assert record["config"]["train"]["seed"] == int(cell.swept["train.seed"])
    assert found.cells[0].documents > found.cells[2].documents > 0
    head, first, second, note, page = ended.out.splitlines()
    assert head.split()[:4] == ["filter.words.minimum.zh", "seeds", "documents", "tokens"]
    assert first.split()[:2] == ["48", "2"] and second.split()[:2] == ["700", "2"] and first.count("±") == 2
    assert note == "± standard deviation over train.seed" and Path(page).read_text().count("report.html") == 4
    assert "4 cells" in ended.said and "sweep abl" in ok("ls", *small.arguments).out


@pytest.mark.parametrize(
    ("sweep", "named"),
    [
        ("layout.dp=1,2", "layout.dp"),
        ("site.workers=1,2", "site.workers"),
        ("recipe.tokenizer.vocabulary=384,512", "tokenizer"),
        ("recipe.split.held_out=0.2,0.3", "held_out"),
    ],
)
def test_what_cannot_be_compared_is_refused(small: Built, sweep: str, named: str) -> None:
    for verb in ("plan", "run"):
        ended = siku(verb, "-m", *small.arguments, sweep)
        assert ended.code == 2 and named in ended.said
        assert ended.made == []
