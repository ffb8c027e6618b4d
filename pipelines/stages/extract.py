"""Extract stage: captures become documents, placed by id, so that the order of fetching never shows.

A scatter item reads one piece of the source and writes its documents and dead letters by home shard; a gather
item merges one home shard and drops the same capture seen twice.
"""

import hashlib
from typing import Annotated, Literal
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.document import DOCUMENT, byte_sizes, raw_ids
from corpus.extract import DEAD, Extract, extract
from corpus.sources.capture import Item as Piece
from corpus.sources.source import items as pieces
from corpus.sources.source import read
from corpus.verdict import Count, Tally, count_ids
from pipelines.engine.identity import StageName
from pipelines.engine.shuffle import bucket_of, gather, scatter, shard_count
from pipelines.engine.stage import Context, Item, Job, Phase, Program, Sealed, Work
from pipelines.engine.store import Attempt, shard_name, sum_tallies

_DOCUMENTS = DOCUMENT.append(pa.field("payload_bytes", pa.int64(), nullable=False))
_SCHEMAS = {"documents": _DOCUMENTS, "dead": DEAD}
_SORT = {
    "documents": ("id", "record", "declared_language", "title", "payload_bytes"),
    "dead": ("id", "reason", "record", "bytes"),
}
PAGE = 8 << 10  # bytes reckoned for a capture where its size is not part of the snapshot's identity
SPILL = 16 << 20  # bytes of text after which a scatter item begins another file; held twice while it is sorted


@configuration
class ExtractStage:
    """Main text of HTML, or the text field of records, and the stable ids."""

    kind: Literal["extract"] = "extract"
    input: Annotated[StageName, Doc("the source")]
    source: Annotated[
        str,
        Field(pattern=r"^[\w-]*$"),
        Doc(
            "name the documents carry as their source, by which records without a URL are known; empty: `input`'s name"
        ),
    ] = ""
    licence: Annotated[str, Doc("licence of the source's texts, kept in the ledger, the report and exports")] = ""
    extract: Annotated[Extract, Doc("how text is taken from HTML")] = Field(default_factory=Extract)

    def libraries(self) -> tuple[str, ...]:
        """Distributions that decide the text."""
        return self.extract.libraries


def _pieces(context: Context) -> list[Piece]:
    return pieces(context.where["source"], context.inputs["source"].directory / "warc")


def scatter_piece(work: Work, attempt: Attempt) -> None:
    """Extract one piece of the source into files by home shard."""
    what, shards = work.context.what, work.arguments["shards"]
    batches: dict[str, list[pa.RecordBatch]] = {"documents": [], "dead": []}
    runs, held = 0, 0
    captures = read(work.context.where["source"], work.arguments["piece"])
    for part in extract(captures, what.source, what.extract):
        size = _DOCUMENTS.field("payload_bytes")
        batches["documents"].append(part.documents.append_column(size, part.payload_bytes))
        batches["dead"].append(part.dead)
        held += part.documents.nbytes
        if held >= SPILL:
            _spill(attempt, f"{work.name}-{runs:03d}", batches, shards)
            runs, held, batches = runs + 1, 0, {"documents": [], "dead": []}
    _spill(attempt, f"{work.name}-{runs:03d}", batches, shards)


def _spill(attempt: Attempt, name: str, batches: dict[str, list[pa.RecordBatch]], shards: int) -> None:
    for part, schema in _SCHEMAS.items():
        table = pa.Table.from_batches(batches.pop(part), schema).combine_chunks()  # the batches can go
        home = bucket_of(table["id"].combine_chunks(), shards)
        scatter(attempt, f"{part}.{name}", table, home, shards, _SORT[part])


