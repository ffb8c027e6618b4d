import pyarrow as pa
import pytest
from pydantic import TypeAdapter, ValidationError

from corpus.edit import SPANS, apply_spans
from corpus.edits import AnyEdit
from corpus.normalize import Normalize
from corpus.pii import Mask

EDITS = TypeAdapter(AnyEdit)


@pytest.mark.parametrize("edit", [Normalize(order=3), Mask(kinds=("email",))])
def test_an_edit_is_known_by_its_name(edit):
    assert EDITS.validate_python(EDITS.dump_python(edit)) == edit
    assert EDITS.validate_python({"edit": edit.edit}) == type(edit)()


@pytest.mark.parametrize(
    "value", [{"edit": "normalise"}, {"order": 1}, {"edit": "mask", "kind": []}, {"edit": "mask", "kinds": ["name"]}]
)
def test_anything_else_is_refused(value):
    with pytest.raises(ValidationError):
        EDITS.validate_python(value)


@pytest.mark.parametrize("edit", [Normalize(), Mask()])
@pytest.mark.parametrize("values", [[], [""], [None, "整洁 tidy"]])
def test_nothing_to_change_is_no_span(edit, values):
    spans = edit.spans(pa.array(values, pa.large_string()))
    assert spans.num_rows == 0
    assert spans.schema == SPANS


def test_one_after_the_other():
    text = pa.array(["电\u200b话：\u00a0138\u00a01234\u00a05678 \r\n", "mail a\u00adb@example.com"], pa.large_string())
    for edit in sorted([Mask(), Normalize()], key=lambda edit: edit.order):
        text = apply_spans(text, edit.spans(text))
    assert text.to_pylist() == ["电话： <PHONE>", "mail <EMAIL>"]
