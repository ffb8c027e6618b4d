"""Edit stage: an edition in, the next edition out, and every change as a byte range with its reason."""

from collections.abc import Callable, Iterator
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa

from corpus.configuration import Doc, configuration
from corpus.document import DOCUMENT, byte_sizes
from corpus.edit import EDITS, Edit, apply_spans
from corpus.edits import AnyEdit
from corpus.verdict import Tally, count_ids
from pipelines.engine.identity import UNICODE, StageName
from pipelines.engine.stage import Context, Job, Phase, Program, Totals
from pipelines.engine.store import Attempt, sum_tallies
from pipelines.stages.shard import Mask, Shard, due_of_edition, shard_phase


@configuration
class EditStage:
    """Text is changed here and nowhere else."""

    kind: Literal["edit"] = "edit"
    input: Annotated[StageName, Doc("the edition to change")]
    edits: Annotated[dict[str, AnyEdit], Doc("edits by name, applied by their `order`")]


def _ordered(what: EditStage) -> list[tuple[str, Edit]]:
    edits: list[tuple[str, Edit]] = list(what.edits.items())
    return sorted(edits, key=lambda pair: (pair[1].order, pair[0]))


def edit_batch(text: pa.Array, edits: list[tuple[str, Edit]]) -> tuple[pa.Array, list[pa.Table]]:
    """Apply edits in turn; the spans of each are offsets into the text it was given."""
    steps: list[pa.Table] = []
    for step, (name, edit) in enumerate(edits):
        spans = edit.spans(text)
        steps.append(as_step(step, f"{name}@{edit.version}", spans))
        text = apply_spans(text, spans)
    return text, steps


def as_step(step: int, edit: str, spans: pa.RecordBatch) -> pa.Table:
    """SPANS of a batch as one of the steps that made its new text; `edit` is name@version."""
    count = spans.num_rows
    columns = {
        "row": spans["row"],
        "step": pa.array(np.full(count, step), pa.uint8()),
        "edit": pa.array([edit] * count, pa.string()),
    }
    return pa.table(columns | {name: spans[name] for name in ("start", "stop", "replacement", "reason")})


def edit_shard(shard: Shard, attempt: Attempt) -> None:
    """Rewrite one home shard."""
    edits = _ordered(shard.context.what)
    write_edition(shard, attempt, lambda base, batch: edit_batch(batch["text"], edits))


Rewrite = Callable[[int, pa.RecordBatch], tuple[pa.Array, list[pa.Table]]]


def write_edition(shard: Shard, attempt: Attempt, rewrite: Rewrite) -> None:
    """Write a home shard's next edition, and every change. `rewrite` is given a batch of documents and its first row;
    it returns their texts and the steps that made them.

    Documents that a union has dropped keep their rows; they are not counted.
    """
    changes: list[pa.Table] = []

    def rewritten() -> Iterator[pa.RecordBatch]:
        for base, batch in shard.text_batches(*DOCUMENT.names):
            text, steps = rewrite(base, batch)
            changes.extend(_placed(table, batch["id"], base) for table in steps)
            attempt.tally(_tally(batch, shard.counted[base : base + batch.num_rows], text, steps))
            yield batch.set_column(batch.schema.get_field_index("text"), DOCUMENT.field("text"), text)

    attempt.shard(shard.named("documents"), rewritten(), DOCUMENT)
    attempt.shard(shard.named("edits"), changes, EDITS)


def _placed(spans: pa.Table, ids: pa.Array, base: int) -> pa.Table:
    """Spans of a batch as rows of the shard's EDITS."""
    row = spans["row"].to_numpy().astype(np.int64)
    columns = [ids.take(pa.array(row)), pa.array(row + base, pa.uint32())]
    return pa.table([*columns, *(spans[name] for name in EDITS.names[2:])], schema=EDITS)


def _tally(batch: pa.RecordBatch, counted: Mask, text: pa.Array, spans: list[pa.Table]) -> Tally:
    removed: dict[str, int] = {}
    added: dict[str, int] = {}
    for table in spans:
        lengths = (table["stop"].to_numpy() - table["start"].to_numpy()).tolist()
        replacements = [len(r.encode()) for r in table["replacement"].to_pylist()]
        for reason, gone, come in zip(table["reason"].to_pylist(), lengths, replacements, strict=True):
            removed[reason] = removed.get(reason, 0) + gone
            added[reason] = added.get(reason, 0) + come
    count = count_ids(batch["id"].filter(pa.array(counted)))
    return Tally(
        came=count,
        kept=count,
        bytes_in=int(byte_sizes(batch["text"]).sum()),
        bytes_out=int(byte_sizes(text).sum()),
        removed=removed,
        added=added,
    )


def _edit(job: Job) -> Phase:
    return shard_phase("edit", job[0], edit_shard)


def _totals(context: Context) -> Totals:
    return Totals(sum_tallies(context.commits("edit").values()))


PROGRAM = Program("edit", 1, ("pyarrow", UNICODE), (_edit,), _totals, due=due_of_edition, makes="edition")
