"""Tokenizer stage: a byte-level BPE from a hash sample of training-side documents, before any filter.

So a sweep over filters or dedup leaves the tokenizer, and with it every bits-per-byte figure, comparable.
"""

import hashlib
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from corpus.configuration import Doc, FileRef, configuration
from corpus.tokenize import Encoder, TokenizerError, train_bpe
from corpus.verdict import Tally
from pipelines.engine.identity import StageName
from pipelines.engine.stage import Context, Item, Job, Phase, Program, Totals, Work
from pipelines.engine.store import Attempt
from pipelines.stages.shard import Shard, shard_phase, text_bytes

SAMPLE = pa.schema([pa.field("id", pa.binary(16), nullable=False), pa.field("text", pa.large_string(), nullable=False)])


@configuration
class TokenizerStage:
    """Byte-level BPE over a sample of the split's training side, or one that is there already."""

    kind: Literal["tokenizer"] = "tokenizer"
    input: Annotated[StageName, Doc("the split whose training side is sampled")]
    vocabulary: Annotated[int, Field(ge=257), Doc("tokens, the 256 bytes and end-of-document among them")] = 8192
    file: Annotated[
        FileRef | None, Doc("a tokenizer.json of `vocabulary` tokens that is used as it is; null: one is trained")
    ] = None
    languages: Annotated[list[str], Doc("documents of these languages are sampled; empty: all")] = Field(
        default_factory=list
    )
    sample: Annotated[float, Field(gt=0, le=1), Doc("share of documents sampled, by hash of the id")] = 1.0
    max_bytes: Annotated[
        int, Field(ge=1), Doc("`sample` shrinks on corpora beyond this; BPE training takes 25 times its sample")
    ] = 16 << 20
    salt: Annotated[str, Doc("another salt draws another sample")] = "tokenizer"


def sample_shard(shard: Shard, attempt: Attempt) -> None:
    """The sampled documents of one home shard."""
    what: TokenizerStage = shard.context.what
    limit = int(min(what.sample, what.max_bytes / max(text_bytes(shard.edition), 1)) * 2**64)
    chosen = shard.came_in()
    if what.languages:
        chosen &= np.isin(shard.measured("language", ["language"])["language"].to_numpy(), what.languages)

    def drawn() -> Iterator[pa.RecordBatch]:
        for base, batch in shard.text_batches("id", "text"):
            mask = chosen[base : base + batch.num_rows].copy()
            for row, identifier in enumerate(batch["id"].to_pylist()):
                draw = hashlib.sha256(what.salt.encode() + identifier).digest()[:8]
                mask[row] &= int.from_bytes(draw, "big") < limit
            yield batch.filter(pa.array(mask))

    attempt.shard(shard.named("sample"), drawn(), SAMPLE)


def train(work: Work, attempt: Attempt) -> None:
    """Train on the sample, shards and rows in id order; or take the file. Raises TokenizerError."""
    context = work.context
    path = attempt.path("tokenizer", ".json")

    def texts() -> Iterator[str]:
        for path in context.paths("sample"):
            for batch in pa.ipc.open_file(pa.memory_map(str(path))).read_all().to_batches():
                yield from batch["text"].to_pylist()

    what: TokenizerStage = context.what
    path.write_bytes(what.file.resolve().read_bytes() if what.file else train_bpe(texts(), what.vocabulary))
    if what.file and (found := Encoder(path).vocabulary) != what.vocabulary:
        raise TokenizerError(
            f"recipe.{context.name}.vocabulary={what.vocabulary}, but {what.file} has {found} tokens: set it to that"
        )
    attempt.add("tokenizer", path, context.what.vocabulary)


def _sample(job: Job) -> Phase:
    if job[0].what.file:
        return Phase("sample", [], sample_shard, scratch=True)
    return shard_phase("sample", job[0], sample_shard, scratch=True)


def _train(job: Job) -> Phase:
    return Phase("train", [Item("tokenizer")], train)


def _totals(context: Context) -> Totals:
    commits = context.commits("sample").values()
    documents = sum(entry.rows for commit in commits for entry in commit.files.values())
    return Totals(Tally(), {"documents": documents})


PROGRAM = Program("tokenizer", 1, ("pyarrow", "tokenizers"), (_sample, _train), _totals)
