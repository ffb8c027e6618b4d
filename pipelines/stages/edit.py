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
from pipelines.engine.stage import Context, Job, Phase, Program, Sealed
from pipelines.engine.store import Attempt, sum_tallies
from pipelines.stages.shard import Shard, due, shard_phase


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


def edit_shard(shard: Shard, attempt: Attempt) -> None:
    """Rewrite one home shard."""
    edits = _ordered(shard.context.what)
    changes: list[pa.Table] = []

    def rewritten() -> Iterator[pa.RecordBatch]:
        for base, batch in shard.text_batches(*DOCUMENT.names):
            text, spans = edit_batch(batch["text"], edits)
            changes.extend(_placed(table, batch["id"], base) for table in spans)
            attempt.tally(_tally(batch, text, spans))
            yield batch.set_column(batch.schema.get_field_index("text"), DOCUMENT.field("text"), text)

    attempt.shard(shard.named("documents"), rewritten(), DOCUMENT)
    attempt.shard(shard.named("edits"), changes, EDITS)


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


def _edit(job: Job) -> Phase:
    return shard_phase("edit", job[0], edit_shard)


def _seal(context: Context) -> Sealed:
    return Sealed(sum_tallies(context.commits("edit").values()))


PROGRAM = Program("edit", 1, ("pyarrow", UNICODE), (_edit,), _seal, due=due, makes="edition")
