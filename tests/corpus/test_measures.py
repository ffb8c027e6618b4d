import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from pydantic import TypeAdapter, ValidationError

import corpus.measures
from corpus import segment
from corpus.charset import decode
from corpus.extract.documents import Extract, extract_page
from corpus.languages import sampled
from corpus.measure import checked
from corpus.measures import (
    PACKAGED,
    Address,
    AnyMeasure,
    Exact,
    Language,
    Length,
    Quality,
    Repetition,
    Signature,
    Survey,
    columns,
)
from corpus.measures.survey import character_repetition, word_repetition
from corpus.plugins import tag_of
from corpus.sample.server import load as load_site
from kernels.dispatch import statistics
from kernels.reference import xxh64
from tests.kernels.texts import batches

ALL = [Signature(permutations=16) if measure is Signature else measure() for measure in PACKAGED]
ZH = "软件的设计是为了使用者。我们在这里说明如何打开文件，并且保存到另一个位置！"
EN = "The design of the software is for the people who use it. Open the file, and save it in another place!"


def documents(*texts):
    return pa.record_batch([pa.array(texts, pa.large_string())], names=["text"])


def measured(measure, *texts):
    return checked(measure.measure, measure, documents(*texts)).to_pylist()


@settings(max_examples=30)  # the reference walks 700 entries at each character
@given(batches)
def test_every_measure_is_aligned_and_equals_its_reference(values):
    batch = documents(*values)
    for measure in ALL:
        found = checked(measure.measure, measure, batch)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SIKU_KERNELS", "reference")
            expected = measure.compute(batch)
        for column in found.schema.names:
            np.testing.assert_array_equal(found[column].to_pylist(), expected[column].to_pylist(), column)


@given(batches)
def test_a_document_is_measured_the_same_whatever_its_neighbours(values):
    for measure in ALL:
        together = measure.compute(documents(*values))
        alone = [measure.compute(documents(value)).to_pylist()[0] for value in values]
        np.testing.assert_equal(together.to_pylist(), alone)


def test_length():
    rows = measured(Length(), EN, ZH, "", "Both 中文 words.\n\n \n一 line。")
    assert rows == [
        {"bytes": 101, "characters": 101, "words": 21, "lines": 1, "sentences": 2},
        {"bytes": 111, "characters": 37, "words": 34, "lines": 1, "sentences": 2},
        {"bytes": 0, "characters": 0, "words": 0, "lines": 0, "sentences": 0},
        {"bytes": 33, "characters": 25, "words": 6, "lines": 2, "sentences": 2},
    ]


def test_language_and_script():
    rows = measured(
        Language(),
        EN,
        ZH,
        "軟體的設計是為了使用者。我們在這裡說明如何打開文件。",
        "これは日本語の文章です。漢字もあります。",
        "",
        "123 。。\n",
    )
    assert [r["language"] for r in rows] == ["en", "zh", "zh", "ja", "und", "und"]
    assert [r["script"] for r in rows] == ["Latn", "Hans", "Hant", "Jpan", "Zyyy", "Zyyy"]
    assert [r["score"] > 0.7 for r in rows] == [True, True, True, True, False, False]
    assert rows[0]["latin"] == 1.0 and rows[1]["han"] == 1.0 and 0 < rows[3]["kana"] < 1
    assert rows[4]["score"] == 0.0 and math.isnan(rows[4]["han"])


def test_language_is_sampled_throughout():
    """A page that opens in the other language, or closes in it, is what most of it is."""
    front, back = "\n".join(ZH.split()) * 12 + EN * 60, EN * 60 + ZH * 12
    assert [row["language"] for row in measured(Language(), front, back, ZH * 60 + EN * 5)] == ["en", "en", "zh"]
    assert sampled("x" * 600, 600) == "x" * 600
    long = "".join(chr(0x4E00 + k) for k in range(10_000))
    pieces = sampled(long, 400).split(" ")
    assert [len(piece) for piece in pieces] == [100] * 4
    assert (pieces[0], pieces[-1]) == (long[:100], long[-100:])


CANTONESE = "佢哋琴日去咗邊度食飯？我唔知喎，不過佢話嗰間餐廳啲嘢食幾好味㗎。你要唔要同我哋一齊去睇下？"
CLASSICAL = "子曰：「學而時習之，不亦說乎？有朋自遠方來，不亦樂乎？人不知而不慍，不亦君子乎？」"


