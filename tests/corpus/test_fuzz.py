"""Broken inputs end in a result or a reason; `python -m tests.corpus.fuzz` goes on for as long as it is told."""

import random
from functools import cache

import pytest

from tests.corpus.fuzz import broken, failure, targets

CORPUS = {  # what a fuzzer found, kept
    "mediawiki": b"<mediawiki><siteinfo><base>http://w.sample]/</base></siteinfo><page><title>t</title></page></mediawiki>",
}
ALL = cache(targets)


@pytest.mark.parametrize("name", list(ALL()))
def test_broken_inputs_end_in_a_result_or_a_reason(name):
    target, seed = ALL()[name]
    draw = random.Random(7)
    for data in (*(broken(seed, draw) for _ in range(60)), b"", seed, CORPUS.get(name, b"x")):
        assert failure(target, data, 5) is None, data


def test_a_failure_is_seen():
    assert "ZeroDivisionError" in failure(lambda data: 1 / len(data), b"", 5)
    assert failure(lambda data: sum(range(10**6)), b"", 0).endswith("CPU seconds")
