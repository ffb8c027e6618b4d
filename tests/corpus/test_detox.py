import tracemalloc

import pyarrow as pa
import pytest

from corpus.detox import WordListError, load, read_words
from corpus.detox.evasions import spellings
from corpus.measures import Toxicity
from corpus.segment import lexicon
from kernels import reference
from kernels.fold import fold
from kernels.trie import Trie


def hits(tmp_path, entries, allowed, *texts):
    (tmp_path / "list.txt").write_text("\n".join(entries), encoding="utf-8")
    (tmp_path / "allowed.txt").write_text("\n".join(["# mine", *allowed, "never"]), encoding="utf-8")
    measure = Toxicity(lists=(str(tmp_path / "list.txt"),), allowed=(str(tmp_path / "allowed.txt"),))
    return counted(measure, *texts)


def counted(measure, *texts):
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
    texts = {"这个坏人来了坏人": 2, "坏人心肠": 1, "不坏人": 0, "坏 人": 0, "壞人坏": 1, "坏人A": 1, "卖B卖BB卖b": 2}
    assert hits(tmp_path, ["坏人", "坏人心", "卖B"], ["不坏人"], *texts) == list(texts.values())


def test_counts(tmp_path):
    (tmp_path / "list.txt").write_text("bad\n坏\n", encoding="utf-8")
    measure = Toxicity(lists=(str(tmp_path / "list.txt"),), allowed=())
    batch = pa.record_batch([pa.array(["bad bad 坏 ok", ""], pa.large_string())], names=["text"])
    found = measure.compute(batch)
    assert found.schema.names == ["hits", "distinct", "share"]
    assert found.slice(0, 1).to_pylist() == [{"hits": 3, "distinct": 2, "share": 0.75}]


# Entries of LDNOOBW lie across the words of each: 娘的, 妈的, 性交, 口交, 性爱, 杂种, 操比, 机八, 乳交, 幹.
INNOCENT = (
    "新娘的礼服 爸妈的味道 姨妈的房子 感情色彩 一次性交付 接口交互 女性爱好者 复杂种类 体操比赛 飞机八点起飞 水乳交融 "
    "幹部 性交易所 双性爱 日本日你好 假日你在哪 后宫奸臣 妈妈的手 新郎新娘的父母 操作比较 他娘家 端口交换机 内容色情况 "
    "软件的性能和可能性 巨乳酸菌 逼近 男性交流 弹性交通 公爱护 神经性爱 烈性酒 关系性交叉"
).split()
GUILTY = (
    "操你妈 你他妈的滚 他妈的王八蛋 大傻逼一个 这个婊子养的 去你妈的 滚你妈的蛋 骚货贱货 口交做爱 操你全家 "
    "雞巴 強奸妳媽的賤貨 傻逼，滚 干你娘 狗日的 日你妈"
).split()
EVADED = (
    "他 妈 的 | 他.妈.的 | 王-八-蛋 | 大*鸡*巴 | 傻*逼 | ｆｕｃｋ | fυck | fuсk | 𝐟𝐮𝐜𝐤 | f*ck | f**k | fu*k | sh1t | "
    "b1tch | F.U.C.K | f u c k | f-u-c-k | fuuuuck | shiiiit | biiitch | p0rn | a$$hole | assh0le | FUCKKK"
)


@pytest.mark.parametrize("text", INNOCENT)
def test_an_entry_across_words_is_none(text):
    assert counted(Toxicity(), text, f"这里{text}。", fold(text)) == [0, 0, 0]


@pytest.mark.parametrize("text", GUILTY)
def test_abuse_in_both_scripts(text):
    assert min(counted(Toxicity(), text, f"你{text}，", f"“{text}”")) >= 1


def test_evasions():
    texts = [text.strip() for text in EVADED.split("|")]
    assert dict(zip(texts, counted(Toxicity(), *texts), strict=True)) == dict.fromkeys(texts, 1)
    plain = "class assess analysis cocktail shiitake Essex bookkeeper goodness committee 3.14 a*b f(x) *p i.e. U.S.A."
    assert counted(Toxicity(), *plain.split(), plain) == [0] * (len(plain.split()) + 1)
    assert sum(counted(Toxicity(evasions=False), "f*ck", "sh1t", "他 妈 的")) == 0


def test_spellings():
    assert {"f*ck", "f**k", "fu*k", "f u c k", "f.u.c.k"} <= set(spellings("fuck"))
    assert {"5hit", "sh1t", "sh!t"} <= set(spellings("shit")) and "$hit" not in set(spellings("shit"))
    assert set(spellings("他妈的")) == {"他 妈 的", "他.妈.的", "他-妈-的", "他*妈*的", "他_妈_的"}
    assert set(spellings("傻逼")) == {"傻*逼"}
    assert not [*spellings("ass"), *spellings("卖B"), *spellings("two words"), *spellings("性")]


def test_traditional_and_simplified_entries_find_each_other(tmp_path):
    assert hits(tmp_path, ["壞人頭", "杂种"], [], "坏人头", "壞人頭", "雜種", "杂种") == [1, 1, 1, 1]


def test_shipped_lists():
    texts = [
        "函数的性能和可能性，牛奶、逼近、刚度、靠背。2013.",
        "Hardcore escort class: Moby Dick",
        "fuck",
        "他妈的",
        "🖕 s&m 2g1c",
    ]
    assert counted(Toxicity(), *texts) == [0, 0, 1, 1, 3]


def test_every_shipped_entry_is_found():
    measure = Toxicity()
    lists, allowed = ([w for f in files for w in read_words(f.resolve())] for files in (measure.lists, measure.allowed))
    missed = {w for w, n in zip(lists, counted(measure, *lists), strict=True) if n == 0}
    assert {fold(w) for w in missed} <= {fold(w) for w in allowed}


def test_bad_lists_are_refused(tmp_path):
    path = tmp_path / "bad.txt"
    path.write_text("# only a comment\n\n", encoding="utf-8")
    with pytest.raises(WordListError, match=r"bad\.txt has no entry"):
        read_words(path)
    path.write_bytes("坏".encode("gbk"))
    with pytest.raises(WordListError, match="not UTF-8"):
        load((path,), (), True)


def test_ten_thousand_entries_take_little_memory():
    """A row of 256 for every node took 93 MB; nodes now take 24 bytes in a table, and each spelling is kept."""
    entries = {chr(0x4E00 + k % 20000) + chr(0x4E00 + k // 7 % 20000) + f"x{k}": k + 1 for k in range(10_000)}
    tracemalloc.start()
    trie = Trie(entries)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 9e6 and trie.count == 10_000


def test_the_dictionary_spells_as_jieba_does():
    """The most probable cut of its own dictionary, unknown words apart."""
    import jieba

    jieba.setLogLevel(60)
    tokenizer = jieba.Tokenizer()
    tokenizer.cache_file = None
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    words = lexicon()
    for run in [*INNOCENT, "南京市长江大桥", "他来到了网易杭研大厦", "龘靐齉爩", "一次性交付使用的接口交互"]:
        route = {}
        tokenizer.calc(run, tokenizer.get_DAG(run), route)
        assert reference.spelled(run, words) == pytest.approx(route[0][0], abs=1e-9), run
