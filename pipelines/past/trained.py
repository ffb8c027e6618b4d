"""The data order of a finished training run, joined with its journal."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from corpus.document import raw_ids
from corpus.order import Component, Order, Span
from pipelines.engine import roles
from pipelines.engine.store import Artifact
from pipelines.past.history import History, Past
from pretrain.journal import Row, effective, read


@dataclass(frozen=True)
class Training:
    """A run's trajectory as far as this run asked for: journal rows, and the order that gave each step its tokens."""

    history: History
    stage: Past

    @cached_property
    def rows(self) -> list[Row]:
        """The journal up to this run's target, in the order written; a later run may have gone on."""
        found = read(self.stage.directory / "journal.jsonl")
        return [row for row in found if row.step <= int(self.history.record["steps"])]

    @cached_property
    def taken(self) -> dict[int, Row]:
        """The steps that made the weights."""
        return effective(self.rows)

    @cached_property
    def order(self) -> Order:
        """The order of `corpus.order` that the trainer read by."""
        return self._order(components_of(self._tokens()))

    def spans(self, row: Row) -> list[Span]:
        """What a step read."""
        return self.order.spans(row.first_sample, row.last_sample)

    def containing(self, document: bytes) -> Iterator[tuple[Row, Span]]:
        """Where a document was read, step by step."""
        for row in self.taken.values():
            for span in self.spans(row):
                if span.document == document:
                    yield row, span

    def trained(self) -> dict[str, int]:
        """Tokens trained on by component: each sample's targets, which are its spans less the shared first token."""
        figures: Mapping[str, Mapping[str, int]] = self._tokens().figures["components"]
        # Counts depend on weights and totals alone: one document stands for each component, and no shard is read.
        sizes = {
            name: np.array([found["tokens"]] if found["tokens"] else [], np.int64) for name, found in figures.items()
        }
        order = self._order([Component(name, np.zeros(len(size), "V16"), size) for name, size in sizes.items()])
        counts = [0] * len(order.names)
        for first, last in _ranges(self.taken.values()):
            before, after = order.counts(first), order.counts(last)
            counts = [n + end - begin for n, begin, end in zip(counts, before, after, strict=True)]
        return {name: n * order.sequence_length for name, n in zip(order.names, counts, strict=True)}

    def _order(self, components: list[Component]) -> Order:
        what = self.stage.what
        mixture, length, seed = what["mixture"], what["model"]["sequence_length"], what["train"]["data_seed"]
        return Order(components, mixture["weights"], length, seed, mixture["rest"])

    def _tokens(self) -> Artifact:
        return self.history.artifact(self.history.stages[self.stage.inputs[roles.TOKENS]])


def _ranges(rows: Iterable[Row]) -> Iterator[tuple[int, int]]:
    """The samples [first, last) of some steps, those in a row together; between them lie batches passed over."""
    first = last = 0
    for row in rows:
        if row.first_sample != last:
            yield first, last
            first = row.first_sample
        last = row.last_sample
    yield first, last


def training(history: History) -> Training | None:
    """The run's trajectory, if it trained one."""
    stages = history.of_kind("train")
    return Training(history, stages[0]) if stages else None


def untrained(history: History) -> str:
    """What to say of a run without a training step: where it ended, and the way on."""
    last = next(
        (name for name, stage in reversed(history.stages.items()) if stage.kind not in ("train", "evaluate")), ""
    )
    return (
        f"run {history.name} trained no model: it ended at {last}; run its command again with run.until empty and "
        "run.steps above 0, or name a run that trained one with --run"
    )


def components_of(tokens: Artifact) -> list[Component]:
    """Ids and lengths of token shards by component; tokens themselves stay on disk."""
    out = []
    for name in sorted(tokens.figures["components"]):
        ids, lengths = [np.empty(0, "V16")], [np.empty(0, np.int64)]
        for shard in tokens.names(name):
            for batch in tokens.batches(shard, ["id", "tokens"]):
                ids.append(raw_ids(batch["id"]))
                lengths.append(np.diff(batch["tokens"].offsets.to_numpy()).astype(np.int64))
        out.append(Component(name, np.concatenate(ids), np.concatenate(lengths)))
    return out
