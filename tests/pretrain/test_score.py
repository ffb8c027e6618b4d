"""Bits per byte: each token scored once with its context, exact sums, honest intervals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.data.shards import TokenShards
from pretrain.evaluate import score
from pretrain.objectives.score import Bootstrap, bits_per_byte, unigram_nats, windows
from tests.pretrain.tools import EOD, VOCABULARY, write_tokens


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(1, 300), max_size=5), st.integers(2, 64), st.sampled_from([0.25, 0.5, 1.0]))
def test_windows_score_each_token_once_with_enough_context(lengths, length, stride):
    seen = [np.zeros(size, int) for size in lengths]
    for document, start, scored, stop in windows(np.array(lengths, np.int64), length, stride):
        seen[document][scored:stop] += 1
        assert 0 <= start <= scored < stop <= start + length
        # Beyond the first window, the least context is what the stride leaves of it.
        assert start == 0 or scored - start == length - max(1, int(length * stride))
    assert all((found == 1).all() for found in seen)


def test_a_uniform_model_has_log2_of_the_vocabulary_a_token(tmp_path):
    shards = TokenShards("zh", [str(write_tokens(tmp_path / "zh.arrow", "zh", 40, 2))])
    rows = np.arange(len(shards))
    plan = windows(shards.lengths, 32, 0.5)
    nats = score(shards, rows, EOD, plan, 7, lambda inputs, targets: np.full(inputs.shape, math.log(VOCABULARY)))
    expected = shards.lengths.sum() * math.log2(VOCABULARY) / shards.bytes.sum()
    assert bits_per_byte(nats, shards.bytes) == pytest.approx(expected, rel=1e-14)


def test_inputs_are_the_document_after_eod_alone(tmp_path):
    """A scorer that answers input x 1000 + target shows what each token was scored with."""
    shards = TokenShards("en", [str(write_tokens(tmp_path / "en.arrow", "en", 25, 4))])
    rows = np.arange(len(shards))[::-1].copy()
    lengths = shards.lengths[rows]
    expected = []
    for row in rows:
        tokens = shards.tokens(int(row)).astype(np.int64)
        assert tokens[-1] == EOD
        expected.append(float((np.concatenate([[EOD], tokens[:-1]]) * 1000 + tokens).sum()))
    for batch in (1, 4, 1000):
        found = score(shards, rows, EOD, windows(lengths, 16, 0.5), batch, lambda a, b: (a * 1000 + b).astype(float))
        assert found.tolist() == expected


def test_unigram_is_add_one_over_the_whole_vocabulary():
    nats = unigram_nats(np.array([3, 0, 1]))
    assert np.exp(-nats).tolist() == pytest.approx([4 / 7, 1 / 7, 2 / 7])


def test_bits_per_byte_sums_before_it_divides():
    nats, sizes = np.array([math.log(2) * 10, math.log(2) * 90]), np.array([10, 30])
    assert bits_per_byte(nats, sizes) == pytest.approx(2.5)
    assert bits_per_byte(np.array([]), np.array([], np.int64)) is None


def test_the_interval_covers_and_shrinks_with_documents():
    random = np.random.Generator(np.random.Philox(1))
    covered, widths = 0, {}
    for trial in range(60):
        for count in (40, 640):
            sizes = random.integers(100, 5000, count)
            rate = random.normal(2.0, 0.5, count)
            found = Bootstrap(sizes, 400, trial, "zh").estimate(rate * sizes * math.log(2))
            widths.setdefault(count, []).append(found.interval[1] - found.interval[0])
            covered += count == 640 and found.interval[0] <= 2.0 <= found.interval[1]
    assert 51 <= covered <= 60  # 95 % of 60 is 57
    assert 2.5 < np.mean(widths[40]) / np.mean(widths[640]) < 6  # 1/sqrt(16) = 1/4


def test_differences_are_paired_and_draws_are_pinned():
    sizes = np.array([100, 900, 50, 400])
    nats = np.array([120.0, 700.0, 90.0, 380.0])
    bootstrap = Bootstrap(sizes, 500, 1, "en")
    constant = bootstrap.estimate(nats - (nats - 0.1 * math.log(2) * sizes))
    assert constant.interval == pytest.approx((0.1, 0.1)) and constant.value == pytest.approx(0.1)
    wide = bootstrap.estimate(nats)
    assert wide.interval[0] < wide.value < wide.interval[1]
    assert bootstrap.estimate(nats) == wide
    assert bootstrap._draw(0, 2, 4).tolist() == [[1, 3, 3, 0], [1, 2, 0, 0]]
    assert bootstrap._draw(0, 9, 4).tolist() != Bootstrap(sizes, 500, 2, "en")._draw(0, 9, 4).tolist()
    assert Bootstrap(sizes, 500, 1, "en")._draw(3, 2, 4).tolist() == bootstrap._draw(0, 9, 4)[3:5].tolist()
    assert Bootstrap(np.array([10]), 100, 1).estimate(np.array([5.0])).interval is not None
    assert Bootstrap(np.array([], np.int64), 100, 1).estimate(np.array([])).interval is None
