"""Nothing is lost, nothing is counted twice: counts and id sums, in = kept + dropped."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.verdict import Count, ReconciliationError, Tally, count_ids, total

IDS = st.lists(st.binary(min_size=16, max_size=16), max_size=20)
COUNT = st.builds(Count, st.integers(0, 1 << 40), st.integers(0, (1 << 128) - 1))
TALLY = st.builds(
    Tally,
    came=COUNT,
    born=COUNT,
    kept=COUNT,
    dropped=st.dictionaries(st.sampled_from(["short", "近似"]), COUNT),
    bytes_in=st.integers(0, 1 << 60),
    bytes_out=st.integers(0, 1 << 60),
    removed=st.dictionaries(st.sampled_from("ab"), st.integers(0, 1 << 60)),
    added=st.dictionaries(st.sampled_from("ab"), st.integers(0, 1 << 60)),
)


def plain(ids):
    return Count(len(ids), sum(int.from_bytes(i, "big") for i in ids) % (1 << 128))


@given(ids=IDS, first=st.integers(0, 20), length=st.integers(0, 20), cut=st.integers(0, 20))
def test_count_is_the_plain_sum_also_of_slices(ids, first, length, cut):
    array = pa.array(ids, pa.binary(16))
    assert count_ids(array) == plain(ids)
    assert count_ids(array.slice(first, length)) == plain(ids[first : first + length])
    pieces = pa.chunked_array([array.slice(0, cut), array.slice(cut)], pa.binary(16))
    assert count_ids(pieces) == plain(ids)
    assert count_ids(pa.chunked_array([], pa.binary(16))) == Count()


def test_count_wraps_at_128_bits_and_not_before():
    top = b"\xff" * 16
    assert count_ids(pa.array([top] * 3, pa.binary(16))) == Count(3, (3 * ((1 << 128) - 1)) % (1 << 128))
    many = np.tile(np.frombuffer(top, np.uint8), 70_000).tobytes()
    array = pa.Array.from_buffers(pa.binary(16), 70_000, [None, pa.py_buffer(many)])
    assert count_ids(array) == Count(70_000, (-70_000) % (1 << 128))


def test_ids_that_are_none_are_refused():
    with pytest.raises(ReconciliationError, match="1 nulls"):
        count_ids(pa.array([b"a" * 16, None], pa.binary(16)))
    with pytest.raises(ReconciliationError, match="16 bytes"):
        count_ids(pa.array([b"a" * 8], pa.binary(8)))


@given(TALLY, TALLY, TALLY)
def test_tallies_add_in_any_order_and_survive_json(a, b, c):
    assert total([a, b, c]) == total([c, a, b]) == a + (b + c)
    assert Tally.decode(json.loads(json.dumps(a.encode()))) == a


@given(ids=st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=12, unique=True), data=st.data())
def test_one_lost_or_doubled_document_is_seen(ids, data):
    where = data.draw(st.lists(st.sampled_from(["kept", "short", "near"]), min_size=len(ids), max_size=len(ids)))
    by = {k: [i for i, w in zip(ids, where, strict=True) if w == k] for k in ("kept", "short", "near")}
    born = data.draw(st.integers(0, len(ids)))

    def tally(kept):
        dropped = {k: plain(by[k]) for k in ("short", "near")}
        return Tally(came=plain(ids[born:]), born=plain(ids[:born]), kept=plain(kept), dropped=dropped)

    tally(by["kept"]).check("x")
    victim = data.draw(st.sampled_from(ids))
    with pytest.raises(ReconciliationError, match=r"stage/item: in \d+ \+ born \d+"):
        tally([*by["kept"], victim]).check("stage/item")
    if by["kept"]:
        with pytest.raises(ReconciliationError):
            tally(by["kept"][1:]).check("x")
        other = bytes(16) if bytes(16) not in ids else b"\x01" * 16
        if plain([other]) != plain(by["kept"][:1]):  # equal counts of other documents
            with pytest.raises(ReconciliationError):
                tally([*by["kept"][1:], other]).check("x")


def test_bytes_must_balance():
    good = Tally(bytes_in=100, bytes_out=95, removed={"email": 8}, added={"email": 3})
    good.check("clean")
    for bad in (Tally(bytes_out=1), Tally(removed={"line": 1}), Tally(added={"email": 1}), Tally(bytes_in=1)):
        with pytest.raises(ReconciliationError, match=r"clean: 10\d bytes in"):
            (good + bad).check("clean")
