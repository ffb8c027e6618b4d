from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

import conf
from corpus.filters import AnyRule, FlaggedRule, LanguageRule, ListedRule, RangeRule
from corpus.measures import PACKAGED
from corpus.rule import ordered
from kernels.fold import simplified

RULES = TypeAdapter(dict[str, AnyRule])
SETS = sorted(p for g in ("filters", "detox") for p in (Path(conf.__file__).parent / g).glob("*.yaml"))
LANGUAGES = np.array(["zh", "en", "de", "und"])
MEASURES = [measure() for measure in PACKAGED]
COLUMNS = {f"{m.measure}.{name}" for m in MEASURES for name in m.schema.names}


def judge(rule, **columns):
    return rule.judge({k.replace("__", "."): np.array(v) for k, v in columns.items()}, LANGUAGES)


def test_range_has_bounds_by_language_and_other():
    rule = RangeRule(order=1, column="length.words", minimum={"zh": 50, "other": 10}, maximum={"en": 20})
    found = judge(rule, length__words=[49, 21, 9, 1000])
    assert found.fails.tolist() == [True, True, True, False]
    assert found.threshold[:3].tolist() == [50, 20, 10]
    assert judge(rule, length__words=[50, 20, 10, 10]).fails.tolist() == [False] * 4
    assert rule.reads() == ("length.words",)


@pytest.mark.parametrize(
    ("bounds", "fails", "threshold"),
    [
        ({"minimum": {"other": 0}}, [True] * 4, [0] * 4),
        ({"maximum": {"other": 1}}, [True] * 4, [1] * 4),
        ({"minimum": {"zh": 0}}, [True, False, False, False], [0, np.inf, np.inf, np.inf]),
        ({"maximum": {"en": 1}}, [False, True, False, False], [np.inf, 1, np.inf, np.inf]),
        ({"minimum": {"zh": 0}, "maximum": {"de": 9}}, [True, False, True, False], [0, np.inf, 9, np.inf]),
    ],
)
def test_a_value_that_could_not_be_measured_fails_where_there_is_a_bound(bounds, fails, threshold):
    found = judge(RangeRule(order=1, column="quality.digits", **bounds), quality__digits=[np.nan] * 4)
    assert found.fails.tolist() == fails
    assert found.threshold.tolist() == threshold


@given(st.lists(st.floats(allow_nan=True), min_size=4, max_size=4), st.floats(-1, 1), st.floats(-1, 1))
def test_range_equals_its_definition(values, low, high):
    found = judge(RangeRule(order=1, column="a.b", minimum={"other": low}, maximum={"other": high}), a__b=values)
    assert found.fails.tolist() == [not low <= value <= high for value in values]


def test_language():
    rule = LanguageRule(order=1, languages=["zh", "en"], minimum={"zh": 0.9, "other": 0.5})
    found = judge(rule, language__score=[0.8, 0.5, 1.0, 0.0])
    assert found.fails.tolist() == [True, False, True, True]
    assert found.threshold.tolist() == [0.9, 0.5, 1.0, 1.0]
    assert judge(rule, language__score=[np.nan] * 4).fails.all()


def test_flagged_words_are_no_accident():
    rule = FlaggedRule(order=1, maximum={"zh": 0.004, "other": 0.01})
    columns = {
        "toxicity.share": [0.1, 0.0101, 0.01, np.nan],
        "toxicity.distinct": [1, 2, 2, 0],
        "toxicity.hits": [3, 2, 9, 0],
    }
    found = judge(rule, **columns)
    assert found.fails.tolist() == [False, True, False, False]
    assert found.threshold.tolist() == [0.004, 0.01, 0.01, 0.01]
    assert judge(rule, **columns | {"toxicity.hits": [4, 0, 0, 0]}).fails.tolist() == [True, True, False, False]


