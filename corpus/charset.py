"""The charset of a page: bytes to characters by evidence, since declarations are often wrong.

Of what a header, a meta tag and a detector say, and of UTF-8, GB18030, Big5 and Windows-1252, the reading wins that
looks most like writing (`credit`). Declarations break ties, the header's first. Bytes that are UTF-8 need no other
evidence: hardly any text of another charset is valid by chance.
"""

import codecs
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace

from corpus.pattern import pattern

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# Where a standard label names less than the web puts under it, the superset browsers use
# (WHATWG Encoding Standard, section 4.2), in Python's names.
_SUPERSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "utf-16": "utf-16-le",
}
_ALIASES = {"x-gbk": "gbk", "gb_2312-80": "gb2312", "x-x-big5": "big5", "cn-big5": "big5", "x-sjis": "shift_jis"}
# Python also registers codecs that are no charsets of the web: base64, idna, unicode_escape, utf-7.
_CHARSET = pattern(
    r"utf-8|utf-16(-[lb]e)?|ascii|cp\d+|iso8859-\d+|koi8-[ru]|mac-\w+|tis-620|gb\w+|hz|big5\w*|euc_\w+|shift_\w+|iso2022_jp\w*"
)
_META = re.compile(rb"""<meta[^>]{0,512}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.\-]{2,40})""", re.IGNORECASE)
_XML = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9_:.\-]{2,40})""")
_PRESCAN = 2048  # bytes searched for a declaration; HTML asks for 1024, real pages put scripts before it

_EVIDENCE = 1 << 20  # bytes looked at, from the first that is not ASCII
# What a declaration and a detector are worth, in characters: a short text is read as declared, a long one speaks for
# itself. Charsets of one byte are declared by default and decode nearly anything.
_DECLARED, _DECLARED_ONE_BYTE, _DETECTED = 2.0, 0.5, 0.5
_DETECTABLE = 4.0  # characters below which a detector guesses
_FLOOR, _DECLARED_FLOOR = 0.0, -0.25  # credit below which a reading is no text
_RARE, _OTHER, _HALF = -0.2, 0.25, 0.5
_NULS = 0.05  # share of NUL bytes in text of two bytes a character: markup alone gives more

# The 500 most frequent ideographs by the counts of jieba's dictionary (MIT), and their traditional forms by OpenCC
# (Apache-2.0). They are 61 to 79 % of the ideographs of Chinese pages in either script (median; 41 % the least of
# 114), and 16 % at most of the same bytes read in another charset.
_COMMON = frozenset(
    "一是人了不在有大中国和为这上他个地年来我会以到时要出的生学说道民家子也成行下们于后就发自之对得主长可"
    "过天作分方用多你着部能市等业全里工公经本都而高政法面门动日进区事代那去心小同北定开产前其军还然起种所"
    "如现理机体表力好外与文当两实重新三么只山水关明从化平建又制南内西没此将员名手最东头者月间无安看见各城"
    "十相但已些正口通想度加第她合院物性战由位常点海意场武使次二向治因立数样身情入原问把路被并利石老教万知"
    "级量任江及应省资委务元美特期世湖回系比气汉总展电科金先声提品设或义王社很统处四首共马形己儿司太目基领"
    "队直计别女权话少流命至报米给打变果书清活几州华解议更称程今决张导术府才保交放管结师便走达族反再题色五"
    "京河接条规式县白它改风光运信受什组听布百济党指论强做取技黄神选记斯真却职号界件花类何眼兵传带空干农边"
    "据集联古广完质阳难增历史专官每住商即步认车台林必死游举线言皇土团收考求德叫近备研争非具李众连调感转笑"
    "革该持始英克士尔让拉思根格造较际亲单朝红型价校约器字段周亚深候则功属积快图火千准究往极育装许参半令吃"
    "观鱼精办像帝八复影告远群包整构料随划算象容示投势热值夫网望源息语股铁断派速怎需片爱律纪支早况病境证编"
    "國爲這個來會時學說們於後發對長過業裏經門動進區開產軍還種現機體與當兩實麼關從內沒將員東頭間無見戰點場"
    "數樣問並萬級應資務氣漢總電聲設義統處馬兒領隊計別權話報給變書幾華議稱決張導術結師達題條規縣風運組聽濟"
    "黨論強黃選記卻職號類傳帶幹農邊據聯廣質陽難歷專認車臺遊舉線團備爭衆連調轉該爾讓較際親單紅價約亞則屬積"
    "圖準極裝許參喫觀魚辦復遠羣構隨劃勢熱網語鐵斷愛紀況證編"
)
_TRAILS = re.escape(bytes(range(0x80, 0xC0)).decode("cp1252", "ignore"))
# What the wrong charset makes of a text. Windows-1252: a head of UTF-8 with what follows it, a Chinese punctuation
# mark, long runs. GB18030 and Big5: an ideograph alone among Latin letters, for a letter with a mark and the next one.
_MISREAD = pattern(
    f"[\u00c2-\u00f4][{_TRAILS}]+|[\u00a1-\u00a4][\u00a1-\u00fe]|[\u00a0-\u00ff]{{4,}}"
    f"|(?<![^\\x00-\\x7f])[^\\x00-\u33ff{''.join(sorted(_COMMON))}\ua000-\U0001ffff](?![^\\x00-\\x7f])"
)
_ONE_BYTE = pattern(r"cp125|iso8859|koi8|mac|tis")
# Windows-1252's characters as the bytes they stand for; the five that it leaves out are controls (WHATWG).
_TWICE = pattern(f"[\u00c2-\u00f4][\x80-\x9f{_TRAILS}]")
_BYTES = {ord(bytes([byte]).decode("cp1252", "ignore") or "\0"): byte for byte in range(0x80, 0xA0)}
_SHIFTED = "\0\u0a00\u2000\u2f00\u3c00\u3e00"  # NUL; line end, space, / < > with their bytes swapped
_LONGER = pattern("[\u0800-\ufffc\ufffe-\U0010ffff]")  # more than two bytes in UTF-8
_ASCII = pattern("[\x00-\x7f]+")


class DecodingError(ValueError):
    """Bytes that are no text in any encoding declared or detected."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text and the encoding it was read in; `replaced` is the share of characters that became U+FFFD."""

    text: str
    encoding: str
    replaced: float = 0.0


