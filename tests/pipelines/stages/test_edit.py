"""The edit stage: the next edition, every change in its row, bytes that reconcile; each text edited alone beside it."""

from collections import Counter
from functools import cache

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.document import DOCUMENT
from corpus.normalize import Normalize
from corpus.pii import Mask
from pipelines.stages.edit import PROGRAM, EditStage
from tests.pipelines.stages import small

ORDERS = ((10, 20), (20, 10), (5, 5))


@cache
def alone(text: str, order: int) -> tuple[str, tuple[tuple[object, ...], ...]]:
    """The text after both edits, and each change: step, edit, start, stop, replacement, reason. One text at a time."""
    normal, mask = ORDERS[order]
    steps = [(normal, "一", Normalize(order=normal)), (mask, "二", Mask(order=mask))]
    changes = []
    for step, (_, name, edit) in enumerate(sorted(steps, key=lambda each: each[:2])):
        data, out, at = text.encode(), b"", 0
        for span in edit.spans(pa.array([text], pa.large_string())).to_pylist():
            out += data[at : span["start"]] + span["replacement"].encode()
            at = span["stop"]
            rest = tuple(span[key] for key in ("start", "stop", "replacement", "reason"))
            changes.append((step, f"{name}@{edit.version}", *rest))
        text = (out + data[at:]).decode()
    return text, tuple(changes)


@pytest.mark.parametrize("order", range(3))
@small.examples(2)
@given(seed=st.integers(0, 1 << 32))
def test_every_text_and_every_change_stands_in_its_row(store, seed, order):
    root, rows = store(), small.documents(seed)
    normal, mask = ORDERS[order]
    what = EditStage(input="x", edits={"一": Normalize(order=normal), "二": Mask(order=mask)})
    edited = small.made(root, PROGRAM, what, {"edition": small.edition(root, rows)})
    wanted = [row | {"text": alone(row["text"], order)[0]} for row in rows]
    assert edited.rows("documents") == [{name: row[name] for name in DOCUMENT.names} for row in wanted]
    changes = []
    for shard in small.by_shard(rows):
        for at, row in enumerate(shard):
            changes += [(row["id"], at, *change) for change in alone(row["text"], order)[1]]
    assert sorted(tuple(each.values()) for each in edited.rows("edits")) == sorted(changes)
    assert len({at for _, at, *_ in changes if at >= 4096}) > 100  # the second batch has its share
    tally, everyone = edited.artifact.tally, {row["id"] for row in rows}
    small.reconciled(tally, everyone, everyone, {})
    removed, added = Counter[str](), Counter[str]()
    for _, _, _, _, start, stop, replacement, reason in changes:
        removed[reason] += stop - start
        added[reason] += len(replacement.encode())
    assert (dict(tally.removed), dict(tally.added)) == (dict(removed), dict(added))
    sizes = [sum(len(row["text"].encode()) for row in each) for each in (rows, wanted)]
    assert [tally.bytes_in, tally.bytes_out] == sizes and removed.keys() >= {"email", "phone", "whitespace"}
