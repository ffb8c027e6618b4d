"""Kinds with a checksum, a shape that their makers publish, or a word in front that says what they are.

HK and Taiwan identity cards and unified social credit codes (GB 32100-2015, MOD 31) by their check characters; bank
cards by Luhn (ISO/IEC 7812) and the networks' first digits; IBAN by MOD 97 (ISO 13616); SSN without the ranges that are
never given out; addresses of the internet only where they are public; keys as GitHub, AWS, Google, Slack, Stripe,
OpenAI, GitLab, npm, Hugging Face, Alibaba and Tencent print them.
"""

import ipaddress
import re
from collections.abc import Callable, Collection, Iterator
from typing import Literal

from corpus.pattern import pattern

Kind = Literal[
    "email",
    "phone",
    "id_number",
    "bank_card",
    "iban",
    "ssn",
    "social_credit",
    "ip_address",
    "mac_address",
    "api_key",
    "private_key",
    "plate",
    "account",
    "passport",
]

# What a text with an identifier of a kind holds (RE2), so that most texts are not looked at for most kinds.
MAY_HOLD: dict[Kind, str] = {
    "id_number": r"[0-9０-９]{6}[(（]|[A-ZＡ-Ｚ][0-9０-９]{9}",
    "bank_card": r"(?:[0-9０-９][ \-－　]?){13}",
    "iban": r"[A-ZＡ-Ｚ]{2}[0-9０-９]{2}[ 　]?[A-Z0-9Ａ-Ｚ０-９]{4}",
    "ssn": r"[0-9０-９]{3}[\-－\x{2010}-\x{2013}\x{2212}][0-9０-９]{2}[\-－\x{2010}-\x{2013}\x{2212}][0-9０-９]{4}",
    "social_credit": r"[0-9A-HJ-NPQRTUWXY０-９Ａ-Ｙ]{18}",
    "ip_address": r"(?:[0-9０-９]{1,3}[.．]){3}[0-9０-９]|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{0,4}:",
    "mac_address": r"(?:[0-9A-Fa-f０-９Ａ-Ｆａ-ｆ]{2}[:\-－\x{2010}-\x{2013}\x{2212}]){5}",
    "api_key": r"A[KS]IA|LTAI|AKID|AIza|xox[abprs]-|sk[-_]|gh[opsu]_|github_pat_|glpat-|npm_|hf_|[Ａ-Ｚａ-ｚ]",
    "private_key": "PRIVATE KEY",
    "plate": r"\p{Han}[A-HJ-NP-ZＡ-Ｚ][·•.．]?[A-HJ-NP-Z0-9Ａ-Ｚ０-９]{5}",
    "account": r"[QqＱｑ]{2}|扣扣|微信|微博|[WwＷｗ][EeＥｅ][CcIiＣｃＩｉ]|[VvＶｖ][XxＸｘ]",
    "passport": r"护照|護照|[PpＰｐ][AaＡａ][SsＳｓ]{2}[PpＰｐ][OoＯｏ]",
}
_LETTERS = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", range(10, 36), strict=True))
_TAIWAN = dict(zip("ABCDEFGHJKLMNPQRSTUVXYWZIO", range(10, 36), strict=True))
PROVINCES = frozenset(  # GB/T 2260
    (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71, 81, 82, 83)
)
_CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼滬雲遼魯蘇贛晉陝閩貴粵寧瓊"
_WORD = r"A-Za-z0-9_"
_SECRETS = (
    *(r"(?:AKIA|ASIA)[0-9A-Z]{16}", r"LTAI[A-Za-z0-9]{16,20}", r"AKID[A-Za-z0-9]{32}", r"AIza[A-Za-z0-9_\-]{35}"),
    *(
        r"xox[abprs]-[A-Za-z0-9\-]{10,72}",
        r"sk_(?:live|test)_[A-Za-z0-9]{24,99}",
        r"sk-(?:proj-)?[A-Za-z0-9_\-]{32,200}",
    ),
    *(r"gh[opsu]_[A-Za-z0-9]{36}", r"github_pat_[A-Za-z0-9_]{82}", r"glpat-[A-Za-z0-9_\-]{20}", r"npm_[A-Za-z0-9]{36}"),
    r"hf_[A-Za-z0-9]{34}",
)


def _is_hong_kong(text: str) -> bool:
    """Letters as 10 to 35, a single one behind a blank of 36, by weights 9 to 2; the check makes the sum 0 mod 11."""
    letters, digits, check = text.rstrip(")")[:-9].strip() or text[0], text[-9:-3], text[-2]
    values = [36, _LETTERS[letters]] if len(letters) == 1 else [_LETTERS[letter] for letter in letters]
    values += [int(digit) for digit in digits] + [10 if check == "A" else int(check)]
    return sum(value * weight for value, weight in zip(values, range(9, 0, -1), strict=True)) % 11 == 0


def _is_taiwan(text: str) -> bool:
    first = _TAIWAN[text[0]]
    values = [first // 10, first % 10, *map(int, text[1:])]
    return (
        sum(value * weight for value, weight in zip(values, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1), strict=True)) % 10 == 0
    )


def _is_card(text: str) -> bool:
    digits = [int(character) for character in text if character.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(digits[::-2]) + sum(doubled)) % 10 == 0


def _is_iban(text: str) -> bool:
    plain = text.replace(" ", "")
    moved = plain[4:] + plain[:4]
    return 15 <= len(plain) <= 34 and int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def _is_credit(text: str) -> bool:
    values = [_CREDIT.index(character) for character in text]
    region = int(text[2:4])
    return (region in PROVINCES or region == 10) and (
        31 - sum(value * pow(3, k, 31) for k, value in enumerate(values[:17])) % 31
    ) % 31 == values[17]


