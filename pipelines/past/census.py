"""One pass over the ledger of a finished run: who reached which stage by language, and how long documents are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from corpus.verdict import ReconciliationError
from pipelines.engine.store import Artifact, shard_name
from pipelines.past.history import History, Past
from pipelines.stages.shard import HELD_OUT, TRAIN, Mask

OCTAVES = 32
STEPS = 8  # bins an octave: quantiles to within 9 %


@dataclass(slots=True)
class Lengths:
    """A histogram over log2 of characters, from which quantiles are read."""

    bins: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(OCTAVES * STEPS, np.int64))

    def add(self, characters: npt.NDArray[np.int64]) -> None:
        """Count some documents' lengths in characters."""
        index = (np.log2(np.maximum(characters, 1)) * STEPS).astype(np.int64)
        self.bins += np.bincount(np.minimum(index, len(self.bins) - 1), minlength=len(self.bins))

    def quantile(self, share: float) -> float:
        """Characters below which that share of documents lies, interpolated within its bin."""
        total = int(self.bins.sum())
        if not total:
            return 0.0
        above = np.cumsum(self.bins)
        index = int(np.searchsorted(above, share * total))
        before = int(above[index - 1]) if index else 0
        inside = (share * total - before) / max(int(self.bins[index]), 1)
        return float(2 ** ((index + inside) / STEPS))

    def coarse(self, per_octave: int = 2) -> list[tuple[float, int]]:
        """(lower bound in characters, documents) from the first bin in use to the last."""
        width = STEPS // per_octave
        sums = self.bins.reshape(-1, width).sum(axis=1)
        used = np.flatnonzero(sums)
        if not len(used):
            return []
        return [(float(2 ** (i / per_octave)), int(sums[i])) for i in range(int(used[0]), int(used[-1]) + 1)]


@dataclass(slots=True)
class Reached:
    """Documents of one language that leave a stage, and their UTF-8 bytes where they were measured."""

    documents: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Census:
    """`reached` by stage and language, `lengths` of kept training documents by language, edits by (stage, reason)."""

    reached: dict[str, dict[str, Reached]] = field(default_factory=dict)
    lengths: dict[str, Lengths] = field(default_factory=dict)
    edits: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)  # changes, documents

    def count(self, stage: str, mask: Mask, language: npt.NDArray[Any], sizes: npt.NDArray[np.int64] | None) -> None:
        """Count the documents of a shard that leave a stage."""
        row = self.reached.setdefault(stage, {})
        for name in sorted(set(language[mask].tolist())):
            chosen = mask & (language == name)
            entry = row.setdefault(name, Reached())
            entry.documents += int(chosen.sum())
            entry.bytes += 0 if sizes is None else int(sizes[chosen].sum())


def take_census(history: History) -> Census:
    """Read split, verdicts and the two measures `language` and `length`, a shard at a time.

    Raises ReconciliationError when the ledger's rows and the manifests' tallies disagree.
    """
    census, trunk = Census(), history.trunk
    if trunk.sides is not None and "language" in trunk.measures:
        for name in history.artifact(trunk.sides).names("sides"):
            _shard(history, census, int(name.rpartition("-")[2]))
        _check(history, census)
    for stage in history.of_kind("edit"):
        _edits(stage.name, history.artifact(stage), census)
    return census


def _shard(history: History, census: Census, shard: int) -> None:
    trunk = history.trunk
    sides = _there(trunk.sides)
    side = history.artifact(sides).table(shard_name("sides", shard), ["side"])["side"].to_numpy()
    language = _column(history, "language", "language", shard)
    sizes = _column(history, "length", "bytes", shard) if "length" in trunk.measures else None
    census.count(trunk.editions[-1].name, np.ones(len(side), bool), language, sizes)
    census.count("held_out", side == HELD_OUT, language, sizes)
    kept = side == TRAIN
    census.count(sides.name, kept, language, sizes)
    for stage in trunk.verdicts:
        kept[history.artifact(stage).table(shard_name("verdicts", shard), ["row"])["row"].to_numpy()] = False
        census.count(stage.name, kept, language, sizes)
    if "length" in trunk.measures:
        characters = _column(history, "length", "characters", shard)
        for name in sorted(set(language[kept].tolist())):
            census.lengths.setdefault(name, Lengths()).add(characters[kept & (language == name)])


def _column(history: History, measure: str, column: str, shard: int) -> npt.NDArray[Any]:
    artifact = history.artifact(history.trunk.measures[measure])
    found: npt.NDArray[Any] = artifact.table(shard_name("columns", shard), [column])[column].to_numpy()
    return found


def _there(stage: Past | None) -> Past:
    if stage is None:
        raise ReconciliationError("a run without a split has no census of its sides: run it further")
    return stage


def _check(history: History, census: Census) -> None:
    trunk = history.trunk
    for stage in (_there(trunk.sides), *trunk.verdicts):
        counted = sum(entry.documents for entry in census.reached.get(stage.name, {}).values())
        told = history.artifact(stage).tally.kept.documents
        if counted != told:
            raise ReconciliationError(
                f"stage {stage.name} ({stage.directory}): its ledger's rows leave {counted} documents, its manifest "
                f"says {told}: remove that folder and run again"
            )


def _edits(name: str, artifact: Artifact, census: Census) -> None:
    for shard in artifact.names("edits"):
        table = artifact.table(shard, ["reason", "row"])
        both = table.group_by("reason", use_threads=False).aggregate([("row", "count"), ("row", "count_distinct")])
        for row in both.to_pylist():
            changes, documents = census.edits.get((name, row["reason"]), (0, 0))
            census.edits[name, row["reason"]] = (changes + row["row_count"], documents + row["row_count_distinct"])


def held_out_rules(split: Past) -> Mapping[str, Any]:
    """The fixed rules that held-out documents pass, as configured."""
    rules: Mapping[str, Any] = split.what["rules"]
    return rules
