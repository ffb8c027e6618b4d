"""What a document is: its Arrow schemas and its stable id."""

import contextlib
import hashlib
import re
from typing import Literal
from urllib.parse import quote, urlsplit, urlunsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa

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
sd si sk sl sq sr su sv sw ta te tg th tk tl tr tt ug uk ur uz vi wo xh yi yo za zh zu
chs cht eng zho chi deu fra jpn kor rus spa
"""
_LANGUAGE_CODES = frozenset(_CODES.split())


def _is_language(segment: str) -> bool:
    return bool(_LANGUAGE.fullmatch(segment)) and re.split("[-_]", segment)[0].lower() in _LANGUAGE_CODES


def translation_key(url: str) -> str:
    """A URL without its language: pages that translate each other share it.

    Drops a language segment of the path (`/zh-CN/a` and `/en-US/a`), a language part of the file name
    (`a.zh-cn.html`, `a.html.zh`), and a language label of the host (`zh.example.org`).
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # no URL at all, such as `http://[::1/x`: it translates nothing
        return url
    labels = (parts.hostname or "").split(".")
    host = ".".join(labels[1:] if len(labels) > 2 and _is_language(labels[0]) else labels)
    segments = [segment for segment in parts.path.split("/")[:-1] if not _is_language(segment)]
    name = parts.path.rsplit("/", 1)[-1].split(".")
    if len(name) > 2:
        name = [name[0], *(part for part in name[1:] if not _is_language(part))]
    elif len(name) == 1 and _is_language(name[0]):
        name = [""]
    return urlunsplit(("", host, "/".join([*segments, ".".join(name)]), parts.query, ""))


def byte_sizes(text: pa.Array) -> npt.NDArray[np.int64]:
    """UTF-8 bytes of each text of a large_string array."""
    if len(text) == 0:  # an empty array may have no buffers
        return np.empty(0, np.int64)
    offsets = np.frombuffer(text.buffers()[1], np.int64, len(text) + 1, 8 * text.offset)
    return offsets[1:] - offsets[:-1]