def test_varieties_of_chinese():
    """Cantonese and Classical Chinese count as zh, unless they are to be told apart; no lone character makes one."""
    texts = (ZH, CANTONESE, CLASSICAL, "我今天唔想去，因为天气太冷了，所以在家里看书。" * 2, EN, "")
    apart = measured(Language(counted={"cmn": "zh"}), *texts)
    assert [row["variety"] for row in apart] == ["cmn", "yue", "lzh", "yue", "en", "und"]
    assert [row["language"] for row in apart] == ["zh", "yue", "lzh", "yue", "en", "und"]
    assert [row["language"] for row in measured(Language(), *texts)] == ["zh"] * 4 + ["en", "und"]
    lone = ZH + "他说一个唔字。" + ZH
    assert measured(Language(), lone)[0]["variety"] == "cmn"
    assert all(row["score"] >= 0.5 for row in apart[:4])


def test_the_script_settles_that_a_short_text_is_chinese():
    """lid.176 says en of 709 in 1,000 single Chinese words."""
    words = "电脑 数据库 北京大学 打印机 网络 函数 单元格 帮助 电子邮件 下载 首页 登录 Python教程 東京大學".split()
    rows = measured(Language(), *words)
    assert {row["language"] for row in rows} == {"zh"} and min(row["score"] for row in rows) >= 0.5
    others = measured(Language(), "これは日本語です。", "한국어 문서입니다.", "Hello there 你好", EN)
    assert [row["language"] for row in others] == ["ja", "ko", "en", "en"]


def test_identification_agrees_with_its_publisher_on_real_pages():
    """The sample's pages, by their letters: many of zh-CN were never translated, and mixed ones are nobody's."""
    site = load_site()
    pages = [(path, page) for path, page in sorted(site.items()) if path.endswith(".html")][::12]
    texts = [text for _, page in pages if len(text := extract_page(decode(page).text, Extract()).text) > 100]
    rows = measured(Language(), *texts)
    pairs = [
        (row["language"], "zh" if row["han"] > 0.5 else "en") for row in rows if row["han"] > 0.5 or row["han"] < 0.2
    ]
    assert len(pairs) > 200 and {"zh", "en"} == {want for _, want in pairs}
    assert sum(found == want for found, want in pairs) / len(pairs) >= 0.985


def test_language_model_that_is_none(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"model\.bin"):
        Language(model=str(tmp_path / "model.bin")).compute(documents(EN))
    with pytest.raises(FileNotFoundError, match=r"other\.bin"):
        Language(model=str(tmp_path / "other.bin")).compute(documents(EN))


def test_quality():
    english, chinese, code, empty = measured(
        Quality(), EN, ZH + "\n「引用。」\n• 列表\n等等…", "# x = {1}\n## y...\n- THE\nthe\nTHE", ""
    )
    assert english["stop_words"] == 3  # the, of, and
    assert english["mean_word_length"] == pytest.approx(78 / 21)
    assert english["terminal_lines"] == 1.0 and english["alphabetic_words"] == 1.0
    (bracket,) = measured(Quality(), "新华社供图。（宋振平摄）\n完了。）\nSee this.[1]\n（注）\n无（注）\n(a) b")
    assert bracket["terminal_lines"] == pytest.approx(3 / 6)
    (mixed,) = measured(Quality(), "software 的设计是为了使用者 people")
    assert mixed["mean_word_length"] == 7  # of the words that are no ideographs
    spaced, dense = measured(Quality(), "一二三\n\n\n四五\n\n六", "一二三\n四五\n六")
    assert spaced["newlines"] == dense["newlines"] == 2 / 6  # an empty line between paragraphs is no second newline
    assert chinese["stop_words"] == 5 and chinese["mean_word_length"] == 1.0
    assert chinese["terminal_lines"] == 0.75 and chinese["bullet_lines"] == 0.25 and chinese["ellipsis_lines"] == 0.25
    assert chinese["short_lines"] == 0.75 and chinese["longest_line"] == 37
    assert code["brackets"] == 1 and code["hashes"] == 0.5 and code["ellipses"] == pytest.approx(1 / 6)
    assert code["stop_words"] == 1 and code["short_lines"] == 1.0 and code["bullet_lines"] == 0.2
    assert code["uppercase"] == pytest.approx(6 / 11)
    assert all(math.isnan(empty[name]) for name in ("mean_word_length", "letters", "terminal_lines", "uppercase"))


