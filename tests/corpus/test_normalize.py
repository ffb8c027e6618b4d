import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.edit import apply_spans
from corpus.normalize import Normalize, normalized
from tests.kernels.texts import characters, composed, texts

gaps = st.text(
    st.sampled_from("a中e\u0301\u0327 \n\r\t\u3000\x00\u200b\xa0\u2028\ufeffé\u1100\u1161\u11a8<\u0338"), max_size=25
)
touching = st.text(st.sampled_from("ea\u0301\x00\n"), max_size=25)
some = st.lists(st.one_of(texts, gaps, touching, composed, st.text(characters)), max_size=5)


@settings(max_examples=400)
@given(some)
def test_spans_give_the_normal_text_and_nothing_more_to_do(values):
    text = pa.array(values, pa.large_string())
    spans = Normalize().spans(text)
    once = apply_spans(text, spans)
    assert once.to_pylist() == [normalized(v) for v in values]
    assert Normalize().spans(once).num_rows == 0, once.to_pylist()
    assert all(spans["start"][k].as_py() <= spans["stop"][k].as_py() for k in range(spans.num_rows))


@pytest.mark.parametrize(
    ("before", "after", "reasons"),
    [
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd", ["line_ending"] * 3),
        ("a\x00b\ufeff中\u200b文\xad", "ab中文", ["control"] * 4),
        ("a \nb\t\n　\n\n\n　　段\n　 次", "a\nb\n\n段\n 次", ["whitespace"] * 3),
        ("\n\n  a\xa0b　　c\n\n", "a b c", ["whitespace"] * 4),
        ("　　第一段。\n　　第二段。", "第一段。\n第二段。", ["whitespace"] * 2),
        ("甲\u202e乙\u2066丙\u2069 \x9f\U0001fffe\U000e0041a\ufdd0", "甲乙丙 a", ["control"] * 4),
        ("a\u2029\x85b\x0c中", "a\n\nb\n中", ["line_ending"] * 2),
        ("\u200b\r\n", "", ["control"]),
        ("\x1b[1;31m错误\x1b[0m error \x1b[K\x1b[?25l in", "错误 error  in", ["control"] * 3),  # a terminal's colours
        ("a\x1b[3\x1b[31m1m [0m \x1b", "a[31m [0m", ["control"] * 3),
        ("cafe\u0301 が", "café が", ["nfc"]),
        ("e\x00\u0301\r\n", "é", ["nfc"]),  # changes that touch are one
        ("e\x00\u0301 a\x00 e\u0301", "é a é", ["nfc", "control", "nfc"]),
        ("ＡＢ１２「全角」ｱ 繁體 简体…", "ＡＢ１２「全角」ｱ 繁體 简体…", []),
        ("def f():\n    return  1", "def f():\n    return  1", []),
        ("\U0001f468\u200d\U0001f4bb می\u200cخواهم", "\U0001f468\u200d\U0001f4bb می\u200cخواهم", []),
        ("  \n\t ", "", ["whitespace"]),
        ("", "", []),
    ],
)
def test_reasons(before, after, reasons):
    text = pa.array([before], pa.large_string())
    spans = Normalize().spans(text)
    assert apply_spans(text, spans).to_pylist() == [after]
    assert spans["reason"].to_pylist() == reasons


def test_a_megabyte_of_hostile_text_is_quick_and_right():
    values = [
        "\r\n" * 200_000,
        " " * 1_000_000 + "x",
        "e\u0301" * 50_000,
        "\x00" * 1_000_000,
        "\n \n" * 200_000 + "中",
        "中" + "\u0301\u0327" * 100_000,
        "　" * 300_000 + "中\U0001f600 " * 100_000,
    ]
    text = pa.array(values, pa.large_string())
    assert apply_spans(text, Normalize().spans(text)).to_pylist() == [normalized(v) for v in values]


def test_rows_without_a_change_cost_no_span_and_null_is_none():
    text = pa.array(["clean\n\ntext", None, "行尾 \n完", "", "两段\n\n整洁"], pa.large_string())
    spans = Normalize().spans(text)
    assert spans["row"].to_pylist() == [2]
    assert (spans["start"].to_pylist(), spans["stop"].to_pylist()) == ([6], [7])
    assert Normalize().spans(text.slice(2, 1))["start"].to_pylist() == [6]


@given(st.text(st.sampled_from("e中\u0301\u0327\u0345\u05b0\u3099か\u0344"), max_size=12), st.integers(20, 60))
def test_many_marks_compose_as_the_library_does(text, times):
    value = "a" + text * times + "b"
    assert normalized(value) == unicodedata.normalize("NFC", value)
