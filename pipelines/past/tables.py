"""A finished run as tables: documents, verdicts, tokens, streamed shard by shard."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from corpus.usage import UsageError
from pipelines.engine import roles
from pipelines.engine.store import Artifact, StoreError, shard_name
from pipelines.past.history import History, Past
from pipelines.past.masked import masked_column, masked_texts, unmasked
from pipelines.past.samples import languages
from pipelines.stages.shard import HELD_OUT, TRAIN, Shard

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Side = Literal["train", "held_out", "all"]
_CODES = {"train": TRAIN, "held_out": HELD_OUT}

DOCUMENTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # hex
        pa.field("url", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("licence", pa.string()),  # of the source; null where the recipe does not say
        pa.field("record", pa.string()),
        pa.field("language", pa.string()),  # identified, not declared
        pa.field("title", pa.string()),
        pa.field("author", pa.string()),
        pa.field("published", pa.string()),  # YYYY-MM-DD
        pa.field("side", pa.string(), nullable=False),
        pa.field("tokens", pa.int64()),  # end-of-document included; null where the run made no tokens
        pa.field("text", pa.large_string(), nullable=False),
    ]
)
VERDICTS = pa.schema(
    [
        pa.field("stage", pa.string(), nullable=False),
        pa.field("side", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("first", pa.bool_(), nullable=False),  # the reason counted in the funnel
        pa.field("value", pa.float64(), nullable=False),
        pa.field("threshold", pa.float64(), nullable=False),
        pa.field("keeper", pa.string()),
    ]
)


class TooEarlyError(UsageError):
    """A run that stopped before what is asked of it: names the run and the way out."""


class RestrictedError(UsageError):
    """What holds personal data, asked for without saying so: names the run and the way out."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one side from one shard, as one file of an export holds them."""

    side: str
    name: str
    batches: Iterator[pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a run: nothing is read before they are iterated, and each time they are read anew."""

    schema: pa.Schema
    pieces: Callable[[], Iterator[Piece]]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Batches of at most 4,096 rows."""
        return (batch for piece in self.pieces() for batch in piece.batches if batch.num_rows)

    def reader(self) -> pa.RecordBatchReader:
        """The same for Arrow's own readers: pandas, Polars and DuckDB take it as it is."""
        return pa.RecordBatchReader.from_batches(self.schema, iter(self))

    def table(self) -> pa.Table:
        """All rows, in memory."""
        return self.reader().read_all()


def _sides(side: Side) -> list[str]:
    return [name for name in _CODES if side in (name, "all")]


def _hex(ids: pa.Array) -> pa.Array:
    return pa.array([None if value is None else value.hex() for value in ids.to_pylist()], pa.string())


def documents(history: History, side: Side = "train", *, raw: bool = False) -> Rows:
    """DOCUMENTS: those every stage kept, in id order within a shard.

    Text is that of the last edition, masked here where no edit has masked it; URLs and keys of records are masked
    likewise. `raw` takes the first edition's text and everything as it was.
    """
    if not history.lineage.editions:
        raise TooEarlyError(f"run {history.name} stopped before its documents: run it further")
    edition = history.artifact(history.lineage.editions[-1])

    def pieces() -> Iterator[Piece]:
        for one in _sides(side):
            for name in edition.names("documents"):
                shard = int(name.rpartition("-")[2])
                yield Piece(one, f"{shard:05d}", _documents(history, shard, one, raw=raw))

    return Rows(DOCUMENTS, pieces)


def _documents(history: History, shard: int, side: str, *, raw: bool) -> Iterator[pa.RecordBatch]:
    import pyarrow.compute as pc

    lineage = history.lineage
    kept = Shard(history.context(lineage.roles()), shard).came_in(_CODES[side])
    first, number = history.route(shard).editions[0]
    if raw:
        batches = history.artifact(first).batches(shard_name("documents", number))
    else:
        batches = history.artifact(lineage.editions[-1]).batches(shard_name("documents", shard))
    licence, spoken, base = history.artifact(first).figures.get("licence") or None, languages(history, shard), 0
    tokens = lineage.tokens if side == "train" else lineage.held_out
    restricted = unmasked(history, shard)
    counted = None if tokens is None else _counts(history.artifact(tokens), shard)
    for batch in batches:
        here = slice(base, base + batch.num_rows)
        base += batch.num_rows
        part = batch.filter(pa.array(kept[here]))
        n = part.num_rows
        columns = {name: part[name] for name in ("url", "source", "record", "title", "author", "published", "text")}
        if not raw:
            columns |= {name: masked_column(part[name]) for name in ("url", "record", "title", "author")}
            columns["text"] = masked_texts(part["text"]) if restricted else part["text"]
        columns |= {
            "id": _hex(part["id"]),
            "licence": pa.array([licence] * n, pa.string()),
            "language": pa.nulls(n, pa.string()) if spoken is None else pa.array(spoken[here][kept[here]], pa.string()),
            "side": pa.array([side] * n, pa.string()),
            "tokens": pa.nulls(n, pa.int64())
            if counted is None
            else counted[1].take(pc.index_in(part["id"], value_set=counted[0])),
        }
        yield pa.record_batch([columns[name] for name in DOCUMENTS.names], schema=DOCUMENTS)


def _counts(artifact: Artifact, shard: int) -> tuple[pa.Array, pa.Array]:
    """Ids of a home shard's tokenized documents, and their numbers of tokens."""
    import pyarrow.compute as pc

    ids, sizes = [pa.array([], pa.binary(16))], [pa.array([], pa.int64())]
    for component in sorted(artifact.figures["components"]):
        name = shard_name(component, shard)
        if name in artifact.files:
            for batch in artifact.batches(name, ["id", "tokens"]):
                ids.append(batch["id"])
                sizes.append(pc.list_value_length(batch["tokens"]).cast(pa.int64()))
    return pa.concat_arrays(ids), pa.concat_arrays(sizes)


def verdicts(history: History, side: Side = "train") -> Rows:
    """VERDICTS: every rule that a document fails. The split judges held-out documents, every other stage the rest."""
    stages = history.judges
    if not stages:
        raise TooEarlyError(f"run {history.name} stopped before any verdict: run it further")

    def pieces() -> Iterator[Piece]:
        for one in _sides(side):
            for stage in stages:
                if (stage.kind == "split") == (one == "held_out"):
                    for name in history.artifact(stage).names("verdicts"):
                        number = name.rpartition("-")[2]
                        yield Piece(one, f"{stage.name}-{number}", _verdicts(history, stage, name, one))

    return Rows(VERDICTS, pieces)


def _verdicts(history: History, stage: Past, name: str, side: str) -> Iterator[pa.RecordBatch]:
    for batch in history.artifact(stage).batches(name):
        constants = [pa.array([word] * batch.num_rows, pa.string()) for word in (stage.name, side)]
        rest = [batch[column] for column in VERDICTS.names[3:-1]]
        yield pa.record_batch([*constants, _hex(batch["id"]), *rest, _hex(batch["keeper"])], schema=VERDICTS)


def token_stages(history: History, side: Side) -> list[Past]:
    """The stages that hold the tokens of a side. Raises TooEarlyError where there are none."""
    both = {"train": history.lineage.tokens, "held_out": history.lineage.held_out}
    stages = [stage for name in _sides(side) if (stage := both[name]) is not None]
    if not stages:
        raise TooEarlyError(f"run {history.name} stopped before it tokenized: run it further")
    return stages


def _token_stages(history: History, side: Side, *, raw: bool) -> list[Past]:
    """The same, and RestrictedError for tokens of texts that no edit has masked: they spell personal data out."""
    stages = token_stages(history, side)
    shards = history.artifact(history.lineage.editions[-1]).names("documents")
    if not raw and any(unmasked(history, int(name.rpartition("-")[2])) for name in shards):
        raise RestrictedError(
            f"run {history.name} has tokens of texts that no edit masked: personal data can be read from them. Ask for "
            "them as they are with --raw, in Python raw=True, or add an edit {edit: mask} to the recipe"
        )
    return stages


def tokens(history: History, side: Side = "train", *, raw: bool = False) -> Rows:
    """id (hex), component, side, and tokens: a list of uint16 (uint32 for a large vocabulary), ending in EOD."""
    stages = _token_stages(history, side, raw=raw)
    schema = pa.schema(
        [
            *(pa.field(name, pa.string(), nullable=False) for name in ("id", "component", "side")),
            pa.field("tokens", _token_type(history.artifact(stages[0])), nullable=False),
        ]
    )

    def pieces() -> Iterator[Piece]:
        for stage in stages:
            artifact, one = history.artifact(stage), stage.what["side"]
            for component in sorted(artifact.figures["components"]):
                for name in artifact.names(component):
                    yield Piece(one, name, _tokens(artifact, name, component, one, schema))

    return Rows(schema, pieces)


def _token_type(artifact: Artifact) -> pa.DataType:
    for name in artifact.files:
        return artifact.table(name, ["tokens"]).schema.field("tokens").type
    return pa.list_(pa.uint16())


def _tokens(artifact: Artifact, name: str, component: str, side: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in artifact.batches(name, ["id", "tokens"]):
        constants = [pa.array([word] * batch.num_rows, pa.string()) for word in (component, side)]
        yield pa.record_batch([_hex(batch["id"]), *constants, batch["tokens"]], schema=schema)


def tokenizer(history: History) -> "Tokenizer":
    """The run's tokenizer. Raises TooEarlyError."""
    from tokenizers import Tokenizer

    stage = token_stages(history, "all")[0]
    return Tokenizer.from_file(str(history.artifact(history.stages[stage.inputs[roles.TOKENIZER]]).path("tokenizer")))


def token_shards(history: History, side: Side = "train", *, raw: bool = False) -> dict[str, pa.Table]:
    """Token shards by component, memory-mapped: `id` (16 bytes), `bytes` of the text, `tokens`. Nothing is copied.

    Raises TooEarlyError, RestrictedError, and StoreError for a component that the side has no shard of any more.
    """
    out: dict[str, list[pa.Table]] = {}
    for stage in _token_stages(history, side, raw=raw):
        artifact = history.artifact(stage)
        for component in sorted(artifact.figures["components"]):
            names = artifact.names(component)
            if not names:
                raise StoreError(f"{artifact.directory} has no shard of {component}: run the same command again")
            out.setdefault(component, []).extend(artifact.table(name) for name in names)
    return {component: pa.concat_tables(tables) for component, tables in sorted(out.items())}
