"""A changed output without a changed version is an error: a store would go on serving the old one."""

import copy

from tests.end_to_end.support import Built
from tests.golden.content import complaints, golden, load

WAY_OUT = (
    "If this is meant: raise the version of the stage or measure whose code changed (the first below), run the sample "
    "again and `python -m tests.golden.update STORE`. If it is not: find what changed the output."
)


def test_content_is_golden(built: Built) -> None:
    found = complaints(load(), golden(built.history("built")))
    assert not found, "\n".join([WAY_OUT, *found])


def test_every_stage_and_measure_is_there() -> None:
    wanted = {"source", "extract", "clean", "split", "filter", "detox", "dedupe", "decontaminate", "tokenizer"}
    wanted |= {"tokens", "held_out", "measure.language", "measure.signature", "measure.quality", "measure.exact"}
    assert wanted <= load().keys()
    assert all(len(stage["content"]) >= 24 for stage in load().values())


def test_changes_are_told_apart() -> None:
    old = load()
    assert complaints(old, old) == []
    new = copy.deepcopy(old)
    new["clean"]["content"] = "0" * 24
    (line,) = complaints(old, new)
    assert line.startswith("clean: other content under the same digest: raise its version")
    new["clean"]["digest"] = "1" * 24
    assert complaints(old, new) == ["clean: other content, and another digest says so"]
    del new["clean"]
    new["source"]["content"] = "2" * 64
    assert [line.partition(":")[0] for line in complaints(old, new)] == ["source", "clean"]
