"""Edit stage: an edition in, the next edition out, and every change as a byte range with its reason."""

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa

from corpus.configuration import Doc, configuration
from corpus.document import DOCUMENT, byte_sizes
from corpus.edit import EDITS, Edit, apply_spans
from corpus.edits import AnyEdit
from corpus.verdict import Tally, count_ids
from pipelines.engine.identity import UNICODE, StageName
from pipelines.engine.stage import Context, Item, Job, Phase, Program, Sealed
from pipelines.engine.store import sum_tallies
from pipelines.stages.verdicts import due, shard_items


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
    spans: list[pa.Table] = []
    for step, (name, edit) in enumerate(edits):
        found = edit.spans(text)
        rows = found.num_rows
        spans.append(
            pa.table(
                {
                    "row": found["row"],
                    "step": pa.array(np.full(rows, step), pa.uint8()),
                    "edit": pa.array([f"{name}@{edit.version}"] * rows, pa.string()),
                    "start": found["start"],
                    "stop": found["stop"],
                    "replacement": found["replacement"],
                    "reason": found["reason"],
                }
            )
        )
        text = apply_spans(text, found)
    return text, spans


def edit_shard(job: Job, item: Item) -> None:
    """Rewrite one home shard."""
    (context,) = job
    attempt = context.begin("edit", item.name)
    if attempt is None:
        return
    edits = _ordered(context.what)
    changes: list[pa.Table] = []
    name = f"documents-{item.name}"

    def rewritten() -> Iterator[pa.RecordBatch]:
        base = 0
        for batch in context.inputs["edition"].batches(name):
            text, spans = edit_batch(batch["text"], edits)
            changes.extend(_placed(table, batch["id"], base) for table in spans)
            attempt.tally(_tally(batch, text, spans))
            base += batch.num_rows
            yield batch.set_column(batch.schema.get_field_index("text"), DOCUMENT.field("text"), text)

    with attempt:
        attempt.shard(name, rewritten(), DOCUMENT)
        attempt.shard(f"edits-{item.name}", changes, EDITS)


def _placed(spans: pa.Table, ids: pa.Array, base: int) -> pa.Table:
    """Spans of a batch as rows of the shard's EDITS."""
    row = spans["row"].to_numpy().astype(np.int64)
    columns = [ids.take(pa.array(row)), pa.array(row + base, pa.uint32())]
    return pa.table([*columns, *(spans[name] for name in EDITS.names[2:])], schema=EDITS)


def _tally(batch: pa.RecordBatch, text: pa.Array, spans: list[pa.Table]) -> Tally:
    removed: dict[str, int] = {}
    added: dict[str, int] = {}
    for table in spans:
        lengths = (table["stop"].to_numpy() - table["start"].to_numpy()).tolist()
        replacements = [len(r.encode()) for r in table["replacement"].to_pylist()]
        for reason, gone, come in zip(table["reason"].to_pylist(), lengths, replacements, strict=True):
            removed[reason] = removed.get(reason, 0) + gone
            added[reason] = added.get(reason, 0) + come
    count = count_ids(batch["id"])
    return Tally(
        came=count,
        kept=count,
        bytes_in=int(byte_sizes(batch["text"]).sum()),
        bytes_out=int(byte_sizes(text).sum()),
        removed=removed,
        added=added,
    )


def _steps(job: Job) -> Phase:
    return Phase("edit", shard_items(job[0]), edit_shard)


def _seal(context: Context) -> Sealed:
    return Sealed(sum_tallies(context.commits("edit").values()))


PROGRAM = Program("edit", 1, ("pyarrow", UNICODE), (_steps,), _seal, due=due)