def test_words_that_were_measured_are_judged_by_lists(tmp_path):
    hosts = ["a.example.org", "example.org", "notexample.org", ""]
    rule = ListedRule(order=1, column="address.host", words=["example.org"])
    assert judge(rule, address__host=hosts).fails.tolist() == [False, True, False, False]
    (tmp_path / "hosts.txt").write_text("# spam\nexample.org\n", encoding="utf-8")
    below = ListedRule(order=1, column="address.host", files=[str(tmp_path / "hosts.txt")], below=True)
    found = judge(below, address__host=hosts)
    assert found.fails.tolist() == [True, True, False, False]
    assert (found.value.tolist(), found.threshold.tolist()) == ([1, 1, 0, 0], [0] * 4)
    wanted = ListedRule(order=1, column="language.script", words=["Hans", "Hani"], wanted=True)
    assert judge(wanted, language__script=["Hans", "Hant", "Latn", "Hani"]).fails.tolist() == [False, True, True, False]
    assert not len(wanted.judge({"language.script": np.array([], str)}, LANGUAGES[:0]).fails)


@pytest.mark.parametrize(
    "bad",
    [
        {"rule": "range", "order": 1, "column": "length.words"},
        {"rule": "range", "order": 1, "column": "words", "minimum": {"other": 1}},
        {"rule": "range", "order": 1, "column": "length.words", "minimun": {"other": 1}},
        {"rule": "range", "order": 1, "column": "length.words", "minimum": {"other": "many"}},
        {"rule": "language", "order": 1, "languages": [], "minimum": {}},
        {"rule": "ranges", "order": 1},
        {"rule": "listed", "order": 1, "column": "address.host"},
    ],
)
def test_mistakes_are_refused(bad):
    with pytest.raises(ValidationError):
        RULES.validate_python({"mine": bad})


