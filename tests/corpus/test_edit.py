"""Spans make the next edition and nothing else; what is no span is refused."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.edit import SpanError, apply_spans, spans_from_lists
from corpus.verdict import ReconciliationError, Tally

TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("中文é\x00\u0301👩"), max_size=20)


@st.composite
def edited(draw):
    """Texts, sorted disjoint spans on characters, and the texts they make by plain slicing."""
    texts, spans, expected = draw(st.lists(TEXT, min_size=1, max_size=5)), [], []
    for row, text in enumerate(texts):
        cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
        out, cursor = [], 0
        for start, stop in zip(cuts[::2], cuts[1::2], strict=False):
            replacement, reason = draw(TEXT), draw(st.sampled_from(["email", "line"]))
            begin, end = len(text[:start].encode()), len(text[:stop].encode())
            spans.append((row, begin, end, replacement, reason))
            out += [text[cursor:start], replacement]
            cursor = stop
        expected.append("".join([*out, text[cursor:]]))
    return texts, spans, expected


def batch_of(spans):
    return spans_from_lists(*[list(c) for c in zip(*spans, strict=True)] or [[]] * 5)


def bytes_of(texts):
    return sum(len(t.encode()) for t in texts)


@given(edited())
def test_applying_gives_the_new_edition_and_bytes_balance(case):
    texts, spans, expected = case
    batch = batch_of(spans)
    # A slice of a longer batch must not see its neighbours.
    text = pa.array(["前", *texts, "後"], pa.large_string()).slice(1, len(texts))
    out = apply_spans(text, batch)
    assert out.to_pylist() == expected and out.type == pa.large_string()
    removed, added = {}, {}
    for _, start, stop, replacement, reason in spans:
        removed[reason] = removed.get(reason, 0) + stop - start
        added[reason] = added.get(reason, 0) + len(replacement.encode())
    tally = Tally(bytes_in=bytes_of(texts), bytes_out=bytes_of(expected), removed=removed, added=added)
    tally.check("edit")
    with pytest.raises(ReconciliationError, match="edit: "):
        (tally + Tally(bytes_out=1)).check("edit")


BAD = {
    "overlap": [(0, 0, 4, "", "r"), (0, 3, 5, "", "r")],
    "unsorted": [(0, 4, 5, "", "r"), (0, 0, 1, "", "r")],
    "reversed": [(0, 4, 3, "", "r")],
    "negative": [(0, -1, 2, "", "r")],
    "beyond": [(0, 0, 10, "", "r")],
    "row": [(2, 0, 0, "", "r")],
    "rows unsorted": [(1, 0, 1, "", "r"), (0, 0, 1, "", "r")],
    "cuts at its start": [(1, 1, 3, "", "r")],
    "cuts at its stop": [(1, 0, 2, "", "r")],
    # What is left, C3 A8, is a character again: only the boundary tells.
    "cuts two into one": [(2, 1, 3, "", "r")],
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_span_is_refused(name):
    texts = ["plain abc", "中文"] + (["éè"] if name == "cuts two into one" else [])
    with pytest.raises(SpanError):
        apply_spans(pa.array(texts, pa.large_string()), batch_of(BAD[name]))


def test_nothing_to_do_and_insertions():
    text = pa.array(["a", ""], pa.large_string())
    assert apply_spans(text, batch_of([])).to_pylist() == ["a", ""]
    spans = [(0, 0, 0, "中", "r"), (0, 1, 1, "x", "r"), (0, 1, 1, "y", "r"), (1, 0, 0, "z", "r")]
    assert apply_spans(text, batch_of(spans)).to_pylist() == ["中axy", "z"]
    assert np.array_equal(text.to_pylist(), ["a", ""])
