"""The edit that masks e-mail addresses, phone numbers and ID numbers, in running Chinese as in English, and what
corpus/identifiers.py knows.

Full-width digits and letters count as their ASCII forms. What looks like a date, a version, an IP address, an
ISBN, a price, a file name or part of a longer number or identifier is no personal data. Recall is bounded on
purpose: a number without the shape of a phone or an ID number stays.

Masking twice changes nothing: where a neighbour keeps a number from being masked, so does that neighbour's mask.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.configuration import Doc, configuration
from corpus.edit import spans_from_lists
from corpus.identifiers import MAY_HOLD, PROVINCES, Kind, identifiers
from corpus.pattern import pattern

Span = tuple[int, int, Kind]

MASKS: dict[Kind, str] = {
    "email": "<EMAIL>",
    "phone": "<PHONE>",
    "id_number": "<ID>",
    "bank_card": "<CARD>",
    "iban": "<IBAN>",
    "ssn": "<SSN>",
    "social_credit": "<COMPANY>",
    "ip_address": "<IP>",
    "mac_address": "<MAC>",
    "api_key": "<KEY>",
    "private_key": "<KEY>",
    "plate": "<PLATE>",
    "account": "<ACCOUNT>",
    "passport": "<PASSPORT>",
}

# One code point for one, so that offsets stay: U+FF01..U+FF5E and the ideographic space, dashes to a hyphen. Not the
# comma and the colon: between Chinese words they part clauses, where ASCII's part thousands and ratios.
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F) if code not in (0xFF0C, 0xFF1A)} | {0x3000: 0x20}
_DASHES = dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2212), 0x2D)
_TO_ASCII = _FULL_WIDTH | _DASHES
_HAS_FULL_WIDTH = pattern("[\uff01-\uff5e\u3000\u2010-\u2013\u2212]")
# What a text with anything to mask holds (RE2): an @, or 8 digits with what may stand between two of them.
_MAY_CONTACT = "[@＠]|(?:[0-9０-９][-. ()\u2010-\u2013\u2212－．（）\u3000]{0,3}){8}"

_NAMES = tuple(dict.fromkeys(MASKS.values()))
_A_MASK = f"(?:{'|'.join(_NAMES)})"
_NO_MASK = "".join(f"(?<!{mask})" for mask in _NAMES)

# RFC 5321's lengths: 64 in front of the @, 63 a label. Bounded, so that no text makes it slow. A name behind it that
# is called, as in `q@k.to(device)`, is a method.
_DOMAIN = (
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.){1,8}"
    r"(?!(?:at|cat|do|id|is|map|new|run|select|to)\()(?P<%s>xn--[A-Za-z0-9\-]{2,59}|[A-Za-z]{2,24})"
    rf"(?![A-Za-z0-9\-@])(?!\.(?:[A-Za-z0-9]|{_A_MASK}))"
)
_LOCAL = r"[A-Za-z0-9_+](?:[A-Za-z0-9._%+'\-]{0,62}[A-Za-z0-9_%+\-])?"
_EMAIL = (
    rf"(?<=://)[A-Za-z0-9._%+~!$&\-]{{1,64}}:[A-Za-z0-9._%+~!$&\-]{{0,64}}{_DOMAIN % 'of_a_url'}"  # user and password
    rf"|(?<![A-Za-z0-9._%+\-@])(?<![A-Za-z0-9]'){_NO_MASK}(?!git@){_LOCAL}{_DOMAIN % 'domain'}"  # git@: a remote
)


def _front(parts: str) -> str:
    """Not inside a longer number, word, version, price or path, nor the second of two short numbers with one of
    `parts` between; "Tel." or "TEL" may stand in front.
    """
    word = r"(?<=(?<![A-Za-z])(?i:tel))|(?<=(?i:phone))|(?<=(?i:mobile))|(?<=(?<![A-Za-z])(?i:fax))"
    masks = "".join(f"(?<!{mask}[-{parts}])" for mask in _NAMES)
    return (
        rf"(?:(?<![A-Za-z0-9_+$¥￥€£#])|{word})(?<![^A-Za-z]\.)(?<![A-Za-z0-9]-)(?<![A-Za-z]/)"
        rf"(?<!(?<!\d{{7}})\d[{parts}]){_NO_MASK}{masks}"
    )


_BACK = (
    rf"(?![A-Za-z0-9_@%元])(?!-(?:[A-Za-z0-9]|{_A_MASK}))(?!\.[a-z])"
    rf"(?![.:](?:\d|{_A_MASK}))(?!/(?:\d(?!\d{{6}})|{_A_MASK}))"
)
_DATE = r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])"
_EXTENSION = r"(?:(?:-| ?(?:x|ext\.?|转|轉) ?)\d{1,5})?"
_CHINA = r"(?:\+|00)86[\- ]?|\((?:\+|00)86\)[\- ]?"
_AREA = r"(?:10|2\d|[3-9]\d{2})"
_EIGHT = r"[2-9]\d{2,3}[\- ]?\d{4}"  # a landline's own 7 or 8 digits
_NORTH_AMERICA = r"[2-9]\d{2}(?P<%s>%s)[2-9]\d{2}(?P=%s)\d{4}"
# Chinese mobile: 1[3-9] and nine digits.
_MOBILE = rf"(?:{_CHINA}|86[\- ])?1[3-9]\d{{9}}"
_PHONES = (
    # Chinese mobile in 3-4-4 or 3-8, where the eight are no date.
    rf"(?:{_CHINA}|86[\- ])?1[3-9]\d(?P<mobile>[\- .])\d{{4}}(?P=mobile)\d{{4}}",
    rf"(?:{_CHINA}|86[\- ])?1[3-9]\d[\- ](?!{_DATE})\d{{8}}",
    # Chinese landline: an area code (010, 02x, 0xxx) set apart by a hyphen, space or brackets, then 7 or 8 digits.
    rf"(?:0{_AREA}[\- ]|\(0{_AREA}\) ?){_EIGHT}{_EXTENSION}",
    r"0(?:10|2\d)[2-9]\d{7}",
    rf"(?:{_CHINA})(?:0?{_AREA}|\(0?{_AREA}\))[\- ]?{_EIGHT}{_EXTENSION}",
    # Chinese 400 and 800 numbers.
    r"[48]00-(?:\d{3}-\d{4}|\d{4}-\d{3}|\d{7})",
    # Taiwan: mobile 09xx-xxx-xxx, landline (0x) xxxx-xxxx. Hong Kong and Macau behind their code in brackets.
    r"09\d{2}-\d{3}-\d{3}",
    r"\(0[2-8]\) ?\d{3,4}-\d{4}",
    r"\((?:\+|00)?85[23]\) ?[235-9]\d{3}[\- ]?\d{4}",
    # North America: 3-3-4 with one kind of separator; neither code begins with 0 or 1 (North American Numbering Plan).
    rf"(?!\d00[-.]\d00[-.]\d000)(?:\+?1[\-. ])?{_NORTH_AMERICA % ('america', '[-.]', 'america')}{_EXTENSION}",
    rf"\+?1 {_NORTH_AMERICA % ('prefixed', ' ', 'prefixed')}{_EXTENSION}",
    rf"(?:\+?1[\-. ]?)?\([2-9]\d{{2}}\) ?[2-9]\d{{2}}[\- .]\d{{4}}{_EXTENSION}",
)
# International (E.164): at most 15 digits, at least 10 in one piece and 8 in groups.
_ABROAD = (
    r"\+[1-9]\d{9,14}",
    rf"\+(?=\d(?:[\- .]?\(?\d\)?){{7,14}}(?![\- .]?(?:\d|{_A_MASK})))"
    r"[1-9]\d{0,2}(?:[\- ]?\(\d{1,4}\)[\- ]?\d{2,8}(?:[\- ]\d{2,8}){0,3}"
    r"|[\- ]\d{6,12}|\d{0,3}[\- .]\d{1,5}(?:[\- .]\d{2,8}){1,5})",
)
# Shapes that many other numbers have: masked only behind a word for a phone.
_NAMED_PHONES = (
    r"[48]00 ?\d{3,4} ?\d{3,4}",
    r"0[3-9]\d{2}[2-9]\d{6,7}",
    rf"{_NORTH_AMERICA % ('spaced', ' ', 'spaced')}",
    r"00[1-9]\d{0,2}(?:[\- ]\d{1,5}){2,5}",
    r"09\d{2} ?\d{3} ?\d{3}|0[2-8][\- ]\d{3,4}[\- ]\d{4}",  # Taiwan
)
# Eight digits without any code (Hong Kong, or a landline): only right behind the name of a phone.
_LOCAL_PHONE = rf"(?!{_DATE})[2-9]\d{{3}}[\- ]?\d{{4}}(?! ?[部台件个個名次万萬亿億年月天人])"
_ID18 = (
    r"[1-9]\d{16}[\dXx]|[1-9]\d{5}(?P<cut>[ \-])\d{8}(?P=cut)\d{3}[\dXx]"
    r"|[1-9]\d{5} \d{4} \d{4} \d{3}[\dXx]|[1-9]\d{3} \d{4} \d{4} \d{4} \d[\dXx]"
)
_ITEM = pattern(
    rf"(?P<email>{_EMAIL})|(?=[\d(+])(?:{_front('/')}(?:(?P<id18>{_ID18})|(?P<id15>[1-9]\d{{14}})|(?P<mobile1>{_MOBILE}))"
    rf"|{_front('/:')}(?:(?P<phone>{'|'.join(_PHONES)})|(?P<abroad>{'|'.join(_ABROAD)}))"
    rf"|{_front('/:,')}(?:(?P<named>{'|'.join(_NAMED_PHONES)})|(?P<local>{_LOCAL_PHONE}))){_BACK}",
    re.ASCII,
)

# Words in front that say what a number is. What lies between may hold no digit, @ or mask: masking what stands
# further in front changes no answer.
_CONTEXT = 32
_ID_WORDS = pattern(r"(?:身份证|身分证|身份證|身分證|证件|證件|\b(?:ID|identity) card)[^\d<>@\n]{0,12}\Z", re.I | re.A)
_PHONE_WORDS = pattern(
    r"(?:电话|電話|手机|手機|热线|熱線|专线|专線|客服|传真|傳真|致电|致電|拨打|撥打|联系方式|聯絡"
    r"|\b(?:tel|phone|mobile|call|fax|hotline|whatsapp))[^\d<>@\n]{0,8}\Z",
    re.I | re.A,
)
_PHONE_NAMES = pattern(
    r"(?:电话|電話|手机|手機|热线|熱線|传真|傳真|\b(?:tel|telephone|phone|mobile|fax|hotline|whatsapp))"
    r"(?:号码|號碼|号|號| ?no\.?| ?numbers?)? ?[.:：是为為]? ?\Z",
    re.I | re.A,
)
_OTHER_NUMBERS = pattern(
    r"(?:(?<![A-Z])IS[BS]N[\dX\-: ]{0,24}"
    r"|(?:订单|訂單|单号|單號|运单|運單|流水|序列|条码|條碼|编号|編號|\b(?:order|serial|invoice|tracking))"
    r"[^\d<>@\n]{0,6})\Z",
    re.I | re.A,
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999, ISO 7064 MOD 11-2
_CHECK = "10X98765432"
# Country codes of ITU-T E.164's list of 2016, those of one and two digits; with three, any that begins as here.
_COUNTRIES = frozenset(
    (7, 20, 27, *range(30, 35), 36, 39, 40, 41, *range(43, 50), *range(51, 59), *range(60, 67), 81, 82, 84, 86)
) | frozenset((*range(90, 96), 98))
_REGIONS = frozenset((21, 22, 23, 24, 25, 26, 29, 35, 37, 38, 42, 50, 59, 67, 68, 69, 80, 85, 87, 88, 96, 97, 99))


@lru_cache(maxsize=1)
def _top_level_domains() -> frozenset[str]:
    lines = (Path(__file__).parent / "top_level_domains.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(name for line in lines if not line.startswith("#") for name in line.split())


def _is_email(match: re.Match[str], before: str) -> bool:
    domain = (match["of_a_url"] or match["domain"]).lower()
    return domain.startswith("xn--") or domain in _top_level_domains()


def _is_date(year: str, month: str, day: str) -> bool:
    try:
        return 1900 <= date(int(year), int(month), int(day)).year <= 2099
    except ValueError:
        return False


def _is_id18(match: re.Match[str], before: str) -> bool:
    """Province, birth date and check character of an 18-character ID number."""
    number = match.group().replace(" ", "").replace("-", "")
    if int(number[:2]) not in PROVINCES or not _is_date(number[6:10], number[10:12], number[12:14]):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _WEIGHTS, strict=True))
    return number[17].upper() == _CHECK[total % 11]


def _is_id15(match: re.Match[str], before: str) -> bool:
    """The old form has no check character: only where the text says that it is one."""
    number = match.group()
    if int(number[:2]) not in PROVINCES or not _is_date("19" + number[6:8], number[8:10], number[10:12]):
        return False
    return _ID_WORDS.search(before) is not None


def _is_phone(match: re.Match[str], before: str) -> bool:
    return _OTHER_NUMBERS.search(before) is None


def _is_mobile(match: re.Match[str], before: str) -> bool:
    """A bare number that is a whole number of mebibytes or millions counts something."""
    number = match.group()
    if number.isdigit() and (int(number) % (1 << 20) == 0 or int(number) % 10**6 == 0):
        return _PHONE_WORDS.search(before) is not None
    return _is_phone(match, before)


def _is_abroad(match: re.Match[str], before: str) -> bool:
    """A known country code, and full stops between its groups or none: `+12.5 13.25` is a row of a table."""
    number = match.group()
    digits = "".join(filter(str.isdigit, number))
    if "." in number and any(mark in number for mark in " -("):
        return False
    if digits[0] == "1":  # North American Numbering Plan
        return len(digits) == 11 and digits[1] > "1" and _is_phone(match, before)
    known = int(digits[:2]) in _COUNTRIES or int(digits[:2]) in _REGIONS or digits[0] == "7"
    return known and _is_phone(match, before)


def _is_named(match: re.Match[str], before: str) -> bool:
    return _PHONE_WORDS.search(before) is not None


def _is_local(match: re.Match[str], before: str) -> bool:
    return _PHONE_NAMES.search(before) is not None


_JUDGES: dict[str, tuple[Kind, Callable[[re.Match[str], str], bool]]] = {
    "email": ("email", _is_email),
    "id18": ("id_number", _is_id18),
    "id15": ("id_number", _is_id15),
    "mobile1": ("phone", _is_mobile),
    "phone": ("phone", _is_phone),
    "abroad": ("phone", _is_abroad),
    "named": ("phone", _is_named),
    "local": ("phone", _is_local),
}


def _contacts(text: str) -> Iterator[Span]:
    """E-mail addresses, phones and mainland ID numbers, in order and disjoint."""
    at = 0
    while match := _ITEM.search(text, at):
        kind, is_one = _JUDGES[cast(str, match.lastgroup)]
        start, stop = match.span()
        at = start + 1
        if is_one(match, text[max(0, start - _CONTEXT) : start]):
            if kind == "email" and text[start - 1 : start] == "<" and text[stop : stop + 1] == ">":
                start, stop = start - 1, stop + 1
            yield start, stop, kind
            at = stop


_KINDS: frozenset[Kind] = frozenset(MASKS)


def personal_data(text: str, may_hold: frozenset[Kind] = _KINDS) -> list[Span]:
    """(start, stop, kind) in characters, in order and disjoint: the earliest wins, then the longest, then e-mail, ID,
    phone and the rest as corpus/identifiers.py has them. Only kinds that it `may_hold` are looked for.

    Angle brackets around an address, as in `Ann <ann@example.org>`, go with it.
    """
    if _HAS_FULL_WIDTH.search(text):
        text = text.translate(_TO_ASCII)
    out: list[Span] = []
    at = 0
    contacts = _contacts(text) if "email" in may_hold else ()
    both: list[Span] = [*contacts, *identifiers(text, may_hold)]
    for start, stop, kind in sorted(both, key=lambda span: (span[0], -span[1])):
        if start >= at:
            out.append((start, stop, kind))
            at = stop
    return out


def _candidates(text: pa.LargeStringArray) -> tuple[npt.NDArray[np.int64], list[frozenset[Kind]]]:
    """Rows that may hold something, and what."""
    import pyarrow.compute as pc

    shapes: dict[Kind, str] = {"email": _MAY_CONTACT, **MAY_HOLD}
    anything = pc.match_substring_regex(text, "|".join(shapes.values()))
    rows = np.flatnonzero(pc.fill_null(anything, False).to_numpy(zero_copy_only=False))
    some = text.take(pa.array(rows))
    held = {kind: pc.match_substring_regex(some, shape).to_pylist() for kind, shape in shapes.items()}
    return rows, [frozenset(kind for kind in held if held[kind][k]) for k in range(len(rows))]


@configuration
class Mask:
    """Personal data replaced by <EMAIL>, <PHONE>, <ID> and the like (MASKS); the reasons are the kinds."""

    version: ClassVar[int] = 2
    reasons: ClassVar[tuple[str, ...]] = tuple(MASKS)

    edit: Literal["mask"] = "mask"
    order: Annotated[int, Doc("place among the edits of its stage, ascending")] = 10
    kinds: Annotated[tuple[Kind, ...], Doc("what is masked")] = tuple(MASKS)

    def spans(self, text: pa.LargeStringArray) -> pa.RecordBatch:
        """SPANS of what was found, one reason a kind."""
        found: list[tuple[int, int, int, str, str]] = []
        rows, kinds = _candidates(text)
        for row, value, held in zip(rows.tolist(), text.take(pa.array(rows)).to_pylist(), kinds, strict=True):
            cursor, size = 0, 0
            for start, stop, kind in personal_data(value, held):
                if kind not in self.kinds:
                    continue
                first = size + len(value[cursor:start].encode())
                size = first + len(value[start:stop].encode())
                cursor = stop
                found.append((row, first, size, MASKS[kind], kind))
        owners, starts, stops, masks, reasons = zip(*found, strict=True) if found else ((), (), (), (), ())
        return spans_from_lists(owners, starts, stops, masks, reasons)
