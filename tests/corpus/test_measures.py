import math

import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from pydantic import TypeAdapter, ValidationError

from corpus import segment
from corpus.measure import checked
from corpus.measures import PACKAGED, AnyMeasure, Exact, Language, Length, Quality, Repetition, Signature
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


def test_language_reads_the_beginning_and_across_lines():
    text = "\n".join(EN.split()) + "\n" + ZH * 50
    assert measured(Language(characters=100), text)[0]["language"] == "en"
    assert measured(Language(characters=5000), text)[0]["language"] == "zh"


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
