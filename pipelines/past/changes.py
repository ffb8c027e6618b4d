"""Every edit of one document, shown in the text that came of it, so that what a mask hides stays hidden."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.edit import SPANS, apply_spans
from pipelines.engine.store import shard_name
from pipelines.past.history import History, Past
from pipelines.past.lookup import Place
from pipelines.past.masked import unmasked
from pipelines.past.samples import printable, take

CONTEXT = 30  # characters shown on either side of a change


@dataclass(frozen=True, slots=True)
class Change:
    """One span of one edit: byte offsets into the text before its step."""

    stage: str
    step: int
    edit: str
    start: int
    stop: int
    replacement: str
    reason: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A change as the finished text has it, with its surroundings; `before` only when the original may be shown.

    Its own replacement is not shown: a later mask may hide part of it.
    """

    change: Change
    left: str
    now: str
    right: str
    before: str | None


def changes(history: History, stage: Past, place: Place) -> list[Change]:
    """The changes an edit stage made to a document, by step and offset."""
    table = history.artifact(stage).table(shard_name("edits", place.shard))
    rows = table.filter(pc.equal(table["row"], pa.scalar(place.row, pa.uint32()))).to_pylist()
    found = [
        Change(stage.name, r["step"], r["edit"], r["start"], r["stop"], r["replacement"], r["reason"]) for r in rows
    ]
    return sorted(found, key=lambda change: (change.step, change.start))


def moved(offset: int, applied: Sequence[Change]) -> int:
    """Where a byte offset lies once disjoint, sorted changes are applied; inside one, where that one begins."""
    starts = [change.start for change in applied]
    count = bisect_right(starts, offset)
    delta = sum(len(c.replacement.encode()) - (c.stop - c.start) for c in applied[: max(count - 1, 0)])
    if not count:
        return offset
    last = applied[count - 1]
    if offset >= last.stop and offset > last.start:
        return offset + delta + len(last.replacement.encode()) - (last.stop - last.start)
    return last.start + delta


def passes_of(changes: Sequence[Change]) -> list[list[Change]]:
    """Changes by the pass that made them, in order: steps of a stage, stage after stage."""
    keys = list(dict.fromkeys((change.stage, change.step) for change in changes))
    return [[change for change in changes if (change.stage, change.step) == key] for key in keys]


def _around(data: bytes, start: int, stop: int) -> tuple[str, str, str]:
    left = data[max(0, start - 4 * CONTEXT) : start].decode("utf-8", "ignore")[-CONTEXT:]
    right = data[stop : stop + 4 * CONTEXT].decode("utf-8", "ignore")[:CONTEXT]
    now = data[start : min(stop, start + 4 * CONTEXT)].decode("utf-8", "ignore")
    return printable(left), printable(now), printable(right)


def _edits(history: History, stage: Past) -> bool:
    return bool(history.artifact(stage).names("edits"))


def shown(history: History, place: Place, *, raw: bool, limit: int) -> tuple[list[Shown], dict[tuple[str, str], int]]:
    """The first changes of each reason with their surroundings, and how often each (edit, reason) occurs."""
    route = history.route(place.shard)
    edits = [(stage, replace(place, shard=number)) for stage, number in route.editions if _edits(history, stage)]
    passes = passes_of([change for stage, local in edits for change in changes(history, stage, local)])
    counts: dict[tuple[str, str], int] = {}
    final = _text(history, history.lineage.editions[-1], place)
    texts = _texts_before(history, passes, place) if raw else []
    hidden = not raw and unmasked(history, place.shard)  # a cut of the text might halve what a mask would hide
    out: list[Shown] = []
    for index, group in enumerate(passes):
        delta = 0
        for change in group:
            key = (change.edit, change.reason)
            counts[key] = counts.get(key, 0) + 1
            size = len(change.replacement.encode())
            at = change.start + delta
            delta += size - (change.stop - change.start)
            if counts[key] > limit:
                continue
            start, stop = at, at + size
            for later in passes[index + 1 :]:
                start, stop = moved(start, later), moved(stop, later)
            before = texts[index][change.start : change.stop].decode("utf-8", "replace") if raw else None
            around = ("", "", "") if hidden else _around(final, start, max(start, stop))
            out.append(Shown(change, *around, before and printable(before)))
    return out, counts


def _text(history: History, stage: Past, place: Place) -> bytes:
    (document,) = take(history.artifact(stage), shard_name("documents", place.shard), [place.row], ["text"])
    text: str = document["text"]
    return text.encode()


def _texts_before(history: History, passes: Sequence[Sequence[Change]], place: Place) -> list[bytes]:
    """The text before each pass, made again from the first edition: restricted, for --raw only."""
    stage, number = history.route(place.shard).editions[0]
    first = _text(history, stage, replace(place, shard=number))
    text = pa.array([first], pa.large_binary()).cast(pa.large_string())
    out = []
    for group in passes:
        out.append(text[0].as_py().encode())
        columns = [
            pa.array(np.zeros(len(group)), pa.uint32()),
            pa.array([c.start for c in group], pa.int64()),
            pa.array([c.stop for c in group], pa.int64()),
            pa.array([c.replacement for c in group], pa.string()),
            pa.array([c.reason for c in group], pa.string()),
        ]
        text = apply_spans(text, pa.record_batch(columns, schema=SPANS))
    return out