def _is_public(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def _is_mac(text: str) -> bool:
    return len(set(re.sub("[^0-9a-f]", "", text.lower()))) > 2


def _any(text: str) -> bool:
    return True


def _plain(body: str, more: str = "") -> str:
    """Not part of a longer word or number, nor right beside a mask."""
    return rf"(?<![{_WORD}{re.escape(more)}])(?<![A-Z]>)(?:{body})(?![{_WORD}])(?!<[A-Z]+>)"


def _named(words: str, body: str) -> str:
    """Behind a word that names it; the group `what` is the identifier."""
    return rf"(?:{words})[\s:：为為是]{{0,3}}(?P<what>{body})(?![{_WORD}])(?!<[A-Z]+>)"


_NOT_A_VERSION = r"(?<![Vv]ersion )(?<![Vv]er )(?<!版本 )(?<!版本)(?<!版本号)"
_SHAPES: tuple[tuple[Kind, str, Callable[[str], bool]], ...] = (
    ("private_key", r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[^-]{16,8000}-----END (?:[A-Z]+ )?PRIVATE KEY-----", _any),
    ("api_key", _plain("|".join(_SECRETS), "-"), _any),
    ("iban", _plain(r"[A-Z]{2}\d{2}(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?)"), _is_iban),
    ("id_number", _plain(r"[A-Z]{1,2}\d{6}\([0-9A]\)", "-"), _is_hong_kong),
    ("id_number", _plain(r"[A-Z][1289]\d{8}(?!-)", "-"), _is_taiwan),
    ("id_number", _plain(r"[157]\d{6}\(\d\)", "-."), _any),  # Macau: its check digit is not published
    ("social_credit", _plain(r"[159ANY][1239]\d{6}[0-9A-HJ-NPQRTUWXY]{10}", "-"), _is_credit),
    (
        "bank_card",
        _plain(
            r"(?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|62\d\d|6011|65\d\d|35\d\d)(?P<gap>[ -]?)\d{4}(?P=gap)\d{4}"
            r"(?:(?P=gap)\d{4}(?:(?P=gap)\d{1,3})?)|3[47]\d{2}(?P<amex>[ -]?)\d{6}(?P=amex)\d{5}",
            "-.",
        ),
        _is_card,
    ),
    ("ssn", _plain(r"(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?!-)", "-."), _any),
    ("ip_address", _NOT_A_VERSION + _plain(r"(?:\d{1,3}\.){3}\d{1,3}(?!\.\d)", ".-"), _is_public),
    ("ip_address", _plain(r"(?:[0-9A-Fa-f]{1,4}:){2,7}(?::?[0-9A-Fa-f]{1,4}){1,6}(?!:)", ":."), _is_public),
    (
        "mac_address",
        _plain(r"[0-9A-Fa-f]{2}(?P<mark>[:-])(?:[0-9A-Fa-f]{2}(?P=mark)){4}[0-9A-Fa-f]{2}(?![:-])", ":-"),
        _is_mac,
    ),
    (
        "plate",
        _plain(
            rf"[{_PROVINCES}][A-HJ-NP-Z][·•.]?(?=[A-Z]{{0,5}}\d)(?:[A-HJ-NP-Z0-9]{{6}}|[A-HJ-NP-Z0-9]{{4,5}}[学警港澳挂]?)"
        ),
        _any,
    ),
    ("account", _named(r"\bQQ ?(?:号码?|號碼?|群)?|扣扣(?:号|號)?", r"[1-9]\d{4,10}"), _any),
    (
        "account",
        _named(r"(?:微信|\bWe[Cc]hat|\bweixin|\bVX)(?:号|號| ?ID)?[:：]", r"[A-Za-z0-9][A-Za-z0-9_\-]{5,19}"),
        _any,
    ),
    ("account", _named(r"微博|\b[Ww]eibo", r"@[A-Za-z0-9_\-\u4e00-\u9fff]{2,30}"), _any),
    (
        "passport",
        _named(
            r"(?:护照|護照|\b[Pp]assport)(?: ?号码?| ?號碼?| ?[Nn]o\.?| ?[Nn]umber)?",
            r"(?:[EGDSPHK]\d{8}|E[A-HJ-NP-Z]\d{7}|[A-Z]{1,2}\d{7}|\d{9})",
        ),
        _any,
    ),
)
_PATTERNS = tuple((kind, pattern(shape, re.A), is_one) for kind, shape, is_one in _SHAPES)
# A number that an order, an article or a book has is none, whatever its checksum.
_OTHER = pattern(
    r"(?:订单|訂單|单号|單號|运单|運單|流水|序列|条码|條碼|编号|編號|型号|型號|\b(?:order|serial|invoice|tracking|model|part))"
    r"[^\d<>@\n]{0,8}\Z",
    re.I | re.A,
)
_NUMBERS = frozenset({"bank_card", "ssn", "id_number", "social_credit"})


def identifiers(text: str, kinds: Collection[Kind]) -> Iterator[tuple[int, int, Kind]]:
    """(start, stop, kind) in characters of the given kinds, kind by kind; they may overlap."""
    for kind, shape, is_one in _PATTERNS:
        if kind not in kinds:
            continue
        for match in shape.finditer(text):
            start, stop = match.span("what" if "what" in shape.groupindex else 0)
            if kind in _NUMBERS and _OTHER.search(text[max(0, start - 24) : start]):
                continue
            if is_one(text[start:stop]):
                yield start, stop, kind
