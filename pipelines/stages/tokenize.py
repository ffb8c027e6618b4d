"""Tokenize stage: the only one that reads text and verdicts together; writes token shards by language."""

from typing import Annotated, Literal

import numpy as np
import pyarrow as pa

from corpus.configuration import Doc, configuration
from corpus.document import byte_sizes, tokens_schema
from corpus.tokenize import Encoder
from corpus.verdict import Tally, count_ids
from pipelines.engine import roles
from pipelines.engine.identity import StageName
from pipelines.engine.stage import Context, Job, Phase, Program, Totals
from pipelines.engine.store import Attempt, sum_tallies
from pipelines.stages.shard import HELD_OUT, TRAIN, Shard, due, shard_phase, verdict_inputs


@configuration
class TokenizeStage:
    """Documents of one side become tokens, each document ending in end-of-document."""

    kind: Literal["tokenize"] = "tokenize"
    input: Annotated[StageName, Doc("the stage whose kept documents are tokenized")]
    tokenizer: Annotated[StageName, Doc("the tokenizer stage")]
    side: Annotated[Literal["train", "held_out"], Doc("side of the split")] = "train"
    components: Annotated[
        Literal["language", "source", "both"], Doc("what a component of the mixture is; both: `source.language`")
    ] = "language"


def tokenize_shard(shard: Shard, attempt: Attempt) -> None:
    """Tokens of one home shard, one file a component."""
    what: TokenizeStage = shard.context.what
    encoder = Encoder(shard.context.inputs[roles.TOKENIZER].path("tokenizer"))
    schema = tokens_schema(encoder.dtype)
    chosen = shard.came_in(TRAIN if what.side == "train" else HELD_OUT)
    language = None
    if what.components != "source":
        language = shard.measured("language", ["language"])["language"].to_numpy(zero_copy_only=False)
    tokens: dict[str, list[pa.RecordBatch]] = {}
    for base, batch in shard.text_batches("id", "source", "text"):
        here = slice(base, base + batch.num_rows)
        names = batch["source"].to_numpy(zero_copy_only=False)
        if language is not None:
            names = language[here] if what.components == "language" else names + "." + language[here]
        for name in np.unique(names[chosen[here]]).tolist():
            part = batch.filter(pa.array(chosen[here] & (names == name)))
            columns = [part["id"], pa.array(byte_sizes(part["text"]), pa.int64()), encoder.encode(part["text"])]
            tokens.setdefault(name, []).append(pa.record_batch(columns, schema))
            count = count_ids(part["id"])
            attempt.tally(Tally(came=count, kept=count))
    for name, batches in sorted(tokens.items()):
        attempt.shard(shard.named(name), batches, schema, compressed=False)
        size = sum(int(batch["bytes"].to_numpy().sum()) for batch in batches)
        attempt.figure(name, [sum(len(batch["tokens"].flatten()) for batch in batches), size])


def _tokenize(job: Job) -> Phase:
    return shard_phase("tokenize", job[0], tokenize_shard)


class NothingLeftError(ValueError):
    """No document to train on: names the stage, what dropped them, and the way out."""


def _nothing_left(context: Context) -> str:
    """Which reasons took the documents, most first."""
    sides = [context.inputs[roles.SIDES]] if roles.SIDES in context.inputs else []
    counts: dict[str, int] = {}
    for artifact in (*sides, *verdict_inputs(context)):
        for reason, count in artifact.tally.dropped.items():
            counts[reason] = counts.get(reason, 0) + count.documents
    largest = ", ".join(f"{name} {n:,}" for name, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:6])
    what = context.what
    return (
        f"recipe.{context.name}: no document is left to train on; dropped before: {largest or 'none'}. Loosen these "
        f"rules, or run with run.until={what.input} and ask `siku explain --rule NAME` how near the thresholds were"
    )


def _totals(context: Context) -> Totals:
    commits = context.commits("tokenize").values()
    if context.what.side == "train" and not any(commit.figures for commit in commits):
        raise NothingLeftError(_nothing_left(context))
    names = sorted({name for commit in commits for name in commit.figures})
    components = {
        name: {
            "documents": sum(e.rows for c in commits for n, e in c.files.items() if n.rpartition("-")[0] == name),
            "tokens": sum(c.figures[name][0] for c in commits if name in c.figures),
            "bytes": sum(c.figures[name][1] for c in commits if name in c.figures),
        }
        for name in names
    }
    encoder = Encoder(context.inputs[roles.TOKENIZER].path("tokenizer"))
    figures = {"components": components, "vocabulary": encoder.vocabulary, "eod": encoder.eod}
    return Totals(sum_tallies(commits), figures)


PROGRAM = Program(
    "tokenize", 1, ("pyarrow", "numpy", "tokenizers", "gigatoken"), (_tokenize,), _totals, due=due, makes="tokens"
)
