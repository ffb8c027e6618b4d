"""The learning rate is a pure function of tokens seen."""

import math

import pytest

from pretrain.config.train import Adam, Constant, Cosine, Train, WarmupStableDecay
from pretrain.engine.schedule import learning_rate


def train(schedule, warmup=0):
    return Train(global_batch=8, optimizer=Adam(lr=2.0), schedule=schedule, warmup_tokens=warmup)


def test_warmup_is_linear_and_the_first_rate_is_not_zero():
    constant = train(Constant(), 100)
    assert [learning_rate(constant, tokens) for tokens in (10, 50, 100, 10**12)] == [0.2, 1.0, 2.0, 2.0]


def test_cosine_ends_at_its_floor_and_stays_there():
    cosine = train(Cosine(horizon_tokens=1100, floor=0.1), 100)
    assert learning_rate(cosine, 100) == 2.0
    assert learning_rate(cosine, 600) == pytest.approx(2 * (0.1 + 0.9 * 0.5))
    assert learning_rate(cosine, 350) == pytest.approx(2 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 4))))
    assert learning_rate(cosine, 1100) == learning_rate(cosine, 10**9) == pytest.approx(0.2)


@pytest.mark.parametrize(("shape", "quarter"), [("linear", 0.75), ("1-sqrt", 0.5)])
def test_wsd_is_constant_then_falls(shape, quarter):
    wsd = train(WarmupStableDecay(decay_start_tokens=1000, decay_tokens=400, shape=shape))
    assert learning_rate(wsd, 1) == learning_rate(wsd, 1000) == 2.0
    assert learning_rate(wsd, 1100) == pytest.approx(2 * quarter)
    assert learning_rate(wsd, 1400) == learning_rate(wsd, 9999) == 0.0
