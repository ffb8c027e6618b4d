"""What may be shown without `--raw`: URLs, keys of records and texts without personal data.

An address or a number in a link is as personal as one in a text. A link is read as prose first, then part by part
between a URL's delimiters, percent-encoding undone: `?tel=13812345678`, `/zhang%40example.com/`. In a part of its own a
number needs no word before it; 11 digits that begin like a Chinese mobile number are hidden even where they are an
article's number, for nothing is lost but a label.
"""

import re
from collections.abc import Sequence

import pyarrow as pa

from corpus.edit import apply_spans
from corpus.identifiers import MAY_HOLD
from corpus.pii import MASKS, Mask, Span, personal_data
from pipelines.past.history import History

# What can hold any (RE2): an @, an escape, 8 digits with at most a few characters between two of them, or what
# corpus/identifiers.py knows.
_MAY_HOLD = "|".join((r"[@＠]|%[0-9A-Fa-f]{2}|(?:[0-9０-９][-. ()+_]{0,2}){8}", *MAY_HOLD.values()))
_PARTS = re.compile(r"[^/?&=#;,|:\s]+")
_UNIT = re.compile(r"(?:%[0-9A-Fa-f]{2})+|.", re.S)
_NUMBER = re.compile(r"(?<![0-9])\+?[0-9]{11,17}[0-9Xx]?(?![0-9])")


def masked(text: str) -> str:
    """The text with every address and number replaced by its mask. Masking twice changes nothing."""
    before = ""
    while text != before:  # a mask may set the next one free
        before = text
        text = _PARTS.sub(lambda part: _masked_part(part.group()), _replaced(text, personal_data(text)))
    return text


def masked_column(values: pa.Array) -> pa.Array:
    """The same for a column of strings."""
    import pyarrow.compute as pc

    suspects = pc.fill_null(pc.match_substring_regex(values, _MAY_HOLD), False)
    if not pc.any(suspects).as_py():
        return values
    some = [masked(value) for value in values.filter(suspects).to_pylist()]
    return pc.replace_with_mask(values, suspects, pa.array(some, values.type))


def unmasked(history: History, shard: int) -> bool:
    """Whether no edit has masked the last edition of a home shard: its texts are restricted."""
    stages = [stage for stage, _ in history.route(shard).editions]
    return not any(edit.get("edit") == "mask" for stage in stages for edit in stage.what.get("edits", {}).values())


def masked_texts(text: pa.Array) -> pa.Array:
    """Texts as the edit `mask` would leave them."""
    return apply_spans(text, Mask().spans(text))


def masked_text(text: str) -> str:
    """One text, likewise."""
    found: str = masked_texts(pa.array([text], pa.large_string()))[0].as_py()
    return found


def _replaced(text: str, found: Sequence[Span]) -> str:
    out, at = [], 0
    for start, stop, kind in found:
        out += [text[at:start], MASKS[kind]]
        at = stop
    return "".join([*out, text[at:]])


def _masked_part(part: str) -> str:
    """One part of a URL: as it reads decoded, then each long number in it by itself."""
    text, starts = _decoded(part)
    found = personal_data(text)
    for match in _NUMBER.finditer(text):
        if not any(start < match.end() and match.start() < stop for start, stop, _ in found):
            found += [(match.start(), match.end(), kind) for _, _, kind in personal_data(match.group())]
    return _replaced(part, [(starts[start], starts[stop], kind) for start, stop, kind in sorted(found)])


def _decoded(part: str) -> tuple[str, list[int]]:
    """A part without its percent-encoding, and where each of its characters begins in the part (and its end)."""
    out, starts = [], []
    for unit in _UNIT.finditer(part):
        text = unit.group()
        if text.startswith("%") and len(text) > 1:
            try:
                text = bytes.fromhex(text.replace("%", "")).decode("utf-8")
            except UnicodeDecodeError:  # not UTF-8: left as it stands
                text = unit.group()
        at, wide = unit.start(), len(unit.group()) > len(text)
        for character in text:
            starts.append(at)
            at += 3 * len(character.encode("utf-8")) if wide else 1
        out.append(text)
    return "".join(out), [*starts, len(part)]
