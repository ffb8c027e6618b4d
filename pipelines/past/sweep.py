"""A finished sweep: its cells, what came of each, and the rows of its table."""

import json
import statistics
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.engine.files import Posix, StoreWarning
from pipelines.engine.store import Store
from pipelines.past.history import open_run

_BETWEEN = frozenset({"recipe", "rules", "measures", "edits"})  # parts of a key that say nothing of its meaning


@dataclass(frozen=True, slots=True)
class SweepCell:
    """One cell: its run, its values of the swept keys as written, and its figures."""

    run: str
    swept: Mapping[str, str]
    documents: int  # for training
    tokens: Mapping[str, int]  # of the training shards, by component
    tokens_trained: int
    bits_per_byte: Mapping[str, float]
    intervals: Mapping[str, Sequence[float] | None]


@dataclass(frozen=True, slots=True)
class Sweep:
    """An ablation as `<store>/sweeps/<name>/sweep.json` keeps it."""

    name: str
    command: str
    finished: float  # seconds since 1970
    cells: tuple[SweepCell, ...]

    @property
    def keys(self) -> list[str]:
        """The swept keys, in the order given."""
        return list(dict.fromkeys(key for cell in self.cells for key in cell.swept))


@dataclass(frozen=True, slots=True)
class Row:
    """Cells that differ in their seeds alone."""

    swept: Mapping[str, str]  # without the seeds
    cells: tuple[SweepCell, ...]

    @property
    def documents(self) -> int:
        """Training documents, the mean over seeds."""
        return round(statistics.fmean(cell.documents for cell in self.cells))

    def tokens(self, component: str = "") -> int | None:
        """Tokens of the corpus, of one component or of all: the mean over seeds; None where there are none."""
        counts = [sum(n for name, n in cell.tokens.items() if component in ("", name)) for cell in self.cells]
        return round(statistics.fmean(counts)) if any(cell.tokens for cell in self.cells) else None

    def bits_per_byte(self, language: str) -> tuple[float, float | None] | None:
        """Mean over seeds and their sample standard deviation, which one seed alone has not; None if not measured."""
        scores = [cell.bits_per_byte[language] for cell in self.cells if language in cell.bits_per_byte]
        if not scores:
            return None
        return statistics.fmean(scores), statistics.stdev(scores) if len(scores) > 1 else None


def is_seed(key: str) -> bool:
    """Whether a key only draws again what is otherwise the same: `train.seed`, `train.data_seed`."""
    last = key.rpartition(".")[2]
    return last == "seed" or last.endswith("_seed")


def rows(sweep: Sweep) -> list[Row]:
    """The table's rows, in the order of the cells: one for each setting that is no seed."""
    groups: dict[tuple[tuple[str, str], ...], list[SweepCell]] = {}
    for cell in sweep.cells:
        groups.setdefault(tuple((k, v) for k, v in cell.swept.items() if not is_seed(k)), []).append(cell)
    return [Row(dict(swept), tuple(cells)) for swept, cells in groups.items()]


def heads(keys: Sequence[str]) -> dict[str, str]:
    """A short head for each key: `recipe.filter.rules.words.minimum.zh` is `filter.words.minimum.zh`."""
    short = {key: ".".join(part for part in key.split(".") if part not in _BETWEEN) or key for key in keys}
    return {key: head if list(short.values()).count(head) == 1 else key for key, head in short.items()}


def cell_of(root: Path, run: str, swept: Mapping[str, str]) -> SweepCell:
    """A cell from the summary of its run."""
    summary = open_run(root, run).summary
    scores = {k: v for k, v in summary["validation"]["bits_per_byte"].items() if v["model"] is not None}
    return SweepCell(
        run=run,
        swept=dict(swept),
        documents=summary["documents"]["training"],
        tokens=summary["tokens"],
        tokens_trained=sum(summary["tokens_trained"].values()),
        bits_per_byte={language: score["model"] for language, score in scores.items()},
        intervals={language: score["interval"] for language, score in scores.items()},
    )


def keep_sweep(folder: Path, sweep: Sweep) -> None:
    """Write `sweep.json`, whole or not at all."""
    Posix(folder).put("sweep.json", json.dumps(asdict(sweep), indent=1, ensure_ascii=False).encode())


def open_sweeps(root: Path) -> list[Sweep]:
    """Every sweep of a store, newest first; one that cannot be read is passed over, with a warning."""
    out, files = [], Store(root).files
    for name in files.folders("sweeps"):
        key = f"sweeps/{name}/sweep.json"
        if files.head(key) is None:
            continue
        try:
            body: dict[str, Any] = json.loads(files.read(key))
            cells = tuple(SweepCell(**cell) for cell in body.pop("cells"))
            out.append(Sweep(**body, cells=cells))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            warnings.warn(f"sweep {files.local(key)} is passed over ({error!r}): run it again", StoreWarning, 2)
    return sorted(out, key=lambda sweep: -sweep.finished)