@pytest.mark.parametrize("unit", ["the cat sat on a mat today ", "今天天气很好我们去"])
def test_repetition_grows_with_repeats_in_both_scripts(unit):
    once, twice, often = measured(Repetition(), unit, unit * 2, unit * 20)
    assert once["top_2"] == once["duplicate_5"] == 0.0
    assert 0 < twice["duplicate_5"] < often["duplicate_5"] < 1
    assert often["top_4"] > once["top_4"]


def test_repetition_by_hand():
    text = "甲乙丙丁戊己\n甲乙丙丁戊己\n\nab cd ab cd\n\nab cd ab cd"
    (row,) = measured(Repetition(), text)
    assert len(text) == 39
    assert row["duplicate_lines"] == 2 / 4 and row["duplicate_line_characters"] == 17 / 39
    assert row["duplicate_paragraphs"] == 1 / 3 and row["duplicate_paragraph_characters"] == 11 / 39
    assert row["top_2"] == 4 * 5 / 39  # ab cd, four times
    assert row["duplicate_5"] == (5 + 10) / 39
    (row,) = measured(Repetition(), "")
    assert all(math.isnan(value) for value in row.values())


@pytest.mark.parametrize("hashing", ["sha1", "xxh64"])
@pytest.mark.parametrize("seed", [1, 42])
def test_signatures_are_datasketchs(hashing, seed):
    texts = [EN, ZH, EN + ZH, "", "一", "one two", EN.upper(), "混合 mixed 文本 text " * 40]
    measure = Signature(permutations=64, hashing=hashing, seed=seed)
    found = measure.compute(documents(*texts))["signature"].to_pylist()
    for text, signature in zip(texts, found, strict=True):
        function = None if hashing == "sha1" else (lambda data: xxh64(data) & 0xFFFFFFFF)
        options = {} if function is None else {"hashfunc": function}
        expected = MinHash(num_perm=64, seed=seed, **options)
        expected.update_batch(segment.shingles(text, 5, 5))
        assert np.array_equal(np.frombuffer(signature, "<u4"), expected.hashvalues), text


def test_signatures_estimate_similarity_in_both_scripts():
    from corpus.dedup import jaccard

    for words in ([f"word{k}" for k in range(400)], [chr(0x4E00 + k) for k in range(400)]):
        joiner = " " if words[0].isascii() else ""
        found = Signature().compute(documents(joiner.join(words), joiner.join(words[:300]), joiner.join(words[::-1])))
        s = np.stack([np.frombuffer(v, "<u4") for v in found["signature"].to_pylist()])
        assert jaccard(s[:1], s[1:2])[0] == pytest.approx(296 / 396, abs=0.13)  # three standard errors
        assert jaccard(s[:1], s[2:])[0] < 0.05


def test_a_batch_is_counted_once(monkeypatch):
    """Length, language, quality and toxicity read the same counts, another batch its own."""
    calls = []
    monkeypatch.setattr(columns, "statistics", lambda *args: calls.append(1) or statistics(*args))
    batch = documents(EN, ZH)
    for measure in ALL:
        measure.compute(batch)
    assert len(calls) == 1
    assert Length().compute(documents(ZH, EN))["words"].to_pylist() == [34, 21]
    assert Length().compute(batch.slice(1))["words"].to_pylist() == [34] and len(calls) == 3
    assert Quality(short=10).compute(batch)["short_lines"].to_pylist() == [0, 0] and len(calls) == 4


EXAMPLES = {
    "exact": {"exact": hashlib.sha256(ZH.encode()).digest()[:16]},
    "language": {"language": "zh", "variety": "cmn", "script": "Hans", "han": 1.0},
    "length": {"bytes": 111, "characters": 37, "words": 34, "lines": 1, "sentences": 2},
    "published": {"words": 19, "stop_words": 3, "terminal_lines": 1.0, "duplicate_10": 0.0, "newlines": 0.0},
    "quality": {"stop_words": 5, "terminal_lines": 1.0, "punctuation": 3 / 37, "short_lines": 0.0},
    "repetition": {"duplicate_lines": 0.0, "top_2": 0.0, "duplicate_10": 0.0},
    "address": {"host": "", "url": ""},
    "survey": {"word_repetition": 0.0, "lenticular_brackets": 0.0, "mean_line": 37.0, "special_characters": 3 / 37},
    "signature": {},  # beside datasketch, above
    "toxicity": {"hits": 0, "distinct": 0, "share": 0.0},
}


