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

Sizes = npt.NDArray[np.int64] | None  # UTF-8 bytes of each document, where they were measured
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
    """`reached` by stage and language, `lengths` of kept training documents by language, edits by (stage, reason).

    `sources`: documents extracted, in training and held out, by source.
    """

    reached: dict[str, dict[str, Reached]] = field(default_factory=dict)
    sources: dict[str, dict[str, Reached]] = field(default_factory=dict)
    lengths: dict[str, Lengths] = field(default_factory=dict)
    edits: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)  # changes, documents

    def count(self, stage: str, mask: Mask, language: npt.NDArray[Any], sizes: Sizes) -> None:
        """Count the documents of a shard that leave a stage."""
        _count(self.reached.setdefault(stage, {}), mask, language, sizes)

    def count_sources(self, fate: str, mask: Mask, source: npt.NDArray[Any], sizes: Sizes) -> None:
        """Count the documents of a shard that share a fate, by their source."""
        _count(self.sources.setdefault(fate, {}), mask, source, sizes)


def _count(row: dict[str, Reached], mask: Mask, names: npt.NDArray[Any], sizes: Sizes) -> None:
    for name in sorted(set(names[mask].tolist())):
        chosen = mask & (names == name)
        entry = row.setdefault(name, Reached())
        entry.documents += int(chosen.sum())
        entry.bytes += 0 if sizes is None else int(sizes[chosen].sum())


def take_census(history: History) -> Census:
    """Read sides, verdicts, sources and the two measures `language` and `length`, a shard at a time.

    Raises ReconciliationError when the ledger's rows and the manifests' tallies disagree.
    """
    census, lineage = Census(), history.lineage
    if lineage.editions and "language" in lineage.measures:
        for name in history.artifact(lineage.editions[-1]).names("documents"):
            _shard(history, census, int(name.rpartition("-")[2]))
        _check(history, census)
    for stage in history.making("edition"):
        _edits(stage.name, history.artifact(stage), census)
    return census


def _shard(history: History, census: Census, shard: int) -> None:
    lineage = history.lineage
    edition = history.artifact(lineage.editions[-1])
    source = edition.table(shard_name("documents", shard), ["source"])["source"].to_numpy(zero_copy_only=False)
    side = np.zeros(len(source), np.uint8)
    if lineage.sides is not None:
        side = history.artifact(lineage.sides).table(shard_name("sides", shard), ["side"])["side"].to_numpy()
    language = _column(history, "language", "language", shard)
    sizes = _column(history, "length", "bytes", shard) if "length" in lineage.measures else None
    census.count(lineage.editions[-1].name, np.ones(len(side), bool), language, sizes)
    if lineage.split is not None:
        census.count("held_out", side == HELD_OUT, language, sizes)
        census.count_sources("held_out", side == HELD_OUT, source, sizes)
    kept = side == TRAIN
    if lineage.sides is not None:
        census.count(lineage.sides.name, kept, language, sizes)
    for stage in lineage.verdicts:
        kept[history.artifact(stage).table(shard_name("verdicts", shard), ["row"])["row"].to_numpy()] = False
        census.count(stage.name, kept, language, sizes)
    census.count_sources("extracted", np.ones(len(side), bool), source, sizes)
    census.count_sources("training", kept, source, sizes)
    if "length" in lineage.measures:
        characters = _column(history, "length", "characters", shard)
        for name in sorted(set(language[kept].tolist())):
            census.lengths.setdefault(name, Lengths()).add(characters[kept & (language == name)])


def _column(history: History, measure: str, column: str, shard: int) -> npt.NDArray[Any]:
    artifact = history.artifact(history.lineage.measures[measure])
    found: npt.NDArray[Any] = artifact.table(shard_name("columns", shard), [column])[column].to_numpy()
    return found


def _check(history: History, census: Census) -> None:
    lineage = history.lineage
    for stage in (*((lineage.sides,) if lineage.sides else ()), *lineage.verdicts):
        counted = sum(entry.documents for entry in census.reached.get(stage.name, {}).values())
        kept = history.artifact(stage).tally.kept.documents
        if counted != kept:
            raise ReconciliationError(
                f"stage {stage.name} ({stage.directory}): its ledger's rows leave {counted} documents, its manifest "
                f"says {kept}: remove that folder and run again"
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
