"""Dedupe spans stage: stretches of text that a document before them has are cut out, an edit that needs the whole
corpus."""

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa

from corpus.configuration import Doc, configuration
from corpus.edit import SPANS, apply_spans
from pipelines.engine.identity import StageName
from pipelines.engine.stage import Context, Job, Phase, Program, Totals
from pipelines.engine.store import Attempt, sum_tallies
from pipelines.stages.edit import as_step, write_edition
from pipelines.stages.grouping import spans
from pipelines.stages.grouping.homes import keys_of
from pipelines.stages.shard import Shard, due_of_edition, shard_phase


@configuration
class DedupeSpansStage:
    """Of each stretch of text that documents share, the first in the document of the smallest id stays.

    Documents that did not come in are neither changed nor a reason to change others.
    """

    kind: Literal["dedupe_spans"] = "dedupe_spans"
    input: Annotated[StageName, Doc("the stage whose kept documents are compared")]
    key: Annotated[str, Doc("the key of spans, such as paragraphs")]


def cut_shard(shard: Shard, attempt: Attempt) -> None:
    """Rewrite one home shard without what repeats."""
    (key,) = keys_of(shard.context).values()
    edit, reason = key.figures["edit"], key.figures["reason"]
    table = spans.repeats(shard)
    rows = table["row"].to_numpy()

    def cut(base: int, batch: pa.RecordBatch) -> tuple[pa.Array, list[pa.Table]]:
        first, stop = np.searchsorted(rows, (base, base + batch.num_rows))
        part = table.slice(first, stop - first)
        row = pa.array(rows[first:stop] - base, pa.uint32())
        empty, why = (pa.array([word] * len(row), pa.string()) for word in ("", reason))
        columns = [row, *(part[name].combine_chunks() for name in ("start", "stop")), empty, why]
        found = pa.record_batch(columns, schema=SPANS)
        return apply_spans(batch["text"], found), [as_step(0, edit, found)]

    write_edition(shard, attempt, cut)


def _phases(job: Job) -> Iterator[Phase]:
    yield from spans.phases(job)
    yield shard_phase("edit", job[0], cut_shard)


def _totals(context: Context) -> Totals:
    return Totals(sum_tallies(context.commits("edit").values()))


PROGRAM = Program("dedupe_spans", 1, ("pyarrow", "numpy"), (), _totals, _phases, due=due_of_edition, makes="edition")
