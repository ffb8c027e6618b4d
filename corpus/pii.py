"""The edit that masks e-mail addresses, phone numbers and Chinese ID numbers, in running Chinese as in English.

Full-width digits and letters count as their ASCII forms. What looks like a date, a version, an IP address, an
ISBN, a price, a file name or part of a longer number or identifier is no personal data. Recall is bounded on
purpose: a number without the shape of a phone or an ID number stays.

Masking twice changes nothing: where a neighbour keeps a number from being masked, so does that neighbour's mask.
"""

import re
from collections.abc import Callable
from datetime import date
from typing import Annotated, ClassVar, Literal, cast

import pyarrow as pa
import pyarrow.compute as pc

from corpus.configuration import Doc, configuration
from corpus.edit import spans_from_lists

Kind = Literal["email", "phone", "id_number"]
Found = tuple[int, int, Kind]

_MASKS: dict[Kind, str] = {"email": "<EMAIL>", "phone": "<PHONE>", "id_number": "<ID>"}

# One code point for one, so that offsets stay: U+FF01..U+FF5E and the ideographic space, dashes to a hyphen.
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_DASHES = dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2212), 0x2D)
_TO_ASCII = _FULL_WIDTH | _DASHES
_HAS_FULL_WIDTH = re.compile("[\uff01-\uff5e\u3000\u2010-\u2013\u2212]")
# What a text with anything to mask holds (RE2): an @, or 8 digits with what may stand between two of them.
_MAY_HOLD = "[@＠]|(?:[0-9０-９][-. ()\u2010-\u2013\u2212－．（）\u3000]{0,3}){8}"

_A_MASK = r"<(?:EMAIL|PHONE|ID)>"
_NO_MASK = "".join(f"(?<!{mask})" for mask in _MASKS.values())
_NO_MASK_AND = "".join(f"(?<!{mask}[-/:,])" for mask in _MASKS.values())

# RFC 5321's lengths: 64 in front of the @, 63 a label. Bounded, so that no text makes it slow.
_FILES = "png|jpe?g|gif|svg|webp|bmp|ico|css|jsx?|tsx?|mjs|json|html?|xml|ya?ml|pdf|docx?|xlsx?|exe|dll|bak|txt"
_DOMAIN = (
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.){1,8}"
    rf"(?!(?i:{_FILES})(?![A-Za-z0-9\-]))(?:xn--[A-Za-z0-9\-]{{2,59}}|[A-Za-z]{{2,24}})"
    rf"(?![A-Za-z0-9\-@])(?!\.(?:[A-Za-z0-9]|{_A_MASK}))"
)
_LOCAL = r"[A-Za-z0-9_+](?:[A-Za-z0-9._%+'\-]{0,62}[A-Za-z0-9_%+\-])?"
_EMAIL = (
    rf"(?<=://)[A-Za-z0-9._%+~!$&\-]{{1,64}}:[A-Za-z0-9._%+~!$&\-]{{0,64}}{_DOMAIN}"  # user and password of a URL
    rf"|(?<![A-Za-z0-9._%+\-@])(?<![A-Za-z0-9]'){_NO_MASK}(?!git@){_LOCAL}{_DOMAIN}"  # git@: a remote, not a person
)

