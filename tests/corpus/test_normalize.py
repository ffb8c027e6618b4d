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
        ("a \nb\t\n　\n\n\n　　段", "a\nb\n\n　　段", ["whitespace"] * 2),
        ("\n\n  a\xa0b　c\n\n", "  a b　c", ["whitespace"] * 3),
        ("cafe\u0301 が", "café が", ["nfc"]),
        ("e\x00\u0301\r\n", "é", ["nfc"]),  # changes that touch are one
        ("e\x00\u0301 a\x00 e\u0301", "é a é", ["nfc", "control", "nfc"]),
        ("ＡＢ１２　「全角」ｱ 繁體 简体…", "ＡＢ１２　「全角」ｱ 繁體 简体…", []),
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
        "e\u0301" * 200_000,
        "\x00" * 1_000_000,
        "\n \n" * 200_000 + "中",
    ]
    text = pa.array(values, pa.large_string())
    assert apply_spans(text, Normalize().spans(text)).to_pylist() == [normalized(v) for v in values]