def codec(label: str | None) -> str | None:
    """Python's codec for a declared charset, widened to what browsers read; None if nobody knows the label."""
    if not label:
        return None
    name = label.strip().strip("\"'").lower()
    try:
        known = codecs.lookup(_ALIASES.get(name, name)).name
    except (LookupError, ValueError):
        return None
    return _SUPERSETS.get(known, known) if _CHARSET.fullmatch(known) else None


def declared_charset(payload: bytes) -> str | None:
    """The charset named by a meta tag or an XML declaration, or None."""
    head = payload[:_PRESCAN]
    found = _XML.search(head) or _META.search(head)
    return found.group(1).decode("ascii") if found else None


def decode(payload: bytes, header: str | None = None, max_replaced: float = 0.01) -> Decoded:
    """Text of a page whose HTTP header names the charset `header`.

    Raises DecodingError when no reading looks like text, or the best one replaces more than `max_replaced` of the
    characters.
    """
    for bom, encoding in _BOMS:
        if payload.startswith(bom):
            return _read(payload[len(bom) :], encoding, max_replaced)
    if payload.count(0) > _NULS * len(payload):
        return _read(payload, _utf16(payload), max_replaced)
    labels = (codec(header), codec(declared_charset(payload)))
    declared = [name for name in labels if name is not None and not name.startswith("utf-16")]
    if payload.isascii():
        return _read(payload, _seven_bit(payload, declared), max_replaced)
    if _is_utf8(payload, declared):
        found = _read(payload, "utf-8", max_replaced)
        return replace(found, text=_undoubled(found.text))
    return _read(payload, _most_credible(_evidence(payload), declared), max_replaced)


def _read(payload: bytes, encoding: str, max_replaced: float) -> Decoded:
    text = payload.decode(encoding, "replace")
    share = text.count("\ufffd") / max(len(text), 1)
    if share > max_replaced:
        raise DecodingError(f"{share:.1%} of the characters unreadable in {encoding}, the best reading")
    return Decoded(text, encoding, share)


def _undoubled(text: str) -> str:
    """The text, read out of UTF-8 once more if all of it was encoded twice, by way of Windows-1252."""
    if _TWICE.search(text) is None:
        return text
    try:
        once = text.translate(_BYTES).encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
    return once if credit(once) > credit(text) else text


def _utf16(payload: bytes) -> str:
    """The byte order of UTF-16 without a mark: the one in which white space and brackets are not a byte out of step.

    Behind a byte lost they are, in either order.
    """
    orders = ("utf-16-le", "utf-16-be")
    texts = [payload.decode(order, "replace") for order in orders]
    shifted, order = min((sum(text.count(mark) for mark in _SHIFTED), n) for n, text in enumerate(texts))
    if shifted * 256 > len(texts[order]):
        raise DecodingError(
            f"{shifted} of {len(texts[order])} characters are a byte out of step: not UTF-16 throughout"
        )
    return orders[order]


