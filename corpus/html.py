"""HTML bytes to characters, and to the links a crawler follows."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from urllib.parse import urljoin

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# Where a standard label names less than the web puts under it, the superset browsers use
# (WHATWG Encoding Standard, section 4.2), in Python's names.
_SUPERSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "hz": "hz",
    "big5": "big5hkscs",
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "utf-16": "utf-8",  # a page whose declaration could be read as ASCII is not UTF-16
    "utf-16-le": "utf-8",
    "utf-16-be": "utf-8",
}
_ALIASES = {"x-gbk": "gbk", "gb_2312-80": "gb2312", "x-x-big5": "big5", "cn-big5": "big5", "x-sjis": "shift_jis"}
# Python also registers codecs that are no charsets of the web: base64, idna, unicode_escape, utf-7.
_CHARSET = re.compile(
    r"utf-8|utf-16(-[lb]e)?|ascii|cp\d+|iso8859-\d+|koi8-[ru]|mac-\w+|tis-620|gb\w+|hz|big5\w*|euc_\w+|shift_\w+|iso2022_jp\w*"
)
_META = re.compile(rb"""<meta[^>]{0,512}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.\-]{2,40})""", re.IGNORECASE)
_XML = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9_:.\-]{2,40})""")
_LOOKS_HTML = re.compile(rb"<\s*(?:!doctype\s+html|html|head|body|title|meta|div|p|h1|table)\b", re.IGNORECASE)
_PRESCAN = 2048  # bytes searched for a declaration; HTML asks for 1024, real pages put scripts before it

# Links are found without a DOM: registering its nodes costs Python ten times as much as these patterns. An
# unclosed comment or script reaches to the end, as in a browser; it also keeps hostile pages linear.
_HIDDEN = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_ANCHOR = re.compile(r"<(?:a|area)\s([^<>]{1,8192})>", re.IGNORECASE)
_BASE = re.compile(r"""<base\s[^>]{0,200}?href\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)""", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""(href|rel)\s*=\s*("[^"]*"|'[^']*'|[^\s"']+)""", re.IGNORECASE)
_SKIPPED_SCHEMES = ("javascript:", "mailto:", "tel:", "data:", "about:", "ftp:", "file:", "#")


class DecodingError(ValueError):
    """Bytes that are no text in any encoding declared or detected."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text and the encoding it was read in; `replaced` is the share of characters that became U+FFFD."""

    text: str
    encoding: str
    replaced: float = 0.0


def looks_like_html(payload: bytes) -> bool:
    """Whether bytes of no declared type hold an HTML tag near their start."""
    return _LOOKS_HTML.search(payload[:_PRESCAN]) is not None


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


def _detected(payload: bytes) -> str | None:
    from resiliparse.parse.encoding import detect_encoding

    return codec(detect_encoding(payload, html5_compatible=True))


def _strict(payload: bytes, encoding: str) -> str | None:
    try:
        return payload.decode(encoding)
    except UnicodeError:
        return None


def _candidates(payload: bytes, header: str | None) -> Iterator[str]:
    declared = codec(header) or codec(declared_charset(payload))
    # A one-byte label decodes anything: servers send ISO-8859-1 by default over UTF-8 pages.
    if declared is None or declared.startswith("cp125"):
        yield "utf-8"
    if declared is not None:
        yield declared
    yield "utf-8"
    detected = _detected(payload)
    if detected is not None:
        yield detected


def decode(payload: bytes, header: str | None = None, max_replaced: float = 0.01) -> Decoded:
    """Text of a page: byte order mark, HTTP header, meta tag, then detection; a strict reading goes first.

    Raises DecodingError when the best reading replaces more than `max_replaced` of the characters.
    """
    for bom, encoding in _BOMS:
        if payload.startswith(bom):
            return _lossy(payload[len(bom) :], [encoding], max_replaced)
    tried: list[str] = []
    for encoding in _candidates(payload, header):
        if encoding in tried:
            continue
        tried.append(encoding)
        text = _strict(payload, encoding)
        if text is not None:
            return Decoded(text, encoding)
    return _lossy(payload, tried, max_replaced)


def _lossy(payload: bytes, encodings: list[str], max_replaced: float) -> Decoded:
    best: Decoded | None = None
    for encoding in encodings:
        text = payload.decode(encoding, "replace")
        share = text.count("�") / max(len(text), 1)
        if best is None or share < best.replaced:
            best = Decoded(text, encoding, share)
    if best is None or best.replaced > max_replaced:
        share = 1.0 if best is None else best.replaced
        raise DecodingError(f"{share:.1%} of the characters unreadable in the best of {', '.join(encodings)}")
    return best


def links(html: str, url: str) -> list[str]:
    """Absolute targets of a page's `a` and `area` elements, each once, in order of appearance.

    Honours `<base href>`; drops fragments, `rel=nofollow` and schemes other than http(s). Malformed targets
    are returned as written: the crawler counts them.
    """
    found = _BASE.search(html)
    base = _joined(url, unescape(_value(found.group(1)))) if found else url
    targets: dict[str, None] = {}
    for anchor in _ANCHOR.finditer(_HIDDEN.sub("", html)):
        attributes = {name.lower(): _value(value) for name, value in _ATTRIBUTE.findall(anchor.group(1))}
        href = unescape(attributes.get("href", "")).strip()
        if not href or href.lower().startswith(_SKIPPED_SCHEMES) or "nofollow" in attributes.get("rel", "").lower():
            continue
        targets[_joined(base, href).partition("#")[0]] = None
    return list(targets)


def _value(quoted: str) -> str:
    return quoted[1:-1] if quoted[:1] in ("'", '"') and quoted[-1:] == quoted[:1] else quoted


def _joined(base: str, href: str) -> str:
    try:
        return urljoin(base, href)
    except ValueError:  # an unclosed IPv6 bracket and the like
        return href
