import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.dedup import bands, components, jaccard


def signatures(n, k, seed=0):
    return np.random.default_rng(seed).integers(0, 1 << 32, (n, k), dtype=np.uint32)


def test_keys_agree_exactly_where_bands_agree():
    a = signatures(50, 12)
    b = a.copy()
    b[:, 4] ^= 1  # the second band of four rows
    left, right = bands(a, 3, 4), bands(b, 3, 4)
    assert left.shape == (50, 3) and left.dtype == np.uint64
    assert (left == right).tolist() == [[True, False, True]] * 50
    assert len(np.unique(left)) == left.size


def test_equal_values_in_other_bands_or_orders_do_not_meet():
    same = np.full((1, 12), 7, np.uint32)
    assert len(np.unique(bands(same, 3, 4))) == 3
    turned = signatures(1, 4)
    assert bands(turned, 1, 4) != bands(turned[:, ::-1], 1, 4)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 3))
def test_a_document_has_its_keys_whatever_its_neighbours(count, rows, extra):
    values = signatures(6, count * rows + extra)
    together = bands(values, count, rows)
    assert np.array_equal(together, np.concatenate([bands(values[i : i + 1], count, rows) for i in range(6)]))
    assert bands(values[:0], count, rows).shape == (0, count)


def test_candidates_follow_the_curve():
    """P(candidate) = 1 - (1 - J^r)^b at J = 0.8 for 14 x 8 is .924 (FineWeb)."""
    a, random = signatures(4000, 112), np.random.default_rng(1)
    b = np.where(random.random(a.shape) < 0.8, a, signatures(4000, 112, 2))
    found = (bands(a, 14, 8) == bands(b, 14, 8)).any(axis=1).mean()
    assert found == pytest.approx(0.924, abs=0.02)
    assert jaccard(a, b).mean() == pytest.approx(0.8, abs=0.01)


def test_too_many_bands_are_refused():
    for count, rows in ((14, 8), (0, 4), (4, 0)):
        with pytest.raises(ValueError, match="bands"):
            bands(signatures(2, 64), count, rows)
    with pytest.raises(ValueError, match="shapes"):
        jaccard(signatures(2, 4), signatures(3, 4))


def test_components():
    edges = np.array([[5, 4], [4, 1], [2, 3], [6, 6]]).T
    assert components(8, edges[0], edges[1]).tolist() == [0, 1, 2, 2, 1, 1, 6, 7]
    assert components(0, np.empty(0, np.int64), np.empty(0, np.int64)).tolist() == []
    for bad in ([8], [-1]):
        with pytest.raises(ValueError, match="outside"):
            components(8, np.array(bad), np.array([0]))


def test_a_long_chain_is_one_component():
    n = 200_000
    assert not components(n, np.arange(1, n), np.arange(n - 1)).any()
    assert not components(n, np.arange(n - 1)[::-1], np.arange(1, n)[::-1]).any()
