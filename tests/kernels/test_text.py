import hashlib
import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import characters, dispatch, reference
from kernels.buffers import utf8
from kernels.columns import REPETITION, STATISTICS
from kernels.lexicon import Lexicon
from tests.kernels.texts import batches, texts

STOP = ("the", "and", "with", "的", "是", "為")
A = np.array([1, 3, 2654435761, 4294967295], np.uint32)
B = np.array([0, 7, 123456789, 4294967295], np.uint32)
ENTRIES = {
    "ass": 1,
    "他妈": 2,
    "他妈的": 3,
    "的年": 0,
    "a.": 4,
    "file.txt!": 5,
    "of and": 6,
    "e": 7,
    "為": 8,
    "元格": 9,
    "數": 10,
}
LEXICON = Lexicon(
    ["单元", "单元格", "函数", "的", "他", "妈的", "年", "在", "月是", "cell"], [5, 9, 20, 80, 9, 2, 7, 8, 3, 1]
)


def both(monkeypatch, call):
    monkeypatch.delenv("SIKU_KERNELS", raising=False)
    assert dispatch.backend() == "numba"
    fast = call()
    monkeypatch.setenv("SIKU_KERNELS", "reference")
    slow = call()
    monkeypatch.delenv("SIKU_KERNELS")
    return fast, slow


def same_columns(fast, slow, names, values):
    for row, column in np.argwhere(fast != slow):
        pytest.fail(f"{names[column]} of {values[row]!r}: kernel {fast[row, column]}, reference {slow[row, column]}")


@settings(max_examples=300)
@given(values=batches)
def test_kernels_equal_the_reference(values):
    text = pa.array(values, pa.large_string())
    trie = dispatch.Trie(ENTRIES, LEXICON)
    with pytest.MonkeyPatch.context() as patch:
        same_columns(*both(patch, lambda: dispatch.statistics(text, 12, STOP)), STATISTICS, values)
        same_columns(*both(patch, lambda: dispatch.repetition(text)), REPETITION, values)
        same_columns(*both(patch, lambda: dispatch.matches(text, trie)), ("hits", "distinct", "characters"), values)
        for words, wide, hashing in ((5, 5, "xxh64"), (2, 3, "sha1"), (13, 26, "xxh64")):
            (hashes, ends), (expected, offsets) = both(
                patch, lambda w=words, c=wide, h=hashing: dispatch.shingle_hashes(text, w, c, h)
            )
            assert ends.tolist() == offsets.tolist(), values
            assert hashes.tolist() == expected.tolist(), values
        fast, slow = both(patch, lambda: dispatch.signatures(text, 3, 3, A, B))
        assert np.array_equal(fast, slow)
        fast, slow = both(patch, lambda: dispatch.simplified(text))
        assert fast.equals(slow)
        assert pa.compute.binary_length(fast).equals(pa.compute.binary_length(text))


def test_traditional_text_is_simplified_where_it_stands():
    text = pa.array(["x", "漢字a軟體😀𠮟", None, "汉字", "䯀\U0002a42f"], pa.large_string())
    assert dispatch.simplified(text.slice(1)).to_pylist()[:3] == ["汉字a软体😀𠮟", "", "汉字"]
    assert text[1].as_py() == "漢字a軟體😀𠮟"  # a copy is written


@given(st.lists(texts, min_size=3, max_size=6), st.integers(0, 2))
def test_buffers_of_slices_strings_and_nulls(values, skip):
    for array in (pa.array(values), pa.array(values, pa.large_string()), pa.array([*values, None])):
        data, offsets = utf8(array.slice(skip))
        found = [bytes(data[a:b]).decode() for a, b in itertools.pairwise(offsets)]
        assert found == [v or "" for v in array.slice(skip).to_pylist()]


def test_buffers_refuse_other_types():
    with pytest.raises(TypeError, match="int64"):
        utf8(pa.array([1]))


@pytest.mark.parametrize(
    ("data", "value"),  # https://github.com/Cyan4973/xxHash, and python-xxhash's documentation
    [(b"", 0xEF46DB3751D8E999), (b"a", 0xD24EC4F1A98C6E5B), (b"abc", 0x44BC2CF5AD770999),
     (b"Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1)],
)  # fmt: skip
def test_xxh64_vectors(data, value):
    from kernels.text.hashing import xxh64

    array = np.frombuffer(b"x" + data + b"x", np.uint8)
    assert reference.xxh64(data) == value == xxh64(array, 1, 1 + len(data))


@given(st.binary(max_size=200))
def test_hashes_of_any_bytes(data):
    from kernels.text.hashing import sha1_32, xxh64

    array = np.frombuffer(data, np.uint8)
    assert xxh64(array, 0, len(data)) == reference.xxh64(data)
    expected = int.from_bytes(hashlib.sha1(data).digest()[:4], "little")
    assert sha1_32(array, 0, len(data), np.empty(80, np.uint32)) == expected == reference.sha1_32(data)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("It's 3.14, e.g. A-Z", ["It's", "3.14", "e.g", "A", "Z"]),
        ("在LibreOffice中", ["在", "LibreOffice", "中"]),
        ("カタカナーと한국어 글", ["カ", "タ", "カ", "ナ", "ー", "と", "한국어", "글"]),
        ("葛\U000e0100城 e\u0301t ❤\ufe0f", ["葛\U000e0100", "城", "e\u0301t"]),
        ("１２３ＡＢ、二〇二四年", ["１２３ＡＢ", "二", "〇", "二", "四", "年"]),
        ("a\x00b\u3000c\u200bd", ["a", "b", "c", "d"]),
        ("\U00020000\U0003fffd\U0002ebf0", ["\U00020000", "\U0003fffd", "\U0002ebf0"]),
    ],
)
def test_words(text, words):
    assert reference.words(text) == words


