"""The table that kernels and their reference share, beside the Unicode database's names and by example.

A fast kernel that equals its reference says nothing of a table that both read.
"""

import unicodedata

import pytest

from kernels import characters as c

TABLE = c.table()
NAMED = {
    "bullet": (c.BULLET, "-–*•‣⁃◦▪▫■□●○◆◇▶◀►※·・"),
    "terminal": (c.TERMINAL, ".!?\"'…。！？；｡」』”’؟۔।॥"),
    "full stop": (c.FULL_STOP, "。！？｡।॥؟۔"),
    "stop": (c.STOP, ".!?…"),
    "closer": (c.CLOSER, "\"'”’」』）)】》〉〕］]}｝"),
}


def characters_with(flag):
    return {chr(code) for code in range(0x30000) if TABLE[code] & flag}


@pytest.mark.parametrize("name", NAMED)
def test_lists_of_characters(name):
    flag, wanted = NAMED[name]
    assert characters_with(flag) == set(wanted)


SCRIPTS = [
    (("HIRAGANA LETTER", "KATAKANA LETTER", "HALFWIDTH KATAKANA LETTER"), c.KANA, c.IDEOGRAPH),
    (("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH", "KANGXI RADICAL"), c.HAN, c.IDEOGRAPH),
    (("HANGUL SYLLABLE", "HANGUL CHOSEONG", "HALFWIDTH HANGUL LETTER"), c.HANGUL, c.WORD),
    (("BOPOMOFO LETTER", "BOPOMOFO FINAL LETTER"), 0, c.IDEOGRAPH),
    (("LATIN SMALL LETTER", "LATIN CAPITAL LETTER", "FULLWIDTH LATIN"), c.LATIN, c.WORD),
]
# What else may stand in a script's blocks: marks of iteration, numerals.
OTHERS = {c.KANA: ("KANA", "HIRAGANA"), c.HAN: ("CJK", "IDEOGRAPHIC", "HANGZHOU"), c.HANGUL: ("HANGUL",)}
# Blocks of phonetic letters and letters of mathematics, which are no text of a Latin script.
ELSEWHERE = ((0x250, 0x2B0), (0x1D00, 0x1E00), (0x2090, 0x20A0), (0x2160, 0x2190), (0xAB30, 0xAB70), (0xFB00, 0xFB07))


@pytest.mark.parametrize(("prefixes", "script", "kind"), SCRIPTS, ids=lambda value: str(value)[:30])
def test_scripts_beside_the_names_of_unicode(prefixes, script, kind):
    wrong = []
    for code in range(0x80, 0x30000 if script == c.HAN else 0x10000):
        character = chr(code)
        name = unicodedata.name(character, "")
        wanted = name.startswith(prefixes) and unicodedata.category(character)[0] == "L"
        if script == c.LATIN and any(first <= code < last for first, last in ELSEWHERE):
            continue
        if wanted and (TABLE[code] & c.CLASS != kind or (script and not TABLE[code] & script)):
            wrong.append(f"{code:04x} {name} is not flagged")
        if script in (c.KANA, c.HAN, c.HANGUL) and TABLE[code] & script and not wanted:
            words = {c.KANA: ("KANA", "HIRAGANA"), c.HAN: ("CJK", "IDEOGRAPHIC", "HANGZHOU"), c.HANGUL: ("HANGUL",)}[
                script
            ]
            if name and not any(word in name for word in words):
                wrong.append(f"{code:04x} {name} is flagged")
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("aZ9é٣中ｱ".replace("中", "").replace("ｱ", ""), c.WORD),
        ("_‿", c.WORD),
        ("\u0301\u200d\u200c\u3099", c.EXTEND),
        (" \t\n\r\x0b\x0c\x1c\x85\u00a0\u2003\u2028\u3000", c.SPACE),
        ("'’.", c.JOIN),
        ("中𠀀𪚥あアｱㄅ々〇", c.IDEOGRAPH),
        ("，。-/\\$+©€\u200b\x00\ufffd", c.OTHER),
    ],
)
def test_what_a_character_does_to_a_word(text, kind):
    assert {character: int(TABLE[ord(character)] & c.CLASS) for character in text} == dict.fromkeys(text, kind)


def test_scripts_of_chinese():
    """In GB2312 and not in Big5, the other way round, in both, in neither."""
    flags = c.SIMPLIFIED | c.TRADITIONAL
    assert {x: int(TABLE[ord(x)] & flags) for x in "汉国们说这"} == dict.fromkeys("汉国们说这", c.SIMPLIFIED)
    assert {x: int(TABLE[ord(x)] & flags) for x in "漢國們說這"} == dict.fromkeys("漢國們說這", c.TRADITIONAL)
    assert {x: int(TABLE[ord(x)] & flags) for x in "中文的一㐀龘aあ"} == dict.fromkeys("中文的一㐀龘aあ", 0) | {
        x: c.TRADITIONAL for x in "龘" if TABLE[ord(x)] & c.TRADITIONAL
    }


def test_flags_are_the_categories_of_unicode():
    for code in [*range(0x20000), *range(0xE0000, 0xE01F0)]:
        category, flags = unicodedata.category(chr(code)), int(TABLE[code])
        assert bool(flags & c.DIGIT) == (category == "Nd")
        assert bool(flags & c.UPPER) == (category in ("Lu", "Lt"))
        assert bool(flags & c.PUNCTUATION) == (category[0] == "P")
        assert bool(flags & c.ALPHA) == (category[0] == "L" or category == "Nl")
        assert bool(flags & c.WIDE) == (unicodedata.east_asian_width(chr(code)) in "WF")