def gather_shard(work: Work, attempt: Attempt) -> None:
    """Merge one home shard from every scatter file; of one capture seen twice the first is kept."""
    context, shard = work.context, int(work.name)
    tables = {}
    for part, schema in _SCHEMAS.items():
        paths = [
            context.directory / entry.file
            for commit in context.commits("scatter").values()
            for name, entry in commit.files.items()
            if name.startswith(f"{part}.")
        ]
        tables[part] = gather(paths, shard, schema, _SORT[part])
    documents, dead = tables["documents"], tables["dead"]
    first = _first_of_each(documents["id"].combine_chunks())
    again = documents.filter(pa.array(~first))
    documents = documents.filter(pa.array(first))
    dead = _dead(dead, again)
    attempt.shard(shard_name("documents", shard), [documents.drop_columns(["payload_bytes"])], DOCUMENT)
    attempt.shard(shard_name("dead", shard), [dead], DEAD)
    attempt.tally(_tally(documents, dead))


def _first_of_each(ids: pa.Array) -> npt.NDArray[np.bool_]:
    raw = raw_ids(ids)
    first = np.ones(len(raw), bool)
    first[1:] = raw[1:] != raw[:-1]
    return first


def _dead(dead: pa.Table, again: pa.Table) -> pa.Table:
    """The shard's dead letters, the captures seen again among them."""
    columns = {name: again[name] for name in ("id", "url", "source", "record")}
    columns["reason"] = pa.array(["same_capture"] * again.num_rows, pa.string())
    columns["detail"] = pa.array([""] * again.num_rows, pa.string())
    columns["bytes"] = again["payload_bytes"]
    same = pa.table([columns[name] for name in DEAD.names], schema=DEAD)
    return pa.concat_tables([dead, same]).sort_by([("id", "ascending"), ("reason", "ascending")])


def _tally(documents: pa.Table, dead: pa.Table) -> Tally:
    """Everything read is born here. What is not text is `markup`; what a document lost whole goes by its reason."""
    kept = count_ids(documents["id"])
    dropped: dict[str, Count] = {}
    removed: dict[str, int] = {}
    reasons = dead["reason"].to_numpy(zero_copy_only=False) if dead.num_rows else np.empty(0, object)
    for reason in sorted(set(reasons)):
        rows = dead.filter(pa.array(reasons == reason))
        dropped[reason] = count_ids(rows["id"])
        removed[reason] = int(rows["bytes"].to_numpy().sum())
    sizes = np.concatenate([np.empty(0, np.int64), *(byte_sizes(chunk) for chunk in documents["text"].chunks)])
    payload = documents["payload_bytes"].to_numpy()
    less = payload - sizes
    removed["markup"] = int(less[less > 0].sum())
    return Tally(
        born=sum(dropped.values(), kept),
        kept=kept,
        dropped=dropped,
        bytes_in=int(payload.sum() + dead["bytes"].to_numpy().sum()),
        bytes_out=int(sizes.sum()),
        removed=removed,
        added={"transcoding": int(-less[less < 0].sum())},
    )


def _shards(context: Context) -> int:
    """Home shards, by what the source's identity covers: bytes of the user's files, or captures of a snapshot.

    The size of a snapshot's WARC files depends on dates and headers, which its digest leaves out.
    """
    captures = context.inputs["source"].figures.get("captures")
    return shard_count(sum(p.bytes for p in _pieces(context)) if captures is None else captures * PAGE)


def _scatter(job: Job) -> Phase:
    (context,) = job
    listed, shards = _pieces(context), _shards(context)
    return Phase(
        "scatter",
        [Item(_file_name(piece.name), piece.bytes, {"piece": piece, "shards": shards}) for piece in listed],
        scatter_piece,
        scratch=True,
    )


def _file_name(name: str) -> str:
    """A piece's name as one path component."""
    flat = quote(name, safe="@")
    return flat if len(flat) <= 150 else f"{flat[:110]}-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _gather(job: Job) -> Phase:
    shards = _shards(job[0])
    total = sum(piece.bytes for piece in _pieces(job[0]))
    return Phase("gather", [Item(f"{shard:05d}", total // shards) for shard in range(shards)], gather_shard)


def _seal(context: Context) -> Sealed:
    figures = {"source": context.what.source, "licence": context.what.licence}
    return Sealed(sum_tallies(context.commits("gather").values()), figures)


PROGRAM = Program("extract", 1, ("pyarrow",), (_scatter, _gather), _seal)
