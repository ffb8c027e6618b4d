"""Extract stage: captures become documents, placed by id, so that the order of fetching never shows.

A scatter item reads one piece of the source and writes its documents and dead letters by id; a gather item merges one
home shard and drops the same capture seen twice. Home shards are sized by the text there is, whatever its compression.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from corpus.configuration import Doc, configuration, form
from corpus.document import DOCUMENT, byte_sizes, raw_ids
from corpus.extract.documents import DEAD, Extract, extract
from corpus.sources.capture import Piece
from corpus.sources.source import pieces, read
from corpus.sources.source import wanted as looked_for
from corpus.verdict import Count, Tally, count_ids
from pipelines.engine import roles
from pipelines.engine.identity import StageName
from pipelines.engine.shuffle import FAN_OUT, Rows, Shuffle, bucket_of, shard_count
from pipelines.engine.sort import Sorter
from pipelines.engine.stage import Context, Item, Job, Phase, Program, Totals, Work
from pipelines.engine.store import Attempt, shard_name, sum_tallies

_DOCUMENTS = DOCUMENT.append(pa.field("payload_bytes", pa.int64(), nullable=False))
_ORDER = ("id", "record", "declared_language", "title", "author", "published", "payload_bytes")
_DEAD_ORDER = ("id", "reason", "record", "bytes")


def _by_id(batch: pa.RecordBatch, buckets: int) -> npt.NDArray[np.int64]:
    return bucket_of(batch["id"], buckets)


# The number of home shards follows from all text, so it is not known yet when the scatter files are written.
SHUFFLE = Shuffle(
    "scatter",
    {
        "documents": Rows(_DOCUMENTS, _ORDER, _by_id),
        "dead": Rows(DEAD, _DEAD_ORDER, _by_id),
    },
    FAN_OUT,
)


@configuration
class ExtractStage:
    """Main text of HTML, or the text field of records, and the stable ids."""

    kind: Literal["extract"] = "extract"
    input: Annotated[StageName, Doc("the source")]
    source: Annotated[
        str,
        form(r"[\w-]*", "letters, digits, _ and -"),
        Doc(
            "name the documents carry as their source, by which records without a URL are known; empty: `input`'s name"
        ),
    ] = ""
    licence: Annotated[str, Doc("licence of the source's texts, kept in the ledger, the report and exports")] = ""
    extract: Annotated[Extract, Doc("how text is taken from HTML")] = Field(default_factory=Extract)

    def libraries(self) -> tuple[str, ...]:
        """Distributions that decide the text."""
        return self.extract.libraries


class NoDocumentsError(ValueError):
    """A source without a document: names the field, what was looked for, what was found, and the way out."""


def _pieces(context: Context) -> list[Piece]:
    snapshot = context.inputs[roles.SOURCE]
    if snapshot.figures.get("segments") == 0:  # a crawl that reached no one
        raise NoDocumentsError(_nothing(context, Tally()))
    return pieces(context.where["source"], snapshot.directory / "warc")


def scatter_piece(work: Work, attempt: Attempt) -> None:
    """Extract one piece of the source into files by ranges of ids."""
    what, piece, size = work.context.what, work.arguments["piece"], 0
    snapshot = work.context.inputs[roles.SOURCE]
    for entry in piece.entries if snapshot.files else ():
        snapshot.path(Path(entry.path).name)  # a crawl wrote it: its bytes are those promised, or there is no result
    captures = read(work.context.where["source"], piece)
    with SHUFFLE.scatter(work, attempt, FAN_OUT) as sorters:
        for part in extract(captures, what.source, what.extract):
            field = _DOCUMENTS.field("payload_bytes")
            sorters["documents"].add(part.documents.append_column(field, part.payload_bytes))
            sorters["dead"].add(part.dead)
            size += int(byte_sizes(part.documents["text"]).sum())
    attempt.figure("text_bytes", size)


def gather_shard(work: Work, attempt: Attempt) -> None:
    """Merge one home shard of every scatter file; of one capture seen twice the first is kept."""
    shard, shards = int(work.name), work.arguments["shards"]
    with Sorter(DEAD, _DEAD_ORDER, work.context.memory // 2, work.context.directory) as dead:
        for batch in SHUFFLE.gather(work, "dead", shard, shards):
            dead.add(batch)

        def kept() -> Iterator[pa.RecordBatch]:
            last = b""
            for batch in SHUFFLE.gather(work, "documents", shard, shards):
                first = _first_of_each(batch["id"], last)
                dead.add(_seen_again(batch.filter(pa.array(~first))))
                documents = batch.filter(pa.array(first))
                attempt.tally(_kept(documents))
                last = batch["id"][-1].as_py()
                yield documents.drop_columns(["payload_bytes"])

        def dropped() -> Iterator[pa.RecordBatch]:
            for batch in dead.sorted():
                attempt.tally(_dropped(batch))
                yield batch

        attempt.shard(shard_name("documents", shard), kept(), DOCUMENT)
        attempt.shard(shard_name("dead", shard), dropped(), DEAD)


def _first_of_each(ids: pa.Array, last: bytes) -> npt.NDArray[np.bool_]:
    """Which of sorted ids differ from the one before; before the first was `last`."""
    raw = raw_ids(ids)
    return np.append(ids[0].as_py() != last, raw[1:] != raw[:-1])


def _seen_again(documents: pa.RecordBatch) -> pa.RecordBatch:
    """Dead letters of captures that are there already."""
    columns = {name: documents[name] for name in ("id", "url", "source", "record")}
    columns["reason"] = pa.array(["same_capture"] * documents.num_rows, pa.string())
    columns["detail"] = pa.array([""] * documents.num_rows, pa.string())
    columns["bytes"] = documents["payload_bytes"]
    return pa.record_batch([columns[name] for name in DEAD.names], schema=DEAD)


def _kept(documents: pa.RecordBatch) -> Tally:
    """Everything read is born here. What is not text is `markup`."""
    count, sizes = count_ids(documents["id"]), byte_sizes(documents["text"])
    less = documents["payload_bytes"].to_numpy() - sizes
    return Tally(
        born=count,
        kept=count,
        bytes_in=int(documents["payload_bytes"].to_numpy().sum()),
        bytes_out=int(sizes.sum()),
        removed={"markup": int(less[less > 0].sum())},
        added={"transcoding": int(-less[less < 0].sum())},
    )


def _dropped(dead: pa.RecordBatch) -> Tally:
    """What a document lost whole goes by its reason."""
    import pyarrow.compute as pc

    counts: dict[str, Count] = {}
    removed: dict[str, int] = {}
    for reason in pc.unique(dead["reason"]).to_pylist():
        rows = dead.filter(pc.equal(dead["reason"], reason))
        counts[reason], removed[reason] = count_ids(rows["id"]), int(rows["bytes"].to_numpy().sum())
    born = sum(counts.values(), Count())
    return Tally(born=born, dropped=counts, bytes_in=sum(removed.values()), removed=removed)


def _shards(context: Context) -> int:
    """Home shards, by the bytes of all text."""
    return shard_count(sum(commit.figures["text_bytes"] for commit in context.commits("scatter").values()))


def _scatter(job: Job) -> Phase:
    (context,) = job
    items = [Item(_file_name(piece.name), piece.bytes, {"piece": piece}) for piece in _pieces(context)]
    return Phase("scatter", items, scatter_piece, scratch=True)


def _regroup(job: Job) -> Phase:
    return SHUFFLE.regroup(job, _shards(job[0]))


def _file_name(name: str) -> str:
    """A piece's name as one path component."""
    flat = quote(name, safe="@")
    return flat if len(flat) <= 150 else f"{flat[:110]}-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _gather(job: Job) -> Phase:
    shards = _shards(job[0])
    commits = job[0].commits("scatter").values()
    size = sum(entry.bytes for commit in commits for entry in commit.files.values()) // shards
    items = [Item(f"{shard:05d}", size, {"shards": shards}) for shard in range(shards)]
    return Phase("gather", items, gather_shard)


def _totals(context: Context) -> Totals:
    tally = sum_tallies(context.commits("gather").values())
    if not tally.kept.documents:
        raise NoDocumentsError(_nothing(context, tally))
    return Totals(tally, {"source": context.what.source, "licence": context.what.licence})


def _nothing(context: Context, tally: Tally) -> str:
    """What was looked for, what there was instead, and the way out."""
    source, name = context.where["source"], context.what.input
    found = {reason: count.documents for reason, count in tally.dropped.items()}
    place, way_out = f"recipe.{name}", f"change recipe.{name}, or mend what it leads to and set run.snapshot=new"
    if source.kind == "crawl":
        found |= {word: count for word, count in context.inputs[roles.SOURCE].figures["outcomes"].items() if count}
    else:
        place, way_out = f"{place}.path={str(source.path)!r}", f"name other files, or set recipe.{name}'s other fields"
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(found.items())) or "no record at all"
    return f"{place} gave no document: looked for {looked_for(source)}, found {reasons}: {way_out}"


PROGRAM = Program("extract", 1, ("pyarrow",), (_scatter, _regroup, _gather), _totals, makes="edition")
