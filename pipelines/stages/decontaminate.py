"""Decontaminate stage: no training document may share much with a held-out one.

Three shares are measured. Over shingles (13 words, or 26 Chinese characters): how much of the training document is
held out, and how much of any one held-out document lies in the training document, which catches the long page that
contains a short held-out one. And over whole sentences: how much of the training document's text stands in one
held-out document, which catches the page whose sentences were rewritten here and there, where few shingles survive.
"""

import hashlib
import re
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.segment import shingle_hashes
from corpus.verdict import VERDICT
from pipelines.engine.identity import UNICODE, StageName
from pipelines.engine.stage import Context, Job, Phase, Program, Sealed
from pipelines.engine.store import Attempt, sum_tallies
from pipelines.stages.shard import HELD_OUT, Shard, due, shard_phase
from pipelines.stages.verdicts import Judged, verdict_table

Index = tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int64]]  # hash, its document, sizes
HELD = pa.schema([pa.field("hash", pa.uint64(), nullable=False), pa.field("document", pa.uint32(), nullable=False)])


@configuration
class DecontaminateStage:
    """Drops training documents that share more than `share` of their shingles with held-out documents, hold more
    than `share` of one held-out document's, or have more than `share` of their text in sentences of one."""

    kind: Literal["decontaminate"] = "decontaminate"
    input: Annotated[StageName, Doc("the stage whose kept documents are compared with the held-out ones")]
    words: Annotated[
        int, Field(ge=1), Doc("shingle length where words are spaced; 13 as in GPT-3, Gopher, the Pile")
    ] = 13
    characters: Annotated[int, Field(ge=1), Doc("shingle length in Chinese characters")] = 26
    sentence: Annotated[int, Field(ge=1), Doc("shortest sentence counted, in characters")] = 8
    share: Annotated[float, Field(ge=0, le=1), Doc("largest share of shingles or sentences in common")] = 0.2


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


_SENTENCE = re.compile(r"[^。！？.!?\n]+")


def sentence_hashes(
    text: pa.Array, least: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Distinct sentences of each text: hashes, the text of each (ascending), and their lengths in characters."""
    hashes: list[bytes] = []
    owners: list[int] = []
    lengths: list[int] = []
    for row, value in enumerate(text.to_pylist()):
        found = {piece for each in _SENTENCE.findall(value or "") if len(piece := each.strip()) >= least}
        for piece in sorted(found):
            hashes.append(hashlib.blake2b(piece.encode("utf-8", "surrogatepass"), digest_size=8).digest())
            owners.append(row)
            lengths.append(len(piece))
    return np.frombuffer(b"".join(hashes), "<u8"), np.array(owners, np.int64), np.array(lengths, np.int64)


def sentence_overlaps(text: pa.Array, index: Index, least: int) -> npt.NDArray[np.float64]:
    """For each text the largest share of its sentences, by characters, that stands in one held-out document."""
    held, owner, sizes = index
    hashes, document, lengths = sentence_hashes(text, least)
    left, right = np.searchsorted(held, hashes, "left"), np.searchsorted(held, hashes, "right")
    total = np.bincount(document, lengths, minlength=len(text))
    share = np.zeros(len(text))
    hit = np.flatnonzero(right > left)
    bounds = np.searchsorted(document[hit], np.arange(len(text) + 1))
    for row in np.flatnonzero(np.diff(bounds)).tolist():
        mine = hit[bounds[row] : bounds[row + 1]]
        owners = np.concatenate([owner[first:last] for first, last in zip(left[mine], right[mine], strict=True)])
        weights = np.repeat(lengths[mine], (right - left)[mine])
        share[row] = np.bincount(owners, weights, minlength=len(sizes)).max() / total[row]
    return share


def index_held_out(shard: Shard, attempt: Attempt) -> None:
    """Shingles of a home shard's held-out documents."""
    what, side = shard.context.what, shard.side() == HELD_OUT
    text = shard.table(["text"])["text"].combine_chunks().filter(pa.array(side))
    hashes, owner = _unique(*shingle_hashes(text, what.words, what.characters))
    table = pa.table([pa.array(hashes), pa.array(owner, pa.uint32())], schema=HELD)
    attempt.shard(shard.named("held"), [table], HELD, compressed=False)
    hashes, owner, _ = sentence_hashes(text, what.sentence)
    table = pa.table([pa.array(hashes), pa.array(owner, pa.uint32())], schema=HELD)
    attempt.shard(shard.named("sentences"), [table], HELD, compressed=False)
    attempt.figure("documents", int(side.sum()))


def held_out_index(context: Context, part: str) -> Index:
    """All held-out shingles or sentences sorted, the document of each, and how many each document has."""
    hashes, owners, base = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], 0
    for item, commit in context.commits("held").items():
        path = context.file(f"{part}-{item}", "held", item)
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        hashes.append(table["hash"].to_numpy())
        owners.append(table["document"].to_numpy().astype(np.int64) + base)
        base += commit.figures["documents"]
    hash_, owner = np.concatenate(hashes), np.concatenate(owners)
    order = np.argsort(hash_, kind="stable")
    return hash_[order], owner[order], np.bincount(owner, minlength=base)


def overlaps(
    text: pa.Array,
    index: Index,
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


def judge(shard: Shard, attempt: Attempt) -> None:
    """Verdicts of one home shard."""
    what, came = shard.context.what, shard.came_in()
    rows = np.flatnonzero(came)
    shingles, sentences = held_out_index(shard.context, "held"), held_out_index(shard.context, "sentences")
    share, same, seen = np.zeros(len(rows)), np.zeros(len(rows)), 0
    for base, batch in shard.text_batches():
        inside = came[base : base + batch.num_rows]
        text = batch["text"].filter(pa.array(inside))
        found = overlaps(text, shingles, what)
        share[seen : seen + len(found)] = found
        same[seen : seen + len(found)] = sentence_overlaps(text, sentences, what.sentence)
        seen += len(found)
    judged = []
    for name, value in (("near_held_out", share), ("held_out_sentences", same)):
        over = value > what.share
        limit = np.full(int(over.sum()), what.share)
        judged.append(Judged(f"{name}@1", name, rows[over], value[over], limit))
    fails = (share > what.share) | (same > what.share)
    table, tally = verdict_table(shard.ids, came, judged)
    attempt.shard(shard.named("verdicts"), [table], VERDICT)
    attempt.tally(tally)
    kept = share[~fails]
    attempt.figure("overlap", [int((kept > 0).sum()), float(kept.sum()), float(kept.max(initial=0.0)), len(kept)])


def _held(job: Job) -> Phase:
    return shard_phase("held", job[0], index_held_out, scratch=True)


def _judge(job: Job) -> Phase:
    return shard_phase("judge", job[0], judge)


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


PROGRAM = Program("decontaminate", 2, ("pyarrow", "numpy", UNICODE), (_held, _judge), _seal, due=due, makes="verdicts")
