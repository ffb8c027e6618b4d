"""HTML without a DOM: what looks like it, and the links a crawler follows."""

import re
from html import unescape
from urllib.parse import urljoin

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})

_LOOKS_HTML = re.compile(rb"<\s*(?:!doctype\s+html|html|head|body|title|meta|div|p|h1|table)\b", re.IGNORECASE)
_NEAR = 2048  # bytes searched for a tag

# Links are found without a DOM: registering its nodes costs Python ten times as much as these patterns. An
# unclosed comment or script reaches to the end, as in a browser; it also keeps hostile pages linear.
_HIDDEN = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_ANCHOR = re.compile(r"<(?:a|area)\s([^<>]{1,8192})>", re.IGNORECASE)
_BASE = re.compile(r"""<base\s[^>]{0,200}?href\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)""", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""(href|rel)\s*=\s*("[^"]*"|'[^']*'|[^\s"']+)""", re.IGNORECASE)
_SKIPPED_SCHEMES = ("javascript:", "mailto:", "tel:", "data:", "about:", "ftp:", "file:", "#")


def looks_like_html(payload: bytes) -> bool:
    """Whether bytes of no declared type hold an HTML tag near their start; in UTF-16 a NUL goes with each letter."""
    return _LOOKS_HTML.search(payload[: 2 * _NEAR].replace(b"\0", b"")[:_NEAR]) is not None


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
