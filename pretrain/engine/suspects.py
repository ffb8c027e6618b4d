"""Which documents of a batch that was not taken are to blame."""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpus.order import Span
from pretrain.engine.spikes import LEAST_LOSS, NORMAL
from pretrain.journal import JournalError, Row

QUARANTINE = "quarantine.jsonl"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A document whose tokens are harder than the run's by more than chance, as the last good weights see them."""

    document: str  # id, hex
    source: str
    nats: float  # a token, in this batch
    tokens: int  # in this batch
    deviations: float


def suspects(
    spans: Sequence[Span], nats: npt.NDArray[np.float32], usual: float | None, threshold: float, least: int = 1
) -> list[Suspect]:
    """Documents of `spans` by how far their mean stands above the usual loss, worst first; all beyond the threshold,
    or the `least` worst. `nats` [samples, sequence] are those of the spans' samples, in order.

    The mean of n tokens varies by 1 / sqrt(n). Its spread is taken from the documents below the usual loss, which
    poisoned ones cannot widen.
    """
    sums: dict[tuple[bytes, str], list[float]] = {}
    at: dict[int, int] = {}
    first = min((span.sample for span in spans), default=0)
    for span in spans:
        begin = at.get(span.sample, 0)
        end = at[span.sample] = begin + span.stop - span.start
        targets = nats[span.sample - first, max(begin, 1) - 1 : end - 1].astype(np.float64)
        if len(targets):
            entry = sums.setdefault((bytes(span.document), span.source), [0.0, 0])
            entry[0], entry[1] = entry[0] + float(targets.sum()), entry[1] + len(targets)
    found = {key: (total / count, int(count)) for key, (total, count) in sums.items()}
    finite = [mean for mean, _ in found.values() if math.isfinite(mean)]
    middle = usual if usual is not None else float(np.median(finite)) if finite else 0.0
    below = [(middle - mean) * math.sqrt(count) for mean, count in found.values() if mean <= middle]
    spread = max(NORMAL * float(np.median(below)) if below else 0.0, LEAST_LOSS * math.sqrt(nats.shape[1]))
    listed = [
        Suspect(document.hex(), source, mean, count, _deviations(mean - middle, count, spread))
        for (document, source), (mean, count) in found.items()
    ]
    listed.sort(key=lambda each: (-each.deviations, each.document))
    return [each for each in listed if each.deviations > threshold] or listed[:least]


def _deviations(excess: float, count: int, spread: float) -> float:
    return excess * math.sqrt(count) / spread if math.isfinite(excess) else math.inf


def quarantine(path: Path, row: Row, found: Sequence[Suspect]) -> None:
    """Append the suspects of a batch, a JSON object each. Raises JournalError where the disk does not take them."""
    why = {"step": row.step, "attempt": row.attempt, "first_sample": row.first_sample, "last_sample": row.last_sample}
    lines = [json.dumps({**asdict(each), **why, "reason": row.reason}, ensure_ascii=False) for each in found]
    try:
        with path.open("ab") as file:
            file.write("".join(f"{line}\n" for line in lines).encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise JournalError(f"cannot write {path}: {error}: make room and run again") from error