def _seven_bit(payload: bytes, declared: list[str]) -> str:
    """The charset of bytes below 0x80: those that shift by escapes are read where they are declared."""
    for encoding in declared:
        if (encoding == "hz" and b"~{" in payload) or (encoding.startswith("iso2022") and b"\x1b" in payload):
            return encoding
    return "utf-8"


def _is_utf8(payload: bytes, declared: list[str]) -> bool:
    """Whether more of what is not ASCII is valid UTF-8 than broken, or about as much where UTF-8 is declared.

    Valid pairs of bytes may be text of another charset: a few, or many beside broken ones, are weighed against a
    declared one.
    """
    others = [name for name in declared if name != "utf-8" and not _ONE_BYTE.match(name)]
    text = payload.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    if not (others or bad):
        return True
    good = len(text) - bad - len(text.encode("ascii", "ignore"))
    if others and (bad or good < 8) and _LONGER.search(text) is None:
        return not bad and all(credit(text) >= credit(payload.decode(other, "replace")) for other in others)
    one_place = bad <= 3 and "\ufffd" * bad in text  # a character of four bytes leaves at most three marks
    return good > bad or (one_place and "utf-8" in declared)


def _evidence(payload: bytes) -> bytes:
    found = re.search(rb"[\x80-\xff]", payload)
    start = found.start() if found else 0
    return payload[start : start + _EVIDENCE]


def _most_credible(evidence: bytes, declared: list[str]) -> str:
    characters = (len(evidence) - len(evidence.decode("ascii", "ignore"))) / 2
    detected = _detected(evidence) if characters >= _DETECTABLE else []
    worths: dict[str, float] = {}
    scores: dict[str, float] = {}
    for encoding in (*declared, "utf-8", *detected, "cp1252", "gb18030", "big5hkscs"):
        if encoding not in scores:
            worths[encoding] = credit(evidence.decode(encoding, "replace"))
            scores[encoding] = worths[encoding] * characters + _DETECTED * (encoding in detected)
            if encoding in declared:
                scores[encoding] += _DECLARED_ONE_BYTE if _ONE_BYTE.match(encoding) else _DECLARED
    credible = {e: s for e, s in scores.items() if worths[e] >= (_DECLARED_FLOOR if e in declared else _FLOOR)}
    if not credible:
        raise DecodingError(f"no text in any of {', '.join(scores)}: the best has credit {max(worths.values()):.2f}")
    return max(credible, key=credible.__getitem__)  # the first of equals


def _detected(payload: bytes) -> list[str]:
    from resiliparse.parse.encoding import detect_encoding

    found = codec(detect_encoding(payload, html5_compatible=True))
    return [found] if found and not found.startswith("utf-16") else []


def credit(text: str) -> float:
    """How much a text looks like writing by its characters beyond ASCII: their mean worth, from -1 to 1.

    1 for common ideographs, kana, punctuation of Chinese and lower-case letters with marks; less for Hangul, capitals,
    other scripts, symbols and rare ideographs, which bytes of another charset often turn into; -1 for what no text has.
    """
    beyond = _ASCII.sub(" ", text)
    total = len(beyond) - beyond.count(" ")
    counts = Counter(_MISREAD.sub("", beyond))
    del counts[" "]
    worth = sum(count * _worth(character) for character, count in counts.items())
    return (worth - (total - counts.total())) / max(total, 1)


def _worth(character: str) -> float:
    if character in _COMMON:
        return 1.0
    code = ord(character)
    if character == "\ufffd" or unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs"):
        return -1.0
    if 0x3400 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or code >= 0x20000 or 0xFF61 <= code <= 0xFF9F:
        return _RARE  # half-width katakana too: a byte each in Shift_JIS
    if 0xAC00 <= code <= 0xD7A3:
        return _HALF
    if code <= 0x24F or 0x2010 <= code <= 0x203A or code in (0x20AC, 0x2122):
        return 1.0 if character.islower() or 0x2014 <= code <= 0x2026 else _HALF
    if 0x3000 <= code <= 0x30FF or 0xFF01 <= code <= 0xFF5E:
        return 1.0
    return _OTHER if unicodedata.category(character)[0] in "LM" else 0.0
