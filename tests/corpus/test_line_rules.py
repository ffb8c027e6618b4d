"""Each rule of lines just inside and just outside, by reason; C4's defaults beside C4's own code."""

import re
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

import conf
from corpus.edit import apply_spans
from corpus.edits import AnyEdit
from corpus.line_rules import PHRASES, Lines
from corpus.simplify import Simplify
from tests.kernels.texts import batches

OFF = {"ends": "", "words": 0, "longest_word": 10**6, "phrases": (), "citations": True}


def edited(edit, text):
    array = pa.array([text], pa.large_string())
    spans = edit.spans(array)
    return apply_spans(array, spans)[0].as_py(), spans["reason"].to_pylist()


CASES = [
    ({"ends": ".!?\"'"}, "It ends.", "It ends...", "no_terminal"),
    ({"ends": ".!?\"'"}, 'He said "yes"', "It ends，", "no_terminal"),
    ({"ends": "。！？”"}, "“完了。”", "完了；", "no_terminal"),
    ({"words": 3}, "one two three", "one two", "few_words"),
    ({"words": 3}, "一二三", "一二", "few_words"),
    ({"longest_word": 5}, "abcde fg", "abcdef g", "long_word"),
    ({"longest_word": 5}, "一二三四五六", "一二三abcdef", "long_word"),
    ({"uppercase": 0.5}, "ABcd", "ABCd", "uppercase_line"),
    ({"numeric": False}, "12:30 noon", "12:30 - 14", "numeric_line"),
    ({"numeric": False}, "共12人", "2024/05/17", "numeric_line"),
    ({"counters": False}, "three likes", "3 likes", "counter_line"),
    ({"counters": False}, "12人点了赞", "1.2万次阅读", "counter_line"),
    ({"phrases": ("use cookies",)}, "We use cakes.", "We Use Cookies.", "boilerplate_line"),
    ({"beginnings": ("sign-in",), "short": 3}, "Sign-in to read this", "Sign-in to read", "short_boilerplate"),
    ({"endings": ("read more...",)}, "Read more...or less", "The news. Read more...", "short_boilerplate"),
    ({"inside": ("加入购物车",), "short": 6}, "请把它加入购物车", "加入购物车", "short_boilerplate"),
    ({"chinese": 4}, "这里四字abc", "三个字abc", "few_chinese"),
]


@pytest.mark.parametrize(("rule", "inside", "outside", "reason"), CASES, ids=lambda value: str(value)[:40])
def test_a_line_just_inside_stays_and_just_outside_goes(rule, inside, outside, reason):
    edit = Lines(**OFF | rule)
    assert edited(edit, inside) == (inside, [])
    assert edited(edit, outside) == ("", [reason])
    assert edited(edit, f"{inside}\n\n  {outside} \n{inside}") == (f"{inside}\n\n{inside}", [reason])


def test_every_reason_has_a_case():
    assert {case[-1] for case in CASES} | {"citation", "half_sentence", "too_many_lines"} == set(Lines.reasons)


def test_citations_and_half_sentences():
    assert edited(Lines(**OFF | {"citations": False}), "Water[12] is wet[edit].[citation needed] 水[]") == (
        "Water is wet. 水",
        ["citation"] * 4,
    )
    cut = Lines(**OFF | {"half_sentence": False})
    for text, wanted in [
        ("第一句。第二句还没有说", "第一句。"),
        ("第一行。\n说完了。“好”。还没", "第一行。\n说完了。“好”。"),
        ("It is over. And the", "It is over."),
        ("没有句号的标题", "没有句号的标题"),
        ("说完了。”", "说完了。”"),
        ("", ""),
    ]:
        assert edited(cut, text)[0] == wanted
        assert edited(cut, wanted) == (wanted, [])
    both = Lines(**OFF | {"half_sentence": False, "chinese": 3})
    assert edited(both, "第一句。第二\nEnglish only")[0] == "第一句。\n"


@pytest.mark.parametrize("word", ["word ", "字"])
def test_a_text_that_would_lose_more_than_a_share_of_its_words_goes_whole(word):
    """RefinedWeb: more than 5 %, just inside and just outside."""
    rule = Lines(**OFF | {"numeric": False, "lost": 0.05})
    line = (word * 95).strip()
    assert edited(rule, f"1 2 3 4 5\n{line}") == (line, ["numeric_line"])
    assert edited(rule, f"1 2 3 4 5 6\n{line}") == ("", ["too_many_lines"])
    assert edited(Lines(**OFF | {"numeric": False}), f"1 2 3 4 5 6\n{line}") == (line, ["numeric_line"])


def c4(text):
    """C4's lines as its code has them (tensorflow_datasets' c4_utils.clean_page)."""
    kept = []
    for line in text.splitlines():
        line = line.strip()
        if any(len(word) > 1000 for word in line.split()):
            continue
        line = re.sub(r"\[\d*\]|\[edit\]|\[citation needed\]", "", line)
        if not line.endswith((".", "?", "!", '"', "'")) or line.endswith("..."):
            continue
        if len(line.split()) < 3 or any(phrase in line.lower() for phrase in PHRASES):
            continue
        kept.append(line)
    return kept


english = st.lists(
    st.sampled_from(
        ["One two three.", "No end", "Two words.", "We use cookies.", "Wet[3] as [edit].", "Well then so..."]
    )
    | st.text("ab. !?'[]1", max_size=12),
    max_size=8,
).map("\n".join)


@given(english)
def test_english_lines_are_c4s(text):
    found, _ = edited(Lines(ends=".!?\"'"), text)
    assert [line.strip() for line in found.splitlines() if line.strip()] == [line for line in c4(text) if line]


@given(batches)
def test_spans_of_any_text_can_be_applied(values):
    array = pa.array(values, pa.large_string())
    for edit in (Lines(), Lines(**OFF | {"half_sentence": False, "citations": False, "chinese": 2}), Simplify()):
        apply_spans(array, edit.spans(array))


def test_simplified():
    assert edited(Simplify(), "漢字、軟體 and 乾坤一擲") == ("汉字、软体 and 干坤一掷", ["simplified"] * 4)
    assert edited(Simplify(), "汉字 text") == ("汉字 text", [])


@pytest.mark.parametrize("preset", sorted(path.stem for path in (Path(conf.__file__).parent / "lines").glob("*.yaml")))
def test_every_preset_of_lines_is_valid_and_changes_what_it_says(preset):
    body = yaml.safe_load((Path(conf.__file__).parent / "lines" / f"{preset}.yaml").read_text(encoding="utf-8"))
    edits = [TypeAdapter(AnyEdit).validate_python(value) for value in body.values()]
    page = "第一句話是完整的一句話。\n登录\n3 likes\nREAD ALL ABOUT IT\nOne two three four.\n还没有说完的半句话。没"
    for edit in sorted(edits, key=lambda each: each.order):
        page = edited(edit, page)[0]
    assert (
        page.split("\n")
        == {
            "none": [
                "第一句話是完整的一句話。",
                "登录",
                "3 likes",
                "READ ALL ABOUT IT",
                "One two three four.",
                "还没有说完的半句话。没",
            ],
            "c4": ["第一句話是完整的一句話。", "One two three four.", ""],
            "clue": ["第一句話是完整的一句話。", ""],
            "refinedweb": [""],
            "mnbvc": ["第一句话是完整的一句话。", "还没有说完的半句话。"],
        }[preset]
    )
