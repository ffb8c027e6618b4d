"""The edit that makes one spelling of white space, line ends, controls and composed characters.

Full-width and half-width, traditional and simplified stay as they are: which of them to unify is a recipe's choice.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import pyarrow as pa

from corpus.configuration import Doc, configuration
from corpus.edit import spans_from_lists

# Line ends: CR, CR LF, vertical tab, form feed, next line, line and paragraph separator.
_ENDS = "\r\x0b\x0c\x85\u2028\u2029"
_LINE_ENDS = re.compile(f"\r\n|[{_ENDS}]")
# Controls, byte order marks, soft hyphens, zero-width spaces and joiners of words, bidi marks, noncharacters.
# ZWJ and ZWNJ stay: Indic scripts, Persian and emoji need them.
_CONTROLS = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\ufeff\ufff9-\ufffb\ufdd0-\ufdef\ufffe\uffff\U000e0001\U000e0020-\U000e007f"
)
_CONTROL = re.compile(f"[{_CONTROLS}]+")
_ODD_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f"
_ODD_SPACE = re.compile(f"[{_ODD_SPACES}]")
# Runs that may need a change: two or more of white space and controls, one that never stays, or one at an end.
_ALWAYS = f"{_ENDS}{_CONTROLS}{_ODD_SPACES}"
_ANY = f" \t\u3000\n{_ALWAYS}"
_RUN = re.compile(rf"[{_ANY}]{{2,}}|[{_ALWAYS}]|\A[{_ANY}]|[{_ANY}]\Z")
# No character composes across the front of ASCII or of an ideograph: what lies between can be composed alone.
_SEGMENT = re.compile(r"[\x00-\x7f\u4e00-\u9fff]?[^\x00-\x7f\u4e00-\u9fff]+")


@dataclass(frozen=True, slots=True)
class _Change:
    """text[start:stop] becomes new; offsets are characters."""

    start: int
    stop: int
    new: str
    reason: str

    @property
    def shift(self) -> int:
        """How much longer the text becomes."""
        return len(self.new) - (self.stop - self.start)


def _normal_run(run: str, *, first: bool, last: bool) -> str:
    """A maximal run of white space and controls as it should be; first, last: at an end of the text."""
    if last:
        return ""
    run = _CONTROL.sub("", _ODD_SPACE.sub(" ", _LINE_ENDS.sub("\n", run)))
    if "\n" not in run:
        return run
    newlines = "" if first else "\n" * min(run.count("\n"), 2)
    return newlines + run.rpartition("\n")[2]  # an indentation stays


def _reason(run: str) -> str:
    if _CONTROL.search(run):
        return "control"
    return "line_ending" if _LINE_ENDS.search(run) else "whitespace"


def _changed(start: int, old: str, new: str, reason: str) -> _Change:
    """The change of old at start to new, without what both share in front and behind."""
    most = min(len(old), len(new))
    front = next((k for k in range(most) if old[k] != new[k]), most)
    most -= front
    back = next((k for k in range(most) if old[-1 - k] != new[-1 - k]), most)
    return _Change(start + front, start + len(old) - back, new[front : len(new) - back], reason)


def _space_changes(text: str) -> list[_Change]:
    changes = []
    for match in _RUN.finditer(text):
        old = match.group()
        new = _normal_run(old, first=match.start() == 0, last=match.end() == len(text))
        if new != old:
            changes.append(_changed(match.start(), old, new, _reason(old)))
    return changes


def _applied(text: str, changes: list[_Change]) -> str:
    out, cursor = [], 0
    for change in changes:
        out += [text[cursor : change.start], change.new]
        cursor = change.stop
    return "".join([*out, text[cursor:]])


def _composed(text: str, changes: list[_Change]) -> list[_Change]:
    """The changes, joined with those of composing (NFC) what they lead to."""
    middle = _applied(text, changes)
    if unicodedata.is_normalized("NFC", middle):
        return changes
    found = []
    for match in _SEGMENT.finditer(middle):
        old, new = match.group(), unicodedata.normalize("NFC", match.group())
        if new != old:
            found.append(_changed(match.start(), old, new, "nfc"))
    return _joined(changes, middle, found)


def _joined(first: list[_Change], middle: str, second: list[_Change]) -> list[_Change]:
    """Changes of a text (first) and of the middle they lead to (second) as changes of the text; touching ones merge."""
    out: list[_Change] = []
    shift, k = 0, 0  # place in middle minus place in text, after the k changes of `first` passed
    for change in second:
        while k < len(first) and first[k].start + shift + len(first[k].new) < change.start:
            out.append(first[k])
            shift += first[k].shift
            k += 1
        start, low, stop, after = change.start - shift, change.start, change.stop, shift
        while k < len(first) and first[k].start + after <= stop:
            own = first[k].start + after
            start, low = min(start, first[k].start), min(low, own)
            stop = max(stop, own + len(first[k].new))
            after += first[k].shift
            k += 1
        new = middle[low : change.start] + change.new + middle[change.stop : stop]
        out.append(_Change(start, stop - after, new, "nfc"))
        shift = after
    return out + first[k:]


def normalized(text: str) -> str:
    """The text after the edit, computed directly: what applying the spans must give."""

    def new(match: re.Match[str]) -> str:
        return _normal_run(match.group(), first=match.start() == 0, last=match.end() == len(text))

    return unicodedata.normalize("NFC", _RUN.sub(new, text))


@configuration
class Normalize:
    """Unicode NFC, \\n line ends, no controls, no trailing white space, at most one empty line in a row.

    Kept: indentation, tabs, runs of spaces inside a line, the ideographic space, full-width forms.
    """

    version: ClassVar[int] = 1

    edit: Literal["normalize"] = "normalize"
    order: Annotated[int, Doc("place among the edits of its stage, ascending")] = 0

    def spans(self, text: pa.LargeStringArray) -> pa.RecordBatch:
        """SPANS with reasons control, line_ending, whitespace, nfc; a run with several causes names the first."""
        found: list[tuple[int, int, int, str, str]] = []
        for row, value in enumerate(text.to_pylist()):
            cursor, size = 0, 0
            for change in _composed(value, _space_changes(value)) if value else []:
                first = size + len(value[cursor : change.start].encode())
                size = first + len(value[change.start : change.stop].encode())
                cursor = change.stop
                found.append((row, first, size, change.new, change.reason))
        rows, starts, stops, news, reasons = zip(*found, strict=True) if found else ((), (), (), (), ())
        return spans_from_lists(rows, starts, stops, news, reasons)