@pytest.mark.parametrize("path", SETS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_every_rule_set_is_valid_and_reads_what_is_measured(path):
    package, _, text = path.read_text(encoding="utf-8").partition("\n")
    assert package == f"# @package recipe.{path.parent.name.removesuffix('s')}.rules"
    rules = RULES.validate_python(yaml.safe_load(text))
    assert {column for rule in rules.values() for column in rule.reads()} <= COLUMNS
    orders = [rule.order for rule in rules.values()]
    assert len(set(orders)) == len(orders)
    assert bool(rules) != (path.stem == "none")


def verdicts(path, *texts):
    import pyarrow as pa

    rules = RULES.validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
    batch = pa.record_batch([pa.array(texts, pa.large_string())], names=["text"])
    columns = {}
    for measure in MEASURES:
        found = measure.compute(batch)
        columns |= {f"{measure.measure}.{n}": found[n].to_numpy(zero_copy_only=False) for n in found.schema.names}
    out = [[] for _ in texts]
    for name, rule in ordered(rules):
        for row in np.flatnonzero(rule.judge(columns, columns["language.language"]).fails):
            out[row].append(name)
    return out


ENGLISH = (
    "LibreOffice Calc lets you enter numbers and text in the cells of a sheet. To begin, choose the cell with the "
    "mouse and write what you want to have there. Press Enter to keep the value, or Escape to go back to the one "
    "before. You can also copy cells to another document, and that is often quicker than typing. Try it."
)
CHINESE = (
    "在电子表格中，您可以在单元格里输入数字和文字。首先用鼠标选择一个单元格，然后输入需要的内容。"
    "按回车键保存输入的值，或者按退出键恢复为原来的值。您也可以把单元格复制到另外一份文档，这样通常比重新输入更快。"
)


@pytest.mark.parametrize("name", ["bilingual", "gopher", "fineweb", "fineweb2", "works", "none"])
def test_prose_of_both_languages_is_kept(name):
    path = next(p for p in SETS if p.stem == name)
    assert verdicts(path, ENGLISH, CHINESE) == [[], []]


def test_bilingual_names_the_reason_in_both_languages():
    path = next(p for p in SETS if p.stem == "bilingual")
    reasons = verdicts(
        path,
        "Save the file.",
        "保存文件。",
        "Le chat est sur la table et le chien dort dans la maison. " * 5,
        "\n".join([f"{k} {ENGLISH}" for k in range(3)] * 3),
        "\n".join(["在这里选择一个单元格，然后输入需要的内容。"] * 30),
        " ".join(str(k * 7919) for k in range(200)),
        "",
    )
    first = [names[0] for names in reasons]
    assert first[:3] == ["words", "words", "language"]
    assert first[3:5] == ["duplicate_lines"] * 2
    assert first[5] == first[6] == "language"
    assert "digits" in reasons[5] and "words" in reasons[6] and "word_length" in reasons[6]


def test_a_whole_short_work_stays_where_works_are_judged():
    """Complete poems and one-line reviews, which thresholds for web pages drop."""
    poem = "床前明月光，\n疑是地上霜。\n举头望明月，\n低头思故乡。"
    others = [
        "房间干净，早餐一般，下次还来",
        "白日依山盡\n黃河入海流",
        "I have read this book twice and would read it again.",
    ]
    by_name = {path.stem: path for path in SETS}
    assert verdicts(by_name["works"], poem, *others) == [[]] * 4
    assert all(verdicts(by_name["bilingual"], poem, *others))
    assert verdicts(by_name["works"], "12345 67890 12 3", "字", "Le chat est sur la table")[0][0] == "language"


def test_rules_of_chinese_corpora():
    by_name = {path.stem: path for path in SETS}
    mixed = ENGLISH[:150] + CHINESE
    assert [names[:1] for names in verdicts(by_name["mnbvc"], CHINESE, mixed, ENGLISH, CHINESE + "\ufffd", "好的")] == [
        [],
        ["language"] if verdicts(by_name["mnbvc"], mixed)[0][0] == "language" else ["chinese_share"],
        ["language"],
        ["replacements"],
        ["words"],
    ]
    c4 = [ENGLISH, CHINESE * 3, CHINESE, ENGLISH + " {x}", ENGLISH + " Lorem Ipsum."]
    assert verdicts(by_name["c4"], *c4) == [[], [], ["sentences"], ["brackets"], ["lorem_ipsum"]]
    assert verdicts(by_name["clue"], CHINESE, CHINESE + "{", ENGLISH)[1:] == [["brackets"], ["language"]]


def test_recipes_of_chinese_and_multilingual_corpora():
    by_name = {path.stem: path for path in SETS}
    rest = (
        "保存文件之前，请确认文件夹里没有同名的旧版本。如果有，程序会先问您是否替换它，再把新的内容写进磁盘。\n"
        "打印时可以选择纸张的大小和方向，也可以只打印其中几页，预览窗口会显示最后的结果。如果打印机没有反应，先看看电缆是否接好，"
        "再到系统设置里检查它是不是默认的那一台。"
    )
    page = CHINESE + rest
    mirror = page.translate({ord(plain): other for other, plain in simplified().items()})
    assert verdicts(by_name["chinesewebtext"], page, mirror) == [[], ["traditional"]]
    assert verdicts(by_name["chinesewebtext"], page + "\n好" * 60, CHINESE * 9) == [["mean_line"], ["repeated_13"]]
    noise = "the and of " * 300
    repeated = ["character_repetition", "word_repetition"]
    assert [names[-2:] for names in verdicts(by_name["roots"], ENGLISH, page, noise)] == [[], [], repeated]
    assert verdicts(by_name["refinedweb"], ENGLISH, page) == [[], []]
    entropy = "好的好的。" * 20
    assert verdicts(by_name["map_neo"], page)[0] == []
    assert {"entropy", "unique_characters", "top_2"} <= set(verdicts(by_name["map_neo"], entropy)[0])


def test_word_lists_drop_abuse_and_keep_documentation():
    path = next(p for p in SETS if p.stem == "word_lists")
    abuse = verdicts(path, "fuck you, " * 5, "他妈的王八蛋")
    assert abuse == [["flagged_share"], ["flagged_share"]]
    assert verdicts(path, ENGLISH, CHINESE, CHINESE + "函数的性能") == [[], [], []]
    once = ["他骂了一句他妈的，转身就走了。", "He said fuck and left.", "新娘的父母一次性交付了接口交互的费用。"]
    assert verdicts(path, *once) == [[], [], []]
    novel = (CHINESE * 200).replace("。", "，傻逼、婊子、王八蛋、他妈的。", 1)
    page = (CHINESE * 20).replace("。", "，傻逼、婊子、王八蛋、他妈的。", 1)
    assert verdicts(path, novel, page) == [[], ["flagged_words"]]
