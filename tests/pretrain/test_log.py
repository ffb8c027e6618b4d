"""What the trainer's processes say, and how often."""

import logging

import pytest

from pretrain.evaluate import Progress
from pretrain.log import configure


@pytest.fixture
def record():
    found = logging.getLogger("pretrain")
    before = found.level
    yield found
    found.setLevel(before)


@pytest.mark.parametrize(
    ("levels", "speaks", "lines"),
    [
        (False, True, ["step", "wrong"]),
        (False, False, ["wrong"]),
        (True, True, ["DEBUG detail", "INFO step", "WARNING wrong"]),
        (True, False, ["WARNING wrong"]),
    ],
)
def test_levels_are_said_to_a_process_that_asks(record, monkeypatch, capsys, levels, speaks, lines):
    monkeypatch.delenv("SIKU_LOG_LEVELS", raising=False)
    if levels:
        monkeypatch.setenv("SIKU_LOG_LEVELS", "1")
    monkeypatch.setattr(logging.root, "handlers", [])
    configure(speaks=speaks)
    record.debug("detail")
    record.info("step")
    record.warning("wrong")
    assert capsys.readouterr().err.splitlines() == lines


def test_a_long_evaluation_says_how_far_it_is(caplog):
    """U10: it was silent for 40 s."""
    now = [0.0]
    caplog.set_level(logging.INFO, "pretrain")
    progress = Progress("zh", 40, lambda: now[0])
    for done in range(1, 41):
        now[0] += 1.0
        progress(done)
    assert [r.getMessage() for r in caplog.records] == [
        f"  evaluating zh: {done} of 40 windows, {40 - done} s left" for done in (10, 20, 30, 40)
    ]
