"""Learning rate and batch size are pure functions of tokens seen; where a peer has the same, they are the peer's."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pretrain.config import Train
from pretrain.config.optimizer import AdamW
from pretrain.config.schedule import (
    Constant,
    Cosine,
    InverseSquareRoot,
    Linear,
    LinearRamp,
    StagedRamp,
    Steps,
    WarmupStableDecay,
)
from pretrain.engine.schedule import learning_rate


def train(schedule, warmup=0):
    return Train(global_batch=8, optimizer=AdamW(lr=2.0), schedule=schedule, warmup_tokens=warmup)


def test_warmup_is_linear_and_the_first_rate_is_not_zero():
    constant = train(Constant(), 100)
    assert [learning_rate(constant, tokens) for tokens in (10, 50, 100, 10**12)] == [0.2, 1.0, 2.0, 2.0]


def test_cosine_ends_at_its_floor_and_stays_there():
    cosine = train(Cosine(horizon_tokens=1100, floor=0.1), 100)
    assert learning_rate(cosine, 100) == 2.0
    assert learning_rate(cosine, 600) == pytest.approx(2 * (0.1 + 0.9 * 0.5))
    assert learning_rate(cosine, 350) == pytest.approx(2 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 4))))
    assert learning_rate(cosine, 1100) == learning_rate(cosine, 10**9) == pytest.approx(0.2)


@pytest.mark.parametrize(("shape", "quarter"), [("linear", 0.75), ("1-sqrt", 0.5), ("cosine", 0.5 + 0.5**1.5)])
def test_wsd_is_constant_then_falls(shape, quarter):
    wsd = train(WarmupStableDecay(decay_start_tokens=1000, decay_tokens=400, shape=shape))
    assert learning_rate(wsd, 1) == learning_rate(wsd, 1000) == 2.0
    assert learning_rate(wsd, 1100) == pytest.approx(2 * quarter)
    assert learning_rate(wsd, 1400) == learning_rate(wsd, 9999) == 0.0


def test_inverse_square_root_is_t5s():
    """1 / sqrt(max(step, k)) with k = 10,000 (Raffel et al., arXiv:1910.10683, 3.1.2), in steps of 4 tokens."""
    t5 = Train(
        global_batch=4, optimizer=AdamW(lr=0.01), schedule=InverseSquareRoot(peak_tokens=40_000), warmup_tokens=0
    )
    for step in (1, 9_999, 10_000, 10_001, 40_000, 10**6):
        assert learning_rate(t5, 4 * step) == pytest.approx(1 / math.sqrt(max(step, 10_000)))


def test_steps_fall_after_their_milestones():
    deepseek = train(Steps(milestones=((800, 0.316), (900, 0.1))))
    assert [learning_rate(deepseek, tokens) / 2 for tokens in (1, 800, 801, 900, 901, 10**9)] == [
        1.0,
        1.0,
        *(0.316, 0.316),
        *(0.1, 0.1),
    ]
    with pytest.raises(ValidationError, match=r"milestones begin at \[9, 5\] tokens: name at least one, each later"):
        Steps(milestones=((9, 0.3), (5, 0.1)))


LENGTH = 4
PEERS = {  # megatron-core's names for the same
    "constant": (Constant(), "constant", 1.0),
    "linear": (Linear(horizon_tokens=400, floor=0.25), "linear", 0.25),
    "cosine": (Cosine(horizon_tokens=400, floor=0.25), "cosine", 0.25),
    "inverse_sqrt": (InverseSquareRoot(peak_tokens=40), "inverse-square-root", 0.0),
    "wsd": (WarmupStableDecay(decay_start_tokens=300, decay_tokens=100, shape="linear", floor=0.25), "WSD", 0.25),
}


@pytest.mark.parametrize("name", PEERS)
def test_a_schedule_is_megatrons(name):
    import torch
    from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler

    schedule, style, floor = PEERS[name]
    ours, adam = train(schedule, 40), torch.optim.Adam([torch.zeros(1)], lr=2.0)
    adam.param_groups[0].update(max_lr=2.0, min_lr=2.0 * floor)
    peer = OptimizerParamScheduler(
        adam,
        *(0.0, 2.0, 2.0 * floor, 10, 100, style, 0.0, 0.0, 100, "constant"),  # in steps of 4 tokens
        wsd_decay_steps=25,
        lr_wsd_decay_style="linear",
    )
    for step in range(1, 120):
        peer.step(1)
        if step > 100 and name == "inverse_sqrt":
            break  # megatron's ends at its horizon
        assert learning_rate(ours, LENGTH * step) == pytest.approx(adam.param_groups[0]["lr"], rel=1e-6), step


def test_a_linear_ramp_is_megatrons():
    from megatron.core.num_microbatches_calculator import RampupBatchsizeNumMicroBatchesCalculator

    ramp = LinearRamp(start=192, increment=16, tokens=9_765_625 * 2048)  # BLOOM
    bloom, peer = (
        Train(global_batch=2048, ramp=ramp),
        RampupBatchsizeNumMicroBatchesCalculator(2048, 1, 1, False, 0, 192, 16, 9_765_625),
    )
    samples = 0
    for _ in range(20_000):
        peer.update(samples, False)
        assert bloom.batch_size(samples * 2048) == peer.get_current_global_batch_size(), samples
        samples += bloom.batch_size(samples * 2048)
    assert samples > 9_765_625 and bloom.batch_size(samples * 2048) == 2048
    assert bloom.tokens_after(20_000, 2048) == samples * 2048


RAMPS = st.one_of(
    st.just(None),
    st.builds(
        lambda start, tokens: LinearRamp(start=start, increment=2, tokens=tokens),
        st.sampled_from([2, 4, 14]),
        st.integers(1, 5000),
    ),
    st.lists(st.integers(1, 4000), min_size=1, max_size=4, unique=True).map(
        lambda ends: StagedRamp(before=tuple((at + 1, end) for at, end in enumerate(sorted(ends))))
    ),
)


@given(RAMPS, st.integers(0, 200), st.integers(1, 64))
def test_steps_and_tokens_are_counted_as_they_are_taken(ramp, steps, length):
    ramped, tokens = Train(global_batch=16, ramp=ramp), 0
    for _ in range(steps):
        samples = ramped.batch_size(tokens)
        assert samples in ramped.batch_sizes()
        tokens += samples * length
    assert ramped.tokens_after(steps, length) == tokens
    assert ramped.steps_until(tokens, length) == steps
    assert ramped.steps_until(tokens + 1, length) == steps + 1


def test_a_ramp_that_leads_elsewhere_is_refused():
    with pytest.raises(ValidationError, match=r"ramp.start=3 in increments of 2 does not reach global_batch=8"):
        Train(global_batch=8, ramp=LinearRamp(start=3, increment=2, tokens=10))
    with pytest.raises(ValidationError, match=r"ramp.before ends at \[9, 9\] tokens"):
        Train(global_batch=8, ramp=StagedRamp(before=((1, 9),) * 2))
    with pytest.raises(ValidationError, match=r"trunk"):
        Train(global_batch=8, trunk="run without a step")
