"""Split stage: which documents are held out, fixed before anything an ablation may vary.

Documents are grouped by URL path without its language, by exact text and by near-duplication; a salted hash of
a group's smallest id decides its side. A random draw after dedupe would leak: pages that repeat each other in part
would stand on both sides.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.dedup import bands, has_shingles
from corpus.document import translation_key
from corpus.filters import AnyRule
from corpus.verdict import VERDICT, Count, Tally, count_ids
from kernels.buffers import fixed_width
from pipelines.engine.identity import StageName
from pipelines.engine.stage import Context, Job, Phase, Program, Sealed
from pipelines.engine.store import Attempt, sum_tallies
from pipelines.stages.filter import columns_of, judge_rules
from pipelines.stages.grouping import EXACT, KEYS, NEAR, PATH, Grouping, copies, labels, signatures, similar
from pipelines.stages.shard import HELD_OUT, OUT, TRAIN, UNFIT, Mask, Shard, due, shard_phase
from pipelines.stages.verdicts import Judged, verdict_table

SPLIT = pa.schema(
    [
        pa.field("id", pa.binary(16), nullable=False),
        pa.field("group", pa.binary(16), nullable=False),
        pa.field("side", pa.uint8(), nullable=False),
    ]
)


@configuration
class SplitStage:
    """The yardstick: held-out documents are chosen by group and pass fixed rules, never the recipe under test."""

    kind: Literal["split"] = "split"
    input: Annotated[StageName, Doc("the measures to group by")]
    held_out: Annotated[float, Field(gt=0, lt=1), Doc("share of groups held out")] = 0.1
    salt: Annotated[str, Doc("another salt draws another held-out set")] = "siku"
    near: Annotated[float, Field(gt=0, le=1), Doc("estimated Jaccard similarity that groups two documents")] = 0.5
    bands: Annotated[int, Field(ge=1), Doc("LSH bands; 32 x 4 finds 87 % of pairs at J = 0.5 before verification")] = 32
    rows: Annotated[int, Field(ge=1), Doc("signature values a band")] = 4
    signature: Annotated[str, Doc("measure that holds the MinHash signature")] = "signature"
    exact: Annotated[str, Doc("measure that holds the hash of the text")] = "exact"
    rules: Annotated[dict[str, AnyRule], Doc("what a held-out document must pass, the same for every recipe")]


def _hash64(keys: Sequence[str]) -> npt.NDArray[np.uint64]:
    digests = b"".join(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8] for key in keys)
    return np.frombuffer(digests, "<u8")


def split_keys(shard: Shard) -> pa.Table:
    """KEYS of a home shard: its documents' paths, texts and signature bands."""
    what: SplitStage = shard.context.what
    urls = shard.table(["url"])["url"].to_pylist()
    at = np.flatnonzero([url is not None for url in urls])
    exact = fixed_width(shard.measured(what.exact, ["exact"])["exact"])
    values = signatures(shard, what.signature)
    worded = np.flatnonzero(has_shingles(values))
    near = bands(values[worded], what.bands, what.rows)
    everyone = np.arange(shard.rows)
    parts = [
        (_hash64([f"path {translation_key(urls[i])}" for i in at]), at, PATH),
        (exact[:, :8].copy().view("<u8").ravel(), everyone, EXACT),
        (near.ravel(), np.repeat(worded, near.shape[1]), NEAR),
    ]
    return key_table(shard, parts)


def key_table(shard: Shard, parts: Sequence[tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], int]]) -> pa.Table:
    """KEYS from (keys, rows they belong to, why) triples. `why` is mixed in: equal hashes of other kinds never meet."""
    key = np.concatenate([k ^ np.uint64(0x9E3779B97F4A7C15 * (why + 1) % (1 << 64)) for k, _, why in parts])
    row = np.concatenate([r for _, r, _ in parts])
    why = np.concatenate([np.full(len(r), w) for _, r, w in parts])
    columns = [
        pa.array(key, pa.uint64()),
        pa.array(why, pa.uint8()),
        shard.ids.take(pa.array(row)),
        pa.array(np.full(len(row), shard.number), pa.uint32()),
        pa.array(row, pa.uint32()),
    ]
    return pa.table(columns, schema=KEYS)


def split_edges(context: Context, edges: pa.Table) -> npt.NDArray[np.bool_]:
    """Edges that group: the same path or text, or signatures that agree in `near`."""
    return similar(context, edges, context.what.signature, context.what.near)


GROUPING = Grouping(split_keys, split_edges)


def held_out_groups(groups: pa.Array, share: float, salt: str) -> npt.NDArray[np.bool_]:
    """Whether each group, by its smallest id, is held out: SHA-256(salt, id) below the share."""
    limit = int(share * 2**64)
    draw = [int.from_bytes(hashlib.sha256(salt.encode() + group).digest()[:8], "big") for group in groups.to_pylist()]
    return np.array([value < limit for value in draw], bool)


def assign(shard: Shard, attempt: Attempt) -> None:
    """Sides of one home shard."""
    what, ids = shard.context.what, shard.ids
    groups = np.array(ids.to_pylist(), object)
    grouped = labels(shard)
    groups[grouped["row"].to_numpy()] = grouped["label"].to_pylist()
    group_array = pa.array(groups.tolist(), pa.binary(16))
    came = shard.came_in()
    out = held_out_groups(group_array, what.held_out, what.salt) & came
    unfit, tally = _unfit(shard, came, out)
    side = np.where(out, HELD_OUT, np.where(came, TRAIN, OUT))
    side[unfit["row"].to_numpy()] = UNFIT
    table = pa.table([ids, group_array, pa.array(side, pa.uint8())], schema=SPLIT)
    attempt.shard(shard.named("sides"), [table], SPLIT, compressed=False)
    attempt.shard(shard.named("verdicts"), [unfit], VERDICT)
    attempt.tally(tally)


def _unfit(shard: Shard, came: Mask, out: Mask) -> tuple[pa.Table, Tally]:
    """Held-out documents that fail the fixed rules or repeat a held-out text, and the shard's ledger."""
    ids, same = shard.ids, copies(shard)
    rows = same["row"].to_numpy().astype(np.int64)
    rows, first = np.unique(rows, return_index=True)
    mine = out[rows]
    keepers = [same["label"][int(i)].as_py() for i in first[mine]]
    ones = np.ones(int(mine.sum()))
    rules = shard.context.what.rules
    judged = [
        replace(each, reason=f"unfit_{each.reason}") for each in judge_rules(rules, columns_of(shard, rules), out)
    ]
    judged.append(Judged("held_out_copy@1", "unfit_held_out_copy", rows[mine], ones, ones, keepers))
    table, inner = verdict_table(ids, out, judged)
    train = count_ids(ids.filter(pa.array(came & ~out)))
    dropped: dict[str, Count] = dict(inner.dropped)
    if inner.kept.documents:
        dropped["held_out"] = inner.kept
    return table, Tally(came=inner.came + train, kept=train, dropped=dropped)


def _assign(job: Job) -> Phase:
    return shard_phase("assign", job[0], assign)


def _seal(context: Context) -> Sealed:
    return Sealed(sum_tallies(context.commits("assign").values()), {"edition": context.inputs["edition"].digest})


PROGRAM = Program("split", 1, ("pyarrow", "numpy"), (*GROUPING.phases(), _assign), _seal, due=due, makes="sides")
