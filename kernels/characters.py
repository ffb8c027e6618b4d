"""What each code point is: one uint32 of class and flags, the table every text kernel and its reference read.

Built from the interpreter's Unicode database (14.0 on Python 3.11), and never from anything of the machine.
Planes 2 and 3 are ideographs as a whole, so that newer extensions of Han count as such.
"""

import unicodedata
from functools import lru_cache

import numpy as np
import numpy.typing as npt

CODE_POINTS = 0x110000

# The class, in the low three bits: what a code point does to a word.
CLASS = 7
OTHER = 0  # punctuation, symbols, controls: ends a word
SPACE = 1  # White_Space: ends a word
WORD = 2  # letters, digits, connectors: a run of them is a word
IDEOGRAPH = 3  # Han, kana, bopomofo: each is a word
EXTEND = 4  # combining marks, joiners: belong to the word before them, and to nothing otherwise
JOIN = 5  # ' ’ . between two WORD characters joins them, as MidNumLet of UAX #29 does

ALPHA = 1 << 3
DIGIT = 1 << 4
UPPER = 1 << 5
PUNCTUATION = 1 << 6
HAN = 1 << 7
KANA = 1 << 8
HANGUL = 1 << 9
LATIN = 1 << 10
SIMPLIFIED = 1 << 11  # in GB2312 and not in Big5
TRADITIONAL = 1 << 12  # in Big5 and not in GB2312
TERMINAL = 1 << 13  # may end a line that is a sentence
BULLET = 1 << 14
WIDE = 1 << 15  # East_Asian_Width W or F: two columns
FULL_STOP = 1 << 16  # ends a sentence wherever it stands
STOP = 1 << 17  # ends a sentence before white space, an ideograph or the end
CLOSER = 1 << 18  # closing quotes and brackets stay with the sentence they close
CANTONESE = 1 << 19  # written in Cantonese and hardly in Mandarin
LITERARY = 1 << 20  # particles and pronouns of Classical Chinese
VERNACULAR = 1 << 21  # those of modern Chinese
OPENER = 1 << 22  # opening brackets
BRACKET = 1 << 23  # closing brackets, without quotes

_BULLETS = "-–*•‣⁃◦▪▫■□●○◆◇▶◀►※·・"
_TERMINAL = ".!?\"'…。！？；｡」』”’؟۔।॥"
_FULL_STOPS = "。！？｡।॥؟۔"
_CLOSERS = "\"'”’」』）)】》〉〕］]}｝"
_OPENERS = "([{（［｛【〔〖《〈「『"
_BRACKETS = ")]}）］｝】〕〗》〉"
_CANTONESE = "嘅咗喺冇啲佢嚟唔哋嘢咩乜睇諗谂畀嗰噉啱喎㗎嘥攞揾搵嗌瞓嬲咁冧嘞"
_LITERARY = "之乎者也矣焉哉兮曰其而於吾汝豈岂盖蓋弗孰乃"
_VERNACULAR = "的了是在们們这這个個着著说說就都和把被没沒吗嗎呢吧她它您"
_KANA = ((0x3031, 0x3035), (0x3041, 0x3096), (0x3099, 0x309F), (0x30A1, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F))
_HAN = ((0x2E80, 0x2FD5), (0x3005, 0x3007), (0x3021, 0x3029), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
_BOPOMOFO = ((0x3105, 0x312F), (0x31A0, 0x31BF))
_HANGUL = ((0x1100, 0x11FF), (0x3131, 0x318E), (0xA960, 0xA97C), (0xAC00, 0xD7FB), (0xFFA0, 0xFFDC))
_LATIN = ((0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x1E00, 0x1EFF), (0x2C60, 0x2C7F), (0xA720, 0xA7FF))
_FULL_WIDTH_LATIN = ((0xFF21, 0xFF3A), (0xFF41, 0xFF5A))


def _class(code: int, category: str) -> int:
    character = chr(code)
    if character in "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85" or category[0] == "Z":
        return SPACE
    if character in "'’.":
        return JOIN
    if category[0] == "M" or (category == "Cf" and code != 0x200B):
        return EXTEND
    if category[0] in "LN" or category == "Pc":
        return WORD
    return OTHER


def _flags(code: int, category: str) -> int:
    character = chr(code)
    flags = 0
    for wanted, flag in (
        (category[0] == "L" or category == "Nl", ALPHA),
        (category == "Nd", DIGIT),
        (category in ("Lu", "Lt"), UPPER),
        (category[0] == "P", PUNCTUATION),
        (character in _TERMINAL, TERMINAL),
        (character in _BULLETS, BULLET),
        (unicodedata.east_asian_width(character) in "WF", WIDE),
        (character in _FULL_STOPS, FULL_STOP),
        (character in ".!?…", STOP),
        (character in _CLOSERS, CLOSER),
        (character in _OPENERS, OPENER),
        (character in _BRACKETS, BRACKET),
        (character in _CANTONESE, CANTONESE),
        (character in _LITERARY, LITERARY),
        (character in _VERNACULAR, VERNACULAR),
    ):
        flags |= flag if wanted else 0
    return flags


def _encodes(character: str, codec: str) -> bool:
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _mark(table: npt.NDArray[np.uint32], ranges: tuple[tuple[int, int], ...], flag: int, *, ideograph: bool) -> None:
    for first, last in ranges:
        for code in range(first, last + 1):
            if unicodedata.category(chr(code))[0] not in "LN":
                continue
            table[code] |= flag
            if ideograph:
                table[code] = (table[code] & ~np.uint32(CLASS)) | IDEOGRAPH


@lru_cache(maxsize=1)
def table() -> npt.NDArray[np.uint32]:
    """Class and flags of all 0x110000 code points; read-only."""
    out = np.zeros(CODE_POINTS, np.uint32)
    for code in [*range(0x20000), *range(0xE0000, 0xE01F0)]:
        category = unicodedata.category(chr(code))
        out[code] = _class(code, category) | _flags(code, category)
    out[0x20000:0x3FFFE] = IDEOGRAPH | HAN | ALPHA | WIDE
    _mark(out, _HAN, HAN, ideograph=True)
    _mark(out, _KANA, KANA, ideograph=True)
    _mark(out, _BOPOMOFO, 0, ideograph=True)
    _mark(out, _HANGUL, HANGUL, ideograph=False)
    _mark(out, (*_LATIN, *_FULL_WIDTH_LATIN), LATIN, ideograph=False)
    for code in range(0x4E00, 0xA000):
        simplified, traditional = _encodes(chr(code), "gb2312"), _encodes(chr(code), "big5")
        if simplified != traditional:
            out[code] |= SIMPLIFIED if simplified else TRADITIONAL
    out.flags.writeable = False
    return out
