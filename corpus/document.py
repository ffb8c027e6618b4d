"""What a document is: its Arrow schemas and its stable id."""

import contextlib
import hashlib
import re
from typing import Literal
from urllib.parse import quote, urlsplit, urlunsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.buffers import fixed_width

ID = pa.binary(16)

DOCUMENT = pa.schema(
    [
        pa.field("id", ID, nullable=False),
        pa.field("parent", ID),  # the record this one was split from
        pa.field("url", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("record", pa.string()),  # the record's key within its source
        pa.field("declared_language", pa.string()),  # what the publisher says; not trusted
        pa.field("title", pa.string()),
        pa.field("author", pa.string()),  # as the page or the record names them
        pa.field("published", pa.string()),  # the day it says of itself, YYYY-MM-DD
        pa.field("text", pa.large_string(), nullable=False),
    ]
)

_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PATH = "!$&'()*+,;=:@/%"  # RFC 3986, 3.3: what may stand bare in a path, beside the unreserved characters
_QUERY = _PATH + "?"


def tokens_schema(dtype: Literal["uint16", "uint32"]) -> pa.Schema:
    """Token shards: one list a document, ending in EOD, beside its id and its text's UTF-8 bytes."""
    return pa.schema(
        [
            pa.field("id", ID, nullable=False),
            pa.field("bytes", pa.int64(), nullable=False),
            pa.field("tokens", pa.list_(pa.field("item", pa.type_for_alias(dtype), nullable=False)), nullable=False),
        ]
    )


def _normal_escape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16)) if match[1] else "%"
    return character if character in _UNRESERVED else f"%{ord(character):02X}"


def _normal_escapes(part: str, safe: str) -> str:
    """Percent-encoding in one spelling (RFC 3986, 6.2.2): unreserved characters bare, hex in upper case.

    An escaped reserved character is not the bare one, and stays escaped; a stray `%` becomes `%25`.
    """
    escaped = re.sub("%([0-9A-Fa-f]{2})?", _normal_escape, part)
    return quote(escaped, safe=safe, errors="surrogatepass")


def _path(path: str) -> str:
    segments = _normal_escapes(path, _PATH).split("/")
    out: list[str] = []
    for segment in segments:
        if segment == "..":
            if len(out) > 1:
                out.pop()
        elif segment != ".":
            out.append(segment)
    if segments[-1] in (".", ".."):
        out.append("")
    return "/".join(out) or "/"


def canonical_url(url: str) -> str:
    """The one spelling of a URL: lower-case scheme and host (IDNA), no default port, no fragment.

    Query parameters keep their order: servers may read it. User and password are left out.
    Raises ValueError for a URL without scheme or host, or with an impossible port.
    """
    try:
        parts = urlsplit(url.strip())
        number = parts.port
    except ValueError as error:
        raise ValueError(f"url {url!r} is not a URL ({error}): give it as http://host/path") from None
    scheme, host = parts.scheme.lower(), _host(parts.hostname or "")
    if not scheme or not host:
        raise ValueError(f"url {url!r} has no scheme or no host: give it as http://host/path")
    port = "" if number in (None, _DEFAULT_PORTS.get(scheme)) else f":{number}"
    query = _normal_escapes(parts.query, _QUERY)
    return urlunsplit((scheme, host + port, _path(parts.path or "/"), query, ""))


def _host(host: str) -> str:
    """Lower case, IDNA, without the root's dot; what IDNA refuses is escaped as it stands."""
    with contextlib.suppress(UnicodeError):
        host = host.encode("idna").decode("ascii")
    host = quote(host, safe="%:", errors="surrogatepass").lower().rstrip(".")
    return f"[{host}]" if ":" in host else host