# Not inside a longer number, word, version, price or path; "Tel." may stand in front, and so may another number of
# a list, which has at least 8 digits.
_FRONT = (
    r"(?<![A-Za-z0-9_+$¥￥€£#])(?<![^A-Za-z]\.)(?<![A-Za-z0-9]-)(?<![A-Za-z]/)(?<!(?<!\d{7})\d[/:,])"
    rf"{_NO_MASK}{_NO_MASK_AND}"
)
_BACK = (
    rf"(?![A-Za-z0-9_@%元])(?!-(?:[A-Za-z0-9]|{_A_MASK}))(?!\.[a-z])"
    rf"(?![.:](?:\d|{_A_MASK}))(?![/,](?:\d(?!\d{{6}})|{_A_MASK}))"
)
_EXTENSION = r"(?:(?:-| ?(?:x|ext\.?|转|轉) ?)\d{1,5})?"
_CHINA = r"(?:\+|00)86[\- ]?|\((?:\+|00)86\)[\- ]?"
_AREA = r"(?:10|2\d|[3-9]\d{2})"
_EIGHT = r"[2-9]\d{2,3}[\- ]?\d{4}"  # a landline's own 7 or 8 digits
_NORTH_AMERICA = r"[2-9]\d{2}(?P<%s>%s)[2-9]\d{2}(?P=%s)\d{4}"
_PHONES = (
    # Chinese mobile: 1[3-9] and nine digits, in one piece or 3-4-4.
    rf"(?:{_CHINA}|86[\- ])?1[3-9]\d(?:\d{{8}}|(?P<mobile>[\- ])\d{{4}}(?P=mobile)\d{{4}})",
    # Chinese landline: an area code (010, 02x, 0xxx) set apart by a hyphen, space or brackets, then 7 or 8 digits.
    rf"(?:0{_AREA}[\- ]|\(0{_AREA}\) ?){_EIGHT}{_EXTENSION}",
    r"0(?:10|2\d)[2-9]\d{7}",
    rf"(?:{_CHINA})(?:0?{_AREA}|\(0?{_AREA}\))[\- ]?{_EIGHT}{_EXTENSION}",
    # Chinese 400 and 800 numbers.
    r"[48]00-(?:\d{3}-\d{4}|\d{4}-\d{3}|\d{7})",
    # North America: 3-3-4 with one kind of separator; neither code begins with 0 or 1 (North American Numbering Plan).
    rf"(?!\d00[-.]\d00[-.]\d000)(?:\+?1[\-. ])?{_NORTH_AMERICA % ('america', '[-.]', 'america')}{_EXTENSION}",
    rf"\+?1 {_NORTH_AMERICA % ('prefixed', ' ', 'prefixed')}{_EXTENSION}",
    rf"(?:\+?1[\-. ]?)?\([2-9]\d{{2}}\) ?[2-9]\d{{2}}[\- .]\d{{4}}{_EXTENSION}",
    # International (E.164): at most 15 digits, at least 10 in one piece and 8 in groups.
    r"\+[1-9]\d{9,14}",
    rf"\+(?=\d(?:[\- .]?\(?\d\)?){{7,14}}(?![\- .]?(?:\d|{_A_MASK})))"
    r"[1-9]\d{0,2}(?:[\- ]?\(\d{1,4}\)[\- ]?\d{2,8}(?:[\- ]\d{2,8}){0,3}"
    r"|[\- ]\d{6,12}|\d{0,3}[\- .]\d{1,5}(?:[\- .]\d{2,8}){1,5})",
)
# Shapes that many other numbers have: masked only behind a word for a phone.
_TOLD_PHONES = (
    r"[48]00 ?\d{3,4} ?\d{3,4}",
    r"0[3-9]\d{2}[2-9]\d{6,7}",
    rf"{_NORTH_AMERICA % ('spaced', ' ', 'spaced')}",
    r"00[1-9]\d{0,2}(?:[\- ]\d{1,5}){2,5}",
)
_ITEM = re.compile(
    rf"(?P<email>{_EMAIL})|(?=[\d(+]){_FRONT}(?:(?P<id18>[1-9]\d{{16}}[\dXx])|(?P<id15>[1-9]\d{{14}})"
    rf"|(?P<phone>{'|'.join(_PHONES)})|(?P<told>{'|'.join(_TOLD_PHONES)})){_BACK}",
    re.ASCII,
)

