import pyarrow as pa
import pytest

from corpus.detox import WordListError, load, read_words
from corpus.measures import Toxicity


def hits(tmp_path, entries, allowed, *texts):
    (tmp_path / "list.txt").write_text("\n".join(entries), encoding="utf-8")
    (tmp_path / "allowed.txt").write_text("\n".join(["# mine", *allowed, "never"]), encoding="utf-8")
    measure = Toxicity(lists=(str(tmp_path / "list.txt"),), allowed=(str(tmp_path / "allowed.txt"),))
    batch = pa.record_batch([pa.array(texts, pa.large_string())], names=["text"])
    return measure.compute(batch)["hits"].to_pylist()


def test_english_words_have_boundaries_at_both_ends(tmp_path):
    texts = {
        "ass": 1,  # the first and last word of a line, which C4's expression misses
        "An ass": 1,
        "ass.\nASS": 2,
        "class, assess, mass_ass, ass1, 1ass, assé": 0,
        "(ass) ass's «ass» ass-ass": 5,
        "你ass吧": 1,
        "e\u0301ass ass\u0301": 0,
        "hot  dog, HOT\ndog, hot\u3000dog, hotdog, hot-dog": 3,
    }
    assert hits(tmp_path, ["ass", "hot dog"], [], *texts) == list(texts.values())


def test_chinese_entries_match_in_running_text_longest_first(tmp_path):
    texts = {"这个坏人来了坏人": 2, "坏人心肠": 1, "不坏人": 0, "坏 人": 0, "壞人坏": 0, "坏人A": 1, "卖B卖BB卖b": 2}
    assert hits(tmp_path, ["坏人", "坏人心", "卖B"], ["不坏人"], *texts) == list(texts.values())


def test_counts(tmp_path):
    (tmp_path / "list.txt").write_text("bad\n坏\n", encoding="utf-8")
    measure = Toxicity(lists=(str(tmp_path / "list.txt"),), allowed=())
    batch = pa.record_batch([pa.array(["bad bad 坏 ok", ""], pa.large_string())], names=["text"])
    found = measure.compute(batch)
    assert found.schema.names == ["hits", "distinct", "share"]
    assert found.slice(0, 1).to_pylist() == [{"hits": 3, "distinct": 2, "share": 0.75}]


def test_shipped_lists():
    measure = Toxicity()
    texts = [
        "函数的性能和可能性，牛奶、逼近、刚度、靠背。2013.",
        "Hardcore escort class: Moby Dick",
        "fuck",
        "他妈的",
        "🖕 s&m 2g1c",
    ]
    batch = pa.record_batch([pa.array(texts, pa.large_string())], names=["text"])
    assert measure.compute(batch)["hits"].to_pylist() == [0, 0, 1, 1, 3]


def test_every_shipped_entry_is_found():
    measure = Toxicity()
    lists, allowed = ([w for f in files for w in read_words(f.resolve())] for files in (measure.lists, measure.allowed))
    batch = pa.record_batch([pa.array(lists, pa.large_string())], names=["text"])
    missed = [w for w, n in zip(lists, measure.compute(batch)["hits"].to_pylist(), strict=True) if n == 0]
    assert set(missed) <= set(allowed)


def test_bad_lists_are_refused(tmp_path):
    path = tmp_path / "bad.txt"
    path.write_text("# only a comment\n\n", encoding="utf-8")
    with pytest.raises(WordListError, match=r"bad\.txt has no entry"):
        read_words(path)
    path.write_bytes("坏".encode("gbk"))
    with pytest.raises(WordListError, match="not UTF-8"):
        load((path,), ())