@pytest.mark.parametrize(
    ("text", "words", "characters", "expected"),
    [
        ("a b c", 2, 9, ["a b", "b c"]),
        ("甲乙丙", 9, 2, ["甲 乙", "乙 丙"]),
        ("a b c", 13, 26, ["a b c"]),  # shorter than a shingle: the whole
        ("甲乙 a 丙丁", 1, 2, ["甲 乙", "乙 a", "a", "丙 丁"]),  # two characters, or one word, or a blend
        ("", 1, 1, []),
    ],
)
def test_shingles_by_script(text, words, characters, expected):
    assert [s.decode() for s in reference.shingles(text, words, characters)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "中文" * 2_500_000,
        "word " * 300_000,
        "x" * 1_000_000,
        "\n" * 1_000_000,
        "\n\n甲" * 300_000,
        "word " + " " * 1_000_000,
    ],
)
def test_huge_documents(text):
    array = pa.array(["", text, "end"], pa.large_string())
    statistics = dispatch.statistics(array, 30, STOP)
    assert statistics[1, STATISTICS.index("characters")] == len(text)
    repetition = dispatch.repetition(array)
    assert repetition[1, 0] == len(text)
    assert repetition[2].tolist()[:3] == [3, 1, 0]
    hashes, ends = dispatch.shingle_hashes(array, 5, 5)
    assert ends[-1] == len(hashes)
    assert dispatch.signatures(array, 5, 5, A, B).shape == (3, 4)
    assert dispatch.matches(array, dispatch.Trie({"文中文": 1, "word": 2})).shape == (3, 3)


def test_bytes_that_are_no_utf8_are_read_within_bounds():
    """Arrow does not check what a producer hands over without validation."""
    data = b"\xe4\xb8" + b"\xff\xfe\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80" + b"ok\xe4"
    buffers = [None, pa.py_buffer(np.array([0, 2, len(data)], np.int64).tobytes()), pa.py_buffer(data)]
    text = pa.Array.from_buffers(pa.large_string(), 2, buffers)
    words = dispatch.statistics(text, 30, ())[:, STATISTICS.index("words")]
    assert words.tolist() == [0, 1]
    assert dispatch.signatures(text, 5, 5, A, B)[0].tolist() == [2**32 - 1] * 4


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40))
def test_components(nodes, edges):
    edges = [(a % nodes, b % nodes) for a, b in edges]
    left, right = (np.array([e[k] for e in edges], np.int64) for k in (0, 1))
    labels = dispatch.components(left, right, nodes)
    assert labels.tolist() == reference.components(left, right, nodes).tolist()
    assert all(labels[a] == labels[b] for a, b in edges)
    assert all(labels[label] == label <= node for node, label in enumerate(labels))


def test_table_is_read_only_and_names_the_scripts():
    table = characters.table()
    assert not table.flags.writeable
    flags = {c: int(table[ord(c)]) for c in "A中ぁ한Ａ门門"}
    assert flags["A"] & characters.LATIN and flags["Ａ"] & characters.LATIN
    assert flags["中"] & characters.HAN and flags["ぁ"] & characters.KANA and flags["한"] & characters.HANGUL
    assert flags["门"] & characters.SIMPLIFIED and not flags["门"] & characters.TRADITIONAL
    assert flags["門"] & characters.TRADITIONAL and not flags["中"] & (characters.SIMPLIFIED | characters.TRADITIONAL)


def test_backend_is_named_or_refused(monkeypatch):
    monkeypatch.setenv("SIKU_KERNELS", "fast")
    with pytest.raises(ValueError, match="fast"):
        dispatch.backend()


def test_trie_refuses_what_it_cannot_match():
    for entry in ("", " a", "a  b", "a\nb"):
        with pytest.raises(ValueError, match="white space"):
            dispatch.Trie({entry: 1})


def test_stop_words_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="bytes"):
        dispatch.statistics(pa.array(["a"]), 30, ("abcdefghi",))
    with pytest.raises(ValueError, match="at most 64"):
        dispatch.statistics(pa.array(["a"]), 30, tuple(map(str, range(65))))


def test_compiled_code_lies_in_a_folder_of_its_own_sources(tmp_path):
    """Also when the usual cache cannot be written: then below the temporary folder."""
    program = "import kernels.text as t, numba; print(t._cache_folder(), numba.config.CACHE_DIR or '-')"
    for base, root in ((tmp_path / "cache", tmp_path / "cache"), ("/proc/none", tmp_path)):
        env = {**os.environ, "NUMBA_CACHE_DIR": str(base), "TMPDIR": str(tmp_path)}
        out = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
        folder, restored = out.stdout.split()
        assert folder.startswith(str(root)) and "kernels-" in folder
        assert restored == str(base)


def test_every_source_that_kernels_read_is_in_the_caches_name(tmp_path):
    """Constants of a table are compiled into the kernels that import them."""
    import kernels.text as text

    package = tmp_path / "kernels"
    shutil.copytree(Path(characters.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    key = text.cache_key(package)
    assert key == text.cache_key(Path(characters.__file__).parent) and f"kernels-{key}" in str(text._cache_folder())
    for name in ("characters.py", "columns.py", "buffers.py", "text/words.py", "text/statistics.py", "text/trie.py"):
        file = package / name
        content = file.read_text()
        file.write_text(content + "\n")
        assert text.cache_key(package) != key, name
        file.write_text(content)
    (package / "columns.py").rename(package / "rows.py")
    assert text.cache_key(package) != key
