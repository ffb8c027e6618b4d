"""What a plan says of training that is still to be done."""

import importlib.util
import re

import pytest

from tests.end_to_end.support import Built, ok, siku


def test_a_plan_tells_flops_and_memory_of_a_rank(small: Built) -> None:
    planned = ok("plan", *small.arguments, "run.steps=6").out
    told = r"train: \d\S+ FLOPs; a rank holds \d+ MB \(weights \d+ MB, gradients \d+ MB, optimizer \d+ MB, activations"
    assert re.search(told, planned) and " tokens in 2 steps" in planned
    assert "FLOPs" not in ok("plan", *small.arguments).out  # trained already


def test_a_plan_counts_what_a_branch_still_trains(small: Built) -> None:
    decay = ("train.schedule={schedule: wsd, decay_start_tokens: 512, decay_tokens: 256}", "run.steps=7")
    planned = ok("plan", *small.arguments, "train.trunk=small@4", *decay).out
    assert " tokens in 3 steps" in planned
    ended = siku("plan", *small.arguments, "train.trunk=large@4")
    assert ended.code == 2 and "train.trunk=large@4: large is no finished run of this store" in ended.said


def test_a_plan_knows_what_a_run_is_watched_with(small: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held-out tokens are made for a run that ends in training, and a sink that is not installed is refused."""
    fresh = (*small.arguments, "recipe.tokenizer.salt=watched", "run.until=train")
    made = [ok("plan", *fresh, *more).out for more in ((), ("site.watch.evaluate_every=2",))]
    assert [bool(re.search("^held_out .* new: ", out, re.M)) for out in made] == [False, True]
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mlflow" else find(name))
    ended = siku("plan", *small.arguments, "run.steps=6", "site.watch.sinks=[mlflow]")
    assert ended.code == 2 and "site.watch.sinks=['mlflow']: mlflow is not installed: pip install mlflow" in ended.said
    ended = siku("plan", *small.arguments, "site.watch.profile=7-3")
    assert ended.code == 2 and "profile=7-3" in ended.said
