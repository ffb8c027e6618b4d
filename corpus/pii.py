"""The edit that masks e-mail addresses, phone numbers and Chinese ID numbers, in running Chinese as in English.

Full-width digits and letters count as their ASCII forms. What looks like a date, a version, an IP address, an
ISBN or part of a longer number or identifier is no phone number. Recall is bounded on purpose: a number without
the shape of a phone or an ID number stays.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Annotated, ClassVar, Literal

import pyarrow as pa

from corpus.configuration import Doc, configuration
from corpus.edit import spans_from_lists

Kind = Literal["email", "phone", "id_number"]
Found = tuple[int, int, Kind]

# One code point for one, so that offsets stay: U+FF01..U+FF5E and the ideographic space, dashes to a hyphen.
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_DASHES = dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2212), 0x2D)
_TO_ASCII = _FULL_WIDTH | _DASHES
_HAS_FULL_WIDTH = re.compile("[\uff01-\uff5e\u3000\u2010-\u2013\u2212]")

# RFC 5321's lengths: 64 in front of the @, 63 a label. Bounded, so that no text makes it slow.
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9_](?:[A-Za-z0-9._%+\-]{0,62}[A-Za-z0-9_%+\-])?"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9\-@])"
)
# Not inside a longer number, word, version or identifier.
_FRONT = r"(?<![A-Za-z0-9_.])(?<![A-Za-z0-9]-)(?<!\d[/:,])"
_BACK = r"(?![A-Za-z0-9_])(?!-[A-Za-z0-9])(?![.:/,]\d)"
_EXTENSION = r"(?:(?:-| ?(?:x|ext\.?|转|轉) ?)\d{1,5})?"
_CHINA = r"(?:(?:(?:\+|00)86|\((?:\+|00)86\))[\- ]?)"
_PHONES = (
    # Chinese mobile: 1[3-9] and nine digits, in one piece or 3-4-4.
    rf"{_FRONT}(?<!\+){_CHINA}?1[3-9]\d(?:\d{{8}}|([\- ])\d{{4}}\1\d{{4}}){_BACK}",
    # Chinese landline: an area code (010, 02x, 0xxx) set apart by a hyphen, space or brackets, then 7 or 8 digits.
    rf"{_FRONT}(?<!\+)(?:0(?:10|2\d|[3-9]\d{{2}})(?:-| )|\(0(?:10|2\d|[3-9]\d{{2}})\) ?)"
    rf"[2-9]\d{{2,3}}(?:\d{{4}}|[\- ]\d{{4}}){_EXTENSION}{_BACK}",
    rf"{_FRONT}(?<!\+)0(?:10|2\d)[2-9]\d{{7}}{_BACK}",
    rf"{_FRONT}{_CHINA}\(?0?(?:10|2\d|[3-9]\d{{2}})\)?[\- ]?[2-9]\d{{2,3}}[\- ]?\d{{4}}{_EXTENSION}{_BACK}",
    # Chinese 400 and 800 numbers.
    rf"{_FRONT}(?<!\+)[48]00(?:-\d{{3}}-\d{{4}}|-\d{{4}}-\d{{3}}|-\d{{7}}){_BACK}",
    # North America: 3-3-4 with one kind of separator; neither area code begins with 0 or 1.
    rf"{_FRONT}(?:\+?1[\-. ])?[2-9]\d{{2}}([\-. ])\d{{3}}\2\d{{4}}{_EXTENSION}{_BACK}",
    rf"{_FRONT}(?:\+?1[\-. ]?)?\([2-9]\d{{2}}\) ?\d{{3}}[\- .]\d{{4}}{_EXTENSION}{_BACK}",
    # International: + and 8 to 15 digits (E.164), in groups.
    rf"(?<![A-Za-z0-9_+])\+[1-9]\d{{0,2}}(?:[\- .]?\(\d{{1,4}}\))?(?:[\- .]?\d{{1,14}}){{1,6}}{_BACK}",
)
_PHONE = tuple(re.compile(pattern.replace(r"\2", r"\1")) for pattern in _PHONES)
_ID18 = re.compile(r"(?<![A-Za-z0-9_])[1-9]\d{16}[\dXx](?![A-Za-z0-9_])")
_ID15 = re.compile(r"(?<![A-Za-z0-9_])[1-9]\d{14}(?![A-Za-z0-9_])")
_ID_CONTEXT = re.compile(r"身份证|身分证|身分證|證件|证件|\bID\b", re.IGNORECASE)
_ISBN_CONTEXT = re.compile(r"ISBN|ISSN", re.IGNORECASE)
_CONTEXT = 16  # characters in front that may say what a number is
_PROVINCES = frozenset(
    (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71, 81, 82, 83)
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999, ISO 7064 MOD 11-2
_CHECK = "10X98765432"
_MASKS: dict[Kind, str] = {"email": "<EMAIL>", "phone": "<PHONE>", "id_number": "<ID>"}


def _is_date(year: str, month: str, day: str) -> bool:
    try:
        return 1900 <= date(int(year), int(month), int(day)).year <= 2099
    except ValueError:
        return False


def _is_id18(number: str) -> bool:
    """Province, birth date and check character of an 18-character ID number."""
    if int(number[:2]) not in _PROVINCES or not _is_date(number[6:10], number[10:12], number[12:14]):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _WEIGHTS, strict=True))
    return number[17].upper() == _CHECK[total % 11]


def _is_id15(number: str) -> bool:
    return int(number[:2]) in _PROVINCES and _is_date("19" + number[6:8], number[8:10], number[10:12])


def _ids(text: str) -> Iterator[Found]:
    for match in _ID18.finditer(text):
        if _is_id18(match.group()):
            yield match.start(), match.end(), "id_number"
    for match in _ID15.finditer(text):  # no check character: only where the text says that it is one
        before = text[max(0, match.start() - _CONTEXT) : match.start()]
        if _is_id15(match.group()) and _ID_CONTEXT.search(before):
            yield match.start(), match.end(), "id_number"


def _emails(text: str) -> Iterator[Found]:
    for match in _EMAIL.finditer(text):
        yield match.start(), match.end(), "email"


def _phones(text: str) -> Iterator[Found]:
    for pattern in _PHONE:
        for match in pattern.finditer(text):
            before = text[max(0, match.start() - _CONTEXT) : match.start()]
            digits = sum(character.isdigit() for character in match.group())
            if 8 <= digits <= 20 and not _ISBN_CONTEXT.search(before):
                yield match.start(), match.end(), "phone"


_FINDERS: dict[Kind, tuple[re.Pattern[str], Callable[[str], Iterator[Found]]]] = {
    "id_number": (re.compile(r"\d{15}"), _ids),
    "email": (re.compile("@"), _emails),
    "phone": (re.compile(r"\d{3}"), _phones),
}


def personal_data(text: str) -> list[Found]:
    """(start, stop, kind) in characters, in order and disjoint: the earliest wins, then the longest, then an ID."""
    if _HAS_FULL_WIDTH.search(text):
        text = text.translate(_TO_ASCII)
    found: list[Found] = []
    for hint, finder in _FINDERS.values():
        if hint.search(text):
            found += finder(text)
    kinds = list(_FINDERS)
    out: list[Found] = []
    for start, stop, kind in sorted(found, key=lambda f: (f[0], -f[1], kinds.index(f[2]))):
        if not out or start >= out[-1][1]:
            out.append((start, stop, kind))
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
        for row, value in enumerate(text.to_pylist()):
            cursor, size = 0, 0
            for start, stop, kind in personal_data(value or ""):
                if kind not in self.kinds:
                    continue
                first = size + len(value[cursor:start].encode())
                size = first + len(value[start:stop].encode())
                cursor = stop
                found.append((row, first, size, _MASKS[kind], kind))
        rows, starts, stops, masks, reasons = zip(*found, strict=True) if found else ((), (), (), (), ())
        return spans_from_lists(rows, starts, stops, masks, reasons)