def test_every_measure_of_the_family_is_tested():
    """A new measure is in every property test above by being in the family; its example is written down here."""
    family = {tag_of(member, "measure") for member in PACKAGED}
    modules = {path.stem for path in Path(corpus.measures.__file__).parent.glob("*.py")}
    assert family == modules - {"__init__", "columns"} == set(EXAMPLES) == {measure.measure for measure in ALL}
    for measure in ALL:
        (row,) = measured(measure, ZH)
        assert {name: row[name] for name in EXAMPLES[measure.measure]} == EXAMPLES[measure.measure]


def test_exact():
    rows = measured(Exact(), "a", "a", "b", "")
    assert rows[0] == rows[1] != rows[2]
    assert rows[3]["exact"].hex() == "e3b0c44298fc1c149afbf4c8996fb924"


def test_configuration_is_told_apart_and_typos_are_refused():
    adapter = TypeAdapter(dict[str, AnyMeasure])
    found = adapter.validate_python({"s": {"measure": "signature", "words": 13}, "q": {"measure": "quality"}})
    assert found == {"s": Signature(words=13), "q": Quality()}
    for bad in ({"measure": "signature", "word": 13}, {"measure": "sigature"}, {"measure": "signature", "words": 0}):
        with pytest.raises(ValidationError):
            adapter.validate_python({"s": bad})


def test_chinese_without_kana_is_never_japanese():
    texts = [
        "停止加载 点击可中断当前加载进程，「+点击」可中断所有加载进程。",
        "表格名称 表格名称",
        "表のカーソルを移動します。",
        "Hello there",
    ]
    found = Language().compute(documents(*texts))
    assert found["language"].to_pylist()[:3] == ["zh", "zh", "ja"]
    assert all(0 < score <= 1 for score in found["score"].to_pylist())


def test_rows_without_a_word_have_no_shingles():
    from corpus.dedup import has_shingles
    from corpus.measures import Signature

    column = Signature().compute(documents("", "。 !", "word", "字"))["signature"]
    values = np.frombuffer(b"".join(column.to_pylist()), "<u4").reshape(4, -1)
    assert has_shingles(values).tolist() == [False, False, True, True]


def test_a_mirror_in_the_other_script_has_the_same_signature():
    simple = "请联系计算机软件开发部门，让他们把这个文档发给财务经理，并且说明为什么需要这些数据。"
    traditional = "請聯系計算機軟件開發部門，讓他們把這個文檔發給財務經理，並且說明為什麼需要這些數據。"
    batch = pa.record_batch([pa.array([simple, traditional], pa.large_string())], names=["text"])
    one, other = Signature().compute(batch)["signature"].to_pylist()
    assert one == other
    one, other = Signature(fold=False).compute(batch)["signature"].to_pylist()
    assert one != other


def test_hosts_of_addresses():
    urls = ["https://A.Example.org:8080/x?y", None, "http://[::1/x", "http://例子.cn./"]
    batch = pa.record_batch([pa.array(urls, pa.string())], names=["url"])
    assert Address().compute(batch)["host"].to_pylist() == ["a.example.org", "", "", "例子.cn"]


def test_repetition_is_what_roots_counts():
    """Worked by hand from its filtering.py: grams by frequency, the square root of their number at most."""
    assert character_repetition("abcabcabc", 3) == 3 / 7  # abc x3, bca x2, cab x2: one of three, floor of its root
    assert character_repetition("一二三一二三四五六七", 3) == 2 / 8
    assert character_repetition("ab", 3) == 0
    assert word_repetition("a b a b a b".split(), 2) == 1.0
    assert word_repetition("a b a b c".split(), 2) == 2 / 4


def test_repetition_of_characters_is_hojichars():
    """hojichar 0.18.1 has the rule of ROOTS; pages of the help of LibreOffice (MPL-2.0), most near its threshold."""
    path = Path(__file__).parents[1] / "data" / "hojichar" / "pages.jsonl"
    pages = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    batch = pa.record_batch([pa.array([page["text"] for page in pages], pa.large_string())], names=["text"])
    found = Survey().compute(batch)["character_repetition"].to_pylist()
    assert found == pytest.approx([page["character_repetition"] for page in pages])
    assert len(pages) == 16
