"""An ablation: cells share what they share, are scored alike, and end in one table."""

import json
from collections import Counter

import pytest

from tests.end_to_end.support import Built, ok, siku


def test_a_threshold_and_two_seeds(small: Built) -> None:
    key = "recipe.filter.rules.words.minimum.zh"
    ended = ok("run", "-m", *small.arguments, f"{key}=48,700", "train.seed=1,2", "run.steps=2")
    made = Counter(ended.made)
    for shared in ("filter", "detox", "dedupe", "decontaminate", "tokens"):
        assert made[shared] <= 2, made
    assert made["train"] == made["evaluate"] == 4
    assert made["untrained"] == 1  # the one of seed 2; seed 1 is the store's own
    assert not {"extract", "clean", "split", "tokenizer", "held_out"} & made.keys()
    (folder,) = small.root.glob("sweeps/*")
    rows = json.loads((folder / "table.json").read_text())
    assert [row["fields"] for row in rows] == [
        {key: threshold, "train.seed": seed} for threshold in ("48", "700") for seed in ("1", "2")
    ]
    assert len({json.dumps(row["bits_per_byte"]) for row in rows}) == 4
    for name in ("held_out", "tokenizer"):
        digests = {small.history(row["run"]).stages[name].digest for row in rows}
        assert len(digests) == 1
    for row in rows:
        assert row["trained_tokens"] == 2 * 2 * 64 and row["tokens"]["zh"] > 0 and row["epochs"] > 0
        assert row["bits_per_byte"].keys() == {"zh", "en"}
    assert rows[0]["tokens"]["zh"] > rows[2]["tokens"]["zh"]
    head = ended.out.splitlines()[0].split()
    assert head[0] == key and "train.seed" in head and "epochs" in head and "bits/byte" in head
    assert "4 cells" in ended.said


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
    ended = siku("run", "-m", *small.arguments, sweep)
    assert ended.code == 2 and named in ended.said
    assert ended.made == []
