import pyarrow as pa
import pytest
from hypothesis import given

from corpus import segment
from kernels.reference import xxh64
from tests.kernels.texts import batches


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        ("One. Two? Three", ["One.", "Two?", "Three"]),
        ("他说：“好。”我走了！真的吗？是…然后", ["他说：“好。”", "我走了！", "真的吗？", "是…", "然后"]),
        (
            "Version 3.14 (see e.g.file.txt) is out.\nNext line",
            ["Version 3.14 (see e.g.file.txt) is out.", "Next line"],
        ),
        ('He said "Stop!" and left...then', ['He said "Stop!"', "and left...then"]),
        ("Click OK.单击确定。!!!", ["Click OK.", "单击确定。!!!"]),
        ("。。。\n...\n", []),
    ],
)
def test_sentences(text, sentences):
    assert segment.sentences(text) == sentences


def test_lines():
    assert segment.lines("a\n\n \u3000\n中 \n") == ["a", "中 "]


@given(batches)
def test_shingle_hashes_are_of_the_shingles(values):
    hashes, offsets = segment.shingle_hashes(pa.array(values, pa.large_string()), 13, 26)
    for row, value in enumerate(values):
        own = hashes[offsets[row] : offsets[row + 1]].tolist()
        assert own == [xxh64(s) for s in segment.shingles(value, 13, 26)]
        assert bool(own) == bool(segment.words(value))


def test_a_held_out_shingle_is_13_words_or_26_characters():
    english, chinese = " ".join(f"w{k}" for k in range(40)), "".join(chr(0x4E00 + k) for k in range(60))
    assert [len(s.split()) for s in segment.shingles(english, 13, 26)] == [13] * 28
    assert [len(s.decode().split()) for s in segment.shingles(chinese, 13, 26)] == [26] * 35
    mixed = segment.shingles(chinese[:13] + english, 13, 26)[0].decode().split()
    assert len(mixed) == 13 + 7  # 13 characters are half a shingle, 6.5 words the other half
