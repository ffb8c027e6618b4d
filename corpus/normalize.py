"""The edit that makes one spelling of white space, line ends, controls and composed characters.

The indentation of Chinese paragraphs (ideographic spaces) goes, that of code stays, but for the text's first line.
Full-width and half-width, traditional and simplified stay as they are: which of them to unify is a recipe's choice.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, ClassVar, Literal

import pyarrow as pa

from corpus.configuration import Doc, configuration
from corpus.edit import spans_from_lists
from corpus.pattern import pattern

# Line ends: CR, CR LF, vertical tab, form feed, next line, line and paragraph separator.
_ENDS = "\r\x0b\x0c\x85\u2028\u2029"
_LINE_ENDS = pattern(f"\r\n|[{_ENDS}]")
# Controls, byte order marks, soft hyphens, zero-width spaces and joiners of words, bidi marks, noncharacters.
# ZWJ and ZWNJ stay: Indic scripts, Persian and emoji need them.
_BASIC_CONTROLS = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\ufeff\ufff9-\ufffb\ufdd0-\ufdef\ufffe\uffff"
)
_PLANES = range(0x10000, 0x110000, 0x10000)
_CONTROLS = f"{_BASIC_CONTROLS}\U000e0001\U000e0020-\U000e007f" + "".join(
    chr(plane + last) for plane in _PLANES for last in (0xFFFE, 0xFFFF)
)
# A terminal's control sequence (ECMA-48, section 5.4) goes whole: its letters are no text without the escape.
_SEQUENCE = r"\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]"
_CONTROL = pattern(f"(?:{_SEQUENCE}|[{_CONTROLS}])+")
_ODD_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f"
_ODD_SPACE = pattern(f"[{_ODD_SPACES}]")
_IDEOGRAPHIC = pattern("\u3000+")
_ALWAYS = f"{_ENDS}{_CONTROLS}{_ODD_SPACES}\u3000"  # never stays
_ANY = f" \t\n{_ALWAYS}"
_UNIT = f"(?:{_SEQUENCE}|[{_ANY}])"
_BLANK = pattern(f"{_UNIT}*")
# Runs that may need a change: two or more of white space and controls, one that never stays, or one at an end.
_RUN = pattern(rf"{_UNIT}{{2,}}|{_SEQUENCE}|[{_ALWAYS}]|\A[{_ANY}]|[{_ANY}]\Z")
# What every text that such a change awaits holds (RE2): asked of whole columns, since most texts hold nothing of it.
_SPACING = r"[ \t]\n|\n\n\n|\A[ \t\n]|[ \t\n]"
_MAY_MARK = "[^\x00-\u02ff\u3400-\u9fff]"  # holds every combining mark, and much else
_UNTIDY = rf"[{_ALWAYS}]|{_SPACING}\z|{_MAY_MARK}{{256}}"
_MANY_MARKS = pattern(f"(?<!{_MAY_MARK}){_MAY_MARK}{{256,}}")
# The same for `re`, which is slow with the few controls beyond U+FFFF: anything there stops the search.
_SUSPECT = pattern(rf"[{_ENDS}{_BASIC_CONTROLS}{_ODD_SPACES}\u3000\U00010000-\U0010ffff]|{_SPACING}\Z")
# No character composes across the front of ASCII or of an ideograph: what lies between can be composed alone.
_SEGMENT = pattern(r"[\x00-\x7f\u4e00-\u9fff]?[^\x00-\x7f\u4e00-\u9fff]+")


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


def _normal_run(run: str, *, end: bool) -> str:
    """A maximal run of white space and controls as it should be; end: it begins or ends the text."""
    if end:
        return ""
    run = _CONTROL.sub("", _ODD_SPACE.sub(" ", _LINE_ENDS.sub("\n", run)))
    if "\n" not in run:
        return _IDEOGRAPHIC.sub(" ", run)
    indentation = _IDEOGRAPHIC.sub("", run.rpartition("\n")[2])
    return "\n" * min(run.count("\n"), 2) + indentation


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


def _untidy_runs(text: str) -> Iterator[tuple[int, int]]:
    """Start and stop of each maximal run of white space and controls that may need a change."""
    at = 0
    while match := _SUSPECT.search(text, at):
        start = match.start()
        blank = _BLANK.match(text, start)
        stop = blank.end() if blank else start
        while start > at and _BLANK.fullmatch(text, start - 1, start):
            start -= 1
        at = max(stop, match.start() + 1)
        if stop > match.start():
            yield start, stop


def _space_changes(text: str) -> list[_Change]:
    changes = []
    for start, stop in _untidy_runs(text):
        old = text[start:stop]
        new = _normal_run(old, end=start == 0 or stop == len(text))
        if new != old:
            changes.append(_changed(start, old, new, _reason(old)))
    return changes


def _applied(text: str, changes: list[_Change]) -> str:
    out, cursor = [], 0
    for change in changes:
        out += [text[cursor : change.start], change.new]
        cursor = change.stop
    return "".join([*out, text[cursor:]])


def _ordered(match: re.Match[str]) -> str:
    """Combining marks in canonical order (Unicode 3.11, D109): a stable sort by class between starters."""
    out: list[str] = []
    for is_mark, group in groupby(match.group(), lambda character: unicodedata.combining(character) > 0):
        characters = list(group)
        out += sorted(characters, key=unicodedata.combining) if is_mark else characters
    return "".join(out)


def _nfc(text: str) -> str:
    """Unicode NFC. The library orders marks by insertion, quadratic in a long run of them: ours come sorted."""
    return unicodedata.normalize("NFC", _MANY_MARKS.sub(_ordered, text))


def _composed(text: str, changes: list[_Change]) -> list[_Change]:
    """The changes, joined with those of composing (NFC) what they lead to."""
    middle = _applied(text, changes)
    if not _MANY_MARKS.search(middle) and unicodedata.is_normalized("NFC", middle):
        return changes
    found = []
    for match in _SEGMENT.finditer(middle):
        old, new = match.group(), _nfc(match.group())
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
        return _normal_run(match.group(), end=match.start() == 0 or match.end() == len(text))

    return _nfc(_RUN.sub(new, text))


@configuration
class Normalize:
    """Unicode NFC, \\n line ends, no controls, no blank at an end of a line or text, at most one empty line in a row.

    Kept: tabs and runs of spaces inside a line, indentation by them, full-width forms.
    """

    version: ClassVar[int] = 1

    edit: Literal["normalize"] = "normalize"
    order: Annotated[int, Doc("place among the edits of its stage, ascending")] = 0

    def spans(self, text: pa.LargeStringArray) -> pa.RecordBatch:
        """SPANS with reasons control, line_ending, whitespace, nfc; a run with several causes names the first."""
        import pyarrow.compute as pc

        found: list[tuple[int, int, int, str, str]] = []
        untidy = pc.match_substring_regex(text, _UNTIDY).to_pylist()
        for row, (value, is_untidy) in enumerate(zip(text.to_pylist(), untidy, strict=True)):
            if value is None or (not is_untidy and unicodedata.is_normalized("NFC", value)):
                continue
            cursor, size = 0, 0
            for change in _composed(value, _space_changes(value) if is_untidy else []):
                first = size + len(value[cursor : change.start].encode())
                size = first + len(value[change.start : change.stop].encode())
                cursor = change.stop
                found.append((row, first, size, change.new, change.reason))
        rows, starts, stops, news, reasons = zip(*found, strict=True) if found else ((), (), (), (), ())
        return spans_from_lists(rows, starts, stops, news, reasons)
