"""Decontaminate stage: no training document may share much with a held-out one.

Two shares are measured over shingles (13 words, or 26 Chinese characters): how much of the training document is
held out, and how much of any one held-out document lies in the training document. The second catches the long
page that contains a short held-out one.
"""

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.segment import shingle_hashes
from corpus.verdict import VERDICT
from pipelines.identity import UNICODE, StageName
from pipelines.selection import HELD_OUT, Judged, came_in, ids_of, shard_items, verdict_table
from pipelines.stage import Context, Item, Job, Phase, Program, Sealed
from pipelines.store import sum_tallies

HELD = pa.schema([pa.field("hash", pa.uint64(), nullable=False), pa.field("document", pa.uint32(), nullable=False)])


@configuration
class DecontaminateStage:
    """Drops training documents that share more than `share` of their shingles with held-out documents, or hold
    more than `share` of one held-out document's."""

    kind: Literal["decontaminate"] = "decontaminate"
    input: Annotated[StageName, Doc("the stage whose kept documents are compared with the held-out ones")]
    words: Annotated[
        int, Field(ge=1), Doc("shingle length where words are spaced; 13 as in GPT-3, Gopher, the Pile")
    ] = 13
    characters: Annotated[int, Field(ge=1), Doc("shingle length in Chinese characters")] = 26
    share: Annotated[float, Field(ge=0, le=1), Doc("largest share of shingles in common")] = 0.2


def _unique(
    hashes: npt.NDArray[np.uint64], offsets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Distinct (document, hash) pairs, as hashes and document numbers."""
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((hashes, owner))
    hashes, owner = hashes[order], owner[order]
    first = np.ones(len(hashes), bool)
    first[1:] = (hashes[1:] != hashes[:-1]) | (owner[1:] != owner[:-1])
    return hashes[first], owner[first]


def index_held_out(job: Job, item: Item) -> None:
    """Shingles of a home shard's held-out documents."""
    (context,) = job
    attempt = context.begin("held", item.name)
    if attempt is None:
        return
    with attempt:
        side = context.inputs["split"].table(f"split-{item.name}", ["side"])["side"].to_numpy() == HELD_OUT
        text = context.inputs["edition"].table(f"documents-{item.name}", ["text"])["text"].combine_chunks()
        hashes, owner = _unique(
            *shingle_hashes(text.filter(pa.array(side)), context.what.words, context.what.characters)
        )
        table = pa.table([pa.array(hashes), pa.array(owner, pa.uint32())], schema=HELD)
        attempt.shard(f"held-{item.name}", [table], HELD, compressed=False)
        attempt.figure("documents", int(side.sum()))


def held_out_index(context: Context) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All held-out shingles sorted, the document of each, and the number of shingles of each document."""
    hashes, owners, base = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], 0
    for item, commit in context.commits("held").items():
        table = pa.ipc.open_file(pa.memory_map(str(context.directory / commit.files[f"held-{item}"].file))).read_all()
        hashes.append(table["hash"].to_numpy())
        owners.append(table["document"].to_numpy().astype(np.int64) + base)
        base += commit.figures["documents"]
    hash_, owner = np.concatenate(hashes), np.concatenate(owners)
    order = np.argsort(hash_, kind="stable")
    return hash_[order], owner[order], np.bincount(owner, minlength=base)


def overlaps(
    text: pa.Array,
    index: tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int64]],
    what: DecontaminateStage,
) -> npt.NDArray[np.float64]:
    """For each text the larger of: the share of its shingles that are held out; the largest share of a held-out
    document that it holds."""
    held, owner, sizes = index
    hashes, document = _unique(*shingle_hashes(text, what.words, what.characters))
    left, right = np.searchsorted(held, hashes, "left"), np.searchsorted(held, hashes, "right")
    hit = np.flatnonzero(right > left)
    own = np.bincount(document, minlength=len(text))
    share = np.bincount(document[hit], minlength=len(text)) / np.maximum(own, 1)
    bounds = np.searchsorted(document[hit], np.arange(len(text) + 1))
    for row in np.flatnonzero(np.diff(bounds)).tolist():  # document by document: pairs of all at once may not fit
        mine = hit[bounds[row] : bounds[row + 1]]
        owners = np.concatenate([owner[first:last] for first, last in zip(left[mine], right[mine], strict=True)])
        common = np.bincount(owners, minlength=len(sizes)) / np.maximum(sizes, 1)
        share[row] = max(share[row], common.max())
    return share


def judge(job: Job, item: Item) -> None:
    """Verdicts of one home shard."""
    (context,) = job
    attempt = context.begin("judge", item.name)
    if attempt is None:
        return
    what, shard = context.what, int(item.name)
    came = came_in(context, shard)
    rows = np.flatnonzero(came)
    index = held_out_index(context)
    share, base = np.zeros(len(rows)), 0
    wanted, seen = context.inputs["edition"].batches(f"documents-{item.name}", ["text"]), 0
    for batch in wanted:
        inside = came[base : base + batch.num_rows]
        found = overlaps(batch["text"].filter(pa.array(inside)), index, what)
        share[seen : seen + len(found)] = found
        base, seen = base + batch.num_rows, seen + len(found)
    fails = share > what.share
    limit = np.full(int(fails.sum()), what.share)
    with attempt:
        judged = Judged("near_held_out@1", "near_held_out", rows[fails], share[fails], limit)
        table, tally = verdict_table(ids_of(context.inputs["edition"], shard), came, [judged])
        attempt.shard(f"verdicts-{item.name}", [table], VERDICT)
        attempt.tally(tally)
        kept = share[~fails]
        attempt.figure("overlap", [int((kept > 0).sum()), float(kept.sum()), float(kept.max(initial=0.0)), len(kept)])


def _held(job: Job) -> Phase:
    return Phase("held", shard_items(job[0]), index_held_out, scratch=True)


def _judge(job: Job) -> Phase:
    return Phase("judge", shard_items(job[0]), judge)


def _seal(context: Context) -> Sealed:
    commits = context.commits("judge").values()
    parts = [commit.figures["overlap"] for commit in commits]
    documents = sum(part[3] for part in parts)
    remaining = {
        "documents": documents,
        "with_any_overlap": sum(part[0] for part in parts),
        "mean_share": sum(part[1] for part in parts) / max(documents, 1),
        "largest_share": max((part[2] for part in parts), default=0.0),
    }
    figures = {"edition": context.inputs["edition"].digest, "remaining_overlap": remaining}
    return Sealed(sum_tallies(commits), figures)


PROGRAM = Program("decontaminate", 1, ("pyarrow", "numpy", UNICODE), (_held, _judge), _seal)