def key_prefix(key: str) -> bytes:
    """The first half of an id: SHA-256 of the canonical URL, or of `source:record key`, cut to 8 bytes."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8]


def document_id(key: str, payload: bytes) -> bytes:
    """16 bytes: 8 of SHA-256(key), 8 of SHA-256(payload after transfer and content decoding)."""
    return key_prefix(key) + hashlib.sha256(payload).digest()[:8]


# Two- and three-letter language tags as they stand in paths: zh, zh-CN, zh_Hant, zh-Hans-CN, pt-br, eng.
_LANGUAGE = re.compile(r"(?i)[a-z]{2,3}([-_](hans|hant))?([-_]([a-z]{2}|[0-9]{3}))?")
_CODES = """
aa ab af am ar as az ba be bg bn bo br bs ca cs cy da de dz el en eo es et eu fa fi fo fr fy ga gd gl gu he hi hr hu hy
id is it ja jv ka kk km kn ko ku ky la lb lo lt lv mg mi mk ml mn mr ms mt my nb ne nl nn no oc or pa pl ps pt ro ru sa
sd si sk sl sq sr su sv sw ta te tg th tk tl tr tt ug uk ur uz vi wo xh yi yo yue za zh zu
chs cht eng zho chi deu fra jpn kor rus spa
"""
_LANGUAGE_CODES = frozenset(_CODES.split())
# What Chinese sites call their editions by: a region, a script or a charset.
_EDITION_NAMES = """
cn tw hk mo jp kr sc tc gb b5 gbk gb2312 big5 utf8 utf-8 hans hant schinese tchinese simp trad simplified traditional
chinese english
"""
_EDITIONS = frozenset(_EDITION_NAMES.split())
_PARAMETER_NAMES = "hl lang language lc ln lng locale setlang uselang variant"
_LANGUAGE_PARAMETERS = frozenset(_PARAMETER_NAMES.split())


def _is_language(word: str) -> bool:
    word = word.lower()
    if word in _EDITIONS:
        return True
    return bool(_LANGUAGE.fullmatch(word)) and re.split("[-_]", word)[0] in _LANGUAGE_CODES


def translation_key(url: str) -> str:
    """A URL without its language or edition: pages that translate each other share it.

    Drops a language segment of the path (`/zh-CN/a` and `/en-US/a`, `/big5/a`), a language part of the file name
    (`a.zh-cn.html`, `a.html.zh`, `a_tw.html`), a language label of the host (`zh.example.org`) or its `www`, and a
    parameter such as `lang=zh`. Too much dropped costs little: the split keeps pages together that might stand apart.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # no URL at all, such as `http://[::1/x`: it translates nothing
        return url
    labels = (parts.hostname or "").split(".")
    host = ".".join(labels[1:] if len(labels) > 2 and (labels[0] == "www" or _is_language(labels[0])) else labels)
    segments = [segment for segment in parts.path.split("/")[:-1] if not _is_language(segment)]
    name = _without_language(parts.path.rsplit("/", 1)[-1])
    query = [each for each in parts.query.split("&") if not _names_language(each)]
    return urlunsplit(("", host, "/".join([*segments, name]), "&".join(query), ""))


def _without_language(name: str) -> str:
    """A file name without parts that name a language: after a dot, or at the end of its stem after `_` or `-`."""
    stem, *parts = name.split(".")
    if not parts and _is_language(stem):
        return ""
    if len(parts) > 1:
        parts = [part for part in parts if not _is_language(part)]
    for pieces in (2, 1):  # zh_CN, then zh
        words = re.split("([-_])", stem)
        if len(words) > 2 * pieces and _is_language("".join(words[-2 * pieces + 1 :])):
            stem = "".join(words[: -2 * pieces])
    return ".".join([stem, *parts])


def _names_language(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.lower() in _LANGUAGE_PARAMETERS and _is_language(value)


def raw_ids(ids: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.void]:
    """An id column as V16[n], without a copy where it is one piece."""
    raw: npt.NDArray[np.void] = fixed_width(ids).view("V16").ravel()
    return raw


def byte_sizes(text: pa.Array) -> npt.NDArray[np.int64]:
    """UTF-8 bytes of each text of a large_string array."""
    if len(text) == 0:  # an empty array may have no buffers
        return np.empty(0, np.int64)
    offsets = np.frombuffer(text.buffers()[1], np.int64, len(text) + 1, 8 * text.offset)
    return offsets[1:] - offsets[:-1]
