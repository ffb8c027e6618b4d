"""The order of rules comes from `order` and names alone; measures must keep their promise."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.measure import MeasureError, checked
from corpus.rule import Judgement, ordered

SCHEMA = pa.schema([("bytes", pa.int64())])


@dataclass(frozen=True)
class Never:
    """A rule that drops nothing."""

    order: int
    version: int = 1

    def reads(self):
        return ("length.bytes",)

    def judge(self, columns, language):
        n = len(language)
        return Judgement(np.zeros(n, bool), np.zeros(n), np.zeros(n))


@given(st.dictionaries(st.text(max_size=5), st.integers(-3, 3)), st.randoms())
def test_a_mappings_own_order_never_counts(orders, random):
    rules = {name: Never(order) for name, order in orders.items()}
    shuffled = list(rules.items())
    random.shuffle(shuffled)
    found = ordered(dict(shuffled))
    assert found == ordered(rules)
    assert [(rule.order, name) for name, rule in found] == sorted((o, n) for n, o in orders.items())


@dataclass(frozen=True)
class Fixed:
    """A measure that returns what it was given."""

    result: pa.RecordBatch
    version: int = 1
    schema: pa.Schema = SCHEMA

    def compute(self, documents):
        return self.result


def test_a_measure_that_is_not_aligned_is_refused():
    documents = pa.record_batch({"text": pa.array(["中文", "b"])})
    good = pa.record_batch([pa.array([6, 1])], schema=SCHEMA)
    assert checked("length", Fixed(good), documents) is good
    for bad in (good.slice(1), good.rename_columns(["size"]), good.cast(pa.schema([("bytes", pa.int32())]))):
        with pytest.raises(MeasureError, match=r"measure length returned \d rows of"):
            checked("length", Fixed(bad), documents)
