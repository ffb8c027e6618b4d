"""Keys stages: what documents have in common, one artefact a key, aligned row for row with its edition.

What reads keys may change its mind, or its documents, without making them again; a later run gathers them too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import pyarrow as pa

from corpus.configuration import Doc, configuration
from corpus.dedup import SCHEMAS, AnyKey, Key, SpanKey
from corpus.measure import MeasureError
from corpus.verdict import Tally, count_ids
from pipelines.engine import roles
from pipelines.engine.identity import UNICODE, StageName
from pipelines.engine.stage import Context, Job, Phase, Program, Totals
from pipelines.engine.store import Attempt, StoreError, sum_tallies
from pipelines.stages.shard import Shard, due_of_edition, shard_phase


@configuration
class KeysStage:
    """What documents may be grouped by; only what some stage reads is made."""

    kind: Literal["keys"] = "keys"
    input: Annotated[StageName, Doc("the edition, with the measures that keys are made of")]
    keys: Annotated[dict[str, AnyKey], Doc("keys by name")]


@dataclass(frozen=True, slots=True)
class OneKey:
    """What a keys stage is made of: the key, and nothing of its neighbours."""

    version: ClassVar[int] = 1
    key: AnyKey


def key_shard(shard: Shard, attempt: Attempt) -> None:
    """The keys of one home shard."""
    key: Key = shard.context.what.key
    schema = SCHEMAS[key.tie]

    def batches() -> Iterator[pa.RecordBatch]:
        for documents in _documents(shard, key):
            rows = key.compute(documents)
            if not rows.schema.equals(schema) or not rows["id"].equals(documents["id"]):
                raise MeasureError(
                    f"key {shard.context.name} returned {rows.num_rows} rows of {rows.schema.names} for "
                    f"{documents.num_rows} documents; as {key.tie!r} it promised {schema.names}, in their order"
                )
            yield rows

    count = count_ids(shard.ids.filter(pa.array(shard.counted)))
    attempt.tally(Tally(came=count, kept=count))
    # Uncompressed: hashes do not shrink.
    attempt.shard(shard.named("keys"), batches(), schema, compressed=False)


def _documents(shard: Shard, key: Key) -> Iterator[pa.RecordBatch]:
    """Ids, the columns and the measured columns that a key is made of, by their names."""
    measured = {name: shard.measured(*_split(name))[_split(name)[1][0]] for name in key.reads()}
    for base, batch in shard.text_batches("id", *key.columns):
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        columns |= {name: column.slice(base, batch.num_rows).combine_chunks() for name, column in measured.items()}
        yield pa.record_batch(columns)


def _split(name: str) -> tuple[str, list[str]]:
    measure, _, column = name.partition(".")
    return measure, [column]


def _keys(job: Job) -> Phase:
    return shard_phase("keys", job[0], key_shard)


def _totals(context: Context) -> Totals:
    commits, edition = context.commits("keys"), context.inputs[roles.EDITION]
    for name, commit in commits.items():
        rows, wanted = commit.files[f"keys-{name}"].rows, edition.files[f"documents-{name}"].rows
        if rows != wanted:
            raise StoreError(f"{context.name}, shard {name}: {rows} rows of keys for {wanted} documents")
    key: Key = context.what.key
    figures: dict[str, object] = {"edition": edition.digest, "tie": key.tie, "reads": list(key.reads())}
    if key.tie == "span":
        spans: SpanKey = context.what.key
        figures |= {"edit": f"{spans.key}@{spans.version}", "reason": spans.reason}
    return Totals(sum_tallies(commits.values()), figures)


PROGRAM = Program("keys", 1, ("pyarrow", "numpy", UNICODE), (_keys,), _totals, due=due_of_edition, makes="keys")