# Words in front that say what a number is. What lies between may hold no digit, @ or mask: masking what stands
# further in front changes no answer.
_CONTEXT = 32
_ID_WORDS = re.compile(
    r"(?:身份证|身分证|身份證|身分證|证件|證件|\b(?:ID|identity) card)[^\d<>@\n]{0,12}\Z", re.I | re.A
)
_PHONE_WORDS = re.compile(
    r"(?:电话|電話|手机|手機|热线|熱線|专线|客服|传真|傳真|致电|拨打|\b(?:tel|phone|mobile|call|fax|hotline|whatsapp))"
    r"[^\d<>@\n]{0,8}\Z",
    re.I | re.A,
)
_BOOK = re.compile(r"(?<![A-Z])IS[BS]N[\dX\-: ]{0,24}\Z", re.I | re.A)
_PROVINCES = frozenset(
    (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71, 81, 82, 83)
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999, ISO 7064 MOD 11-2
_CHECK = "10X98765432"


def _is_date(year: str, month: str, day: str) -> bool:
    try:
        return 1900 <= date(int(year), int(month), int(day)).year <= 2099
    except ValueError:
        return False


def _is_id18(number: str, before: str) -> bool:
    """Province, birth date and check character of an 18-character ID number."""
    if int(number[:2]) not in _PROVINCES or not _is_date(number[6:10], number[10:12], number[12:14]):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _WEIGHTS, strict=True))
    return number[17].upper() == _CHECK[total % 11]


def _is_id15(number: str, before: str) -> bool:
    """The old form has no check character: only where the text says that it is one."""
    if int(number[:2]) not in _PROVINCES or not _is_date("19" + number[6:8], number[8:10], number[10:12]):
        return False
    return _ID_WORDS.search(before) is not None


def _is_phone(number: str, before: str) -> bool:
    return _BOOK.search(before) is None


def _is_told_phone(number: str, before: str) -> bool:
    return _PHONE_WORDS.search(before) is not None


_JUDGES: dict[str, tuple[Kind, Callable[[str, str], bool]]] = {
    "email": ("email", lambda number, before: True),
    "id18": ("id_number", _is_id18),
    "id15": ("id_number", _is_id15),
    "phone": ("phone", _is_phone),
    "told": ("phone", _is_told_phone),
}


def personal_data(text: str) -> list[Found]:
    """(start, stop, kind) in characters, in order and disjoint: the earliest wins, then e-mail, ID, phone."""
    if _HAS_FULL_WIDTH.search(text):
        text = text.translate(_TO_ASCII)
    out: list[Found] = []
    at = 0
    while match := _ITEM.search(text, at):
        kind, is_one = _JUDGES[cast(str, match.lastgroup)]
        start, stop = match.span()
        if is_one(match.group(), text[max(0, start - _CONTEXT) : start]):
            out.append((start, stop, kind))
            at = stop
        else:
            at = start + 1
    return out


@configuration
class Mask:
    """Personal data replaced by <EMAIL>, <PHONE>, <ID>; the reasons are email, phone, id_number."""

    version: ClassVar[int] = 1

    edit: Literal["mask"] = "mask"
    order: Annotated[int, Doc("place among the edits of its stage, ascending")] = 10
    kinds: Annotated[tuple[Kind, ...], Doc("what is masked")] = ("email", "phone", "id_number")

    def spans(self, text: pa.LargeStringArray) -> pa.RecordBatch:
        """SPANS of what was found, one reason a kind."""
        found: list[tuple[int, int, int, str, str]] = []
        candidates = pc.indices_nonzero(pc.fill_null(pc.match_substring_regex(text, _MAY_HOLD), False))
        for row, value in zip(candidates.to_pylist(), text.take(candidates).to_pylist(), strict=True):
            cursor, size = 0, 0
            for start, stop, kind in personal_data(value):
                if kind not in self.kinds:
                    continue
                first = size + len(value[cursor:start].encode())
                size = first + len(value[start:stop].encode())
                cursor = stop
                found.append((row, first, size, _MASKS[kind], kind))
        rows, starts, stops, masks, reasons = zip(*found, strict=True) if found else ((), (), (), (), ())
        return spans_from_lists(rows, starts, stops, masks, reasons)
