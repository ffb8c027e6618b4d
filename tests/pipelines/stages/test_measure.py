"""The measure stage: columns aligned with the edition, several measures in one pass, each under its own digest."""

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.measure import MeasureError
from corpus.measures import Exact, Length, Signature
from corpus.measures.columns import batch, fields
from pipelines.stages.measure import PROGRAM, OneMeasure
from tests.pipelines.stages import small


@cache
def alone(text: str, permutations: int) -> dict[str, bytes]:
    """The signature of one text alone."""
    document = pa.record_batch({"text": pa.array([text], pa.large_string())})
    (row,) = Signature(permutations=permutations).compute(document).to_pylist()
    return row


@small.examples(3)
@given(seed=st.integers(0, 1 << 32), chosen=st.sets(st.sampled_from("abcd"), min_size=2))
def test_measures_of_one_pass_are_each_documents_own(store, seed, chosen):
    root, rows = store(), small.documents(seed)
    # Of one kind with other parameters: two cells of a sweep.
    every = {"a": Length(), "b": Signature(permutations=4), "c": Signature(permutations=8), "d": Exact()}
    whats = {name: OneMeasure(every[name]) for name in sorted(chosen)}
    edition = small.edition(root, rows)
    made = small.together(root, PROGRAM, whats, {"edition": edition})
    everyone = {row["id"] for row in rows}
    for name, one in made.items():
        columns, measure = one.rows("columns"), every[name]
        assert one.artifact.figures["edition"] == edition.stage.digest
        small.reconciled(one.artifact.tally, everyone, everyone, {})
        if name == "a":
            told = [(len(row["text"].encode()), len(row["text"])) for row in rows]
            assert [(each["bytes"], each["characters"]) for each in columns] == told
        elif name == "d":
            assert [each["exact"] for each in columns] == [plain_exact(row["text"]) for row in rows]
        else:
            assert columns == [alone(row["text"], measure.permutations) for row in rows]
    assert len({one.stage.digest for one in made.values()}) == len(made)


def plain_exact(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]


@dataclass(frozen=True)
class Short:
    """A measure that forgets the last row."""

    version: ClassVar[int] = 1
    schema: ClassVar[pa.Schema] = fields(("bytes",), pa.int64())

    def compute(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        return batch({"bytes": range(documents.num_rows - 1)}, self.schema)


def test_columns_that_do_not_fit_their_documents_are_refused(store):
    root, rows = store(), small.documents(1, 50)
    with pytest.raises(MeasureError, match=r"measure measure returned \d+ rows of \['bytes'\] for \d+ documents"):
        small.made(root, PROGRAM, OneMeasure(Short()), {"edition": small.edition(root, rows)})
