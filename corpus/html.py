"""What looks like HTML, without parsing it."""

import re

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})

_LOOKS_HTML = re.compile(rb"<\s*(?:!doctype\s+html|html|head|body|title|meta|div|p|h1|table)\b", re.IGNORECASE)
_NEAR = 2048  # bytes searched for a tag


def looks_like_html(payload: bytes) -> bool:
    """Whether bytes of no declared type hold an HTML tag near their start; in UTF-16 a NUL goes with each letter."""
    return _LOOKS_HTML.search(payload[: 2 * _NEAR].replace(b"\0", b"")[:_NEAR]) is not None
