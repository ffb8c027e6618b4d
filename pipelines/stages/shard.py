"""A home shard as a stage sees it: its documents, which of them are still in, what was measured of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.document import raw_ids
from corpus.verdict import Count
from pipelines.engine import roles
from pipelines.engine.roles import Role
from pipelines.engine.stage import Context, Item, Phase, Work
from pipelines.engine.store import Artifact, StoreError, shard_name

# Sides. UNFIT: held out, but fails the fixed rules; OUT: dropped before the sides were told.
TRAIN, HELD_OUT, UNFIT, OUT = 0, 1, 2, 3
Mask = npt.NDArray[np.bool_]


class Shard(Work):
    """Shard `number` of a stage's edition; rows are its documents, in id order."""

    def __init__(self, context: Context, item: Item | int) -> None:
        super().__init__(context, Item(f"{item:05d}") if isinstance(item, int) else item)

    @property
    def number(self) -> int:
        """The shard's place in its edition."""
        return int(self.item.name)

    def named(self, part: str) -> str:
        """Logical name of the shard's file of a part: `documents-00012`."""
        return shard_name(part, self.number)

    @property
    def edition(self) -> Artifact:
        """The edition that the shard is of."""
        return self.context.inputs[roles.EDITION]

    def table(self, columns: list[str]) -> pa.Table:
        """Columns of the shard's documents."""
        return self.edition.table(self.named("documents"), columns)

    def text_batches(self, *columns: str) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The documents' columns, `text` by default, streamed: first row of each batch, and the batch."""
        base = 0
        for batch in self.edition.batches(self.named("documents"), list(columns) or ["text"]):
            yield base, batch
            base += batch.num_rows

    @cached_property
    def ids(self) -> pa.Array:
        """Ids of the documents."""
        return self.table(["id"])["id"].combine_chunks()

    @property
    def rows(self) -> int:
        """How many documents the edition has here."""
        return self.edition.files[self.named("documents")].rows

    @cached_property
    def counted(self) -> Mask:
        """Rows that the edition counts: all but those that a union before it has dropped, whose rows it keeps."""
        return self.side(roles.UNION) == TRAIN if roles.UNION in self.context.inputs else np.ones(self.rows, bool)

    def side(self, role: Role = roles.SIDES) -> npt.NDArray[np.uint8]:
        """Side of each document, as the last split or union before the stage tells."""
        sides: npt.NDArray[np.uint8] = self.context.inputs[role].table(self.named("sides"), ["side"])["side"].to_numpy()
        return sides

    def came_in(self, side: int = TRAIN) -> Mask:
        """Rows that reach the stage: on `side`, and dropped by no verdict stage before it."""
        inputs = self.context.inputs
        mask: Mask = self.side() == side if roles.SIDES in inputs else np.full(self.rows, side == TRAIN)
        for verdicts in verdict_inputs(self.context):
            mask[verdicts.table(self.named("verdicts"), ["row"])["row"].to_numpy()] = False
        return mask

    def measured(self, measure: str, columns: list[str] | None = None) -> pa.Table:
        """A measure's columns; refused when they are of another edition."""
        return self._aligned(roles.measure(measure), "columns", columns)

    def keys(self, key: str, columns: list[str] | None = None) -> pa.Table:
        """A key's rows (corpus.dedup.SCHEMAS), one a document; refused when they are of another edition."""
        return self._aligned(roles.key(key), "keys", columns)

    def _aligned(self, role: Role, part: str, columns: list[str] | None) -> pa.Table:
        artifact, edition = self.context.inputs[role], self.edition
        of = artifact.figures["edition"]
        if of != edition.digest:
            raise StoreError(
                f"stage {self.context.name} reads {role} of edition {of}, but judges edition "
                f"{edition.digest}: put its stage after the edition that is judged"
            )
        rows = artifact.files[self.named(part)].rows
        if rows != self.rows:
            raise StoreError(
                f"{artifact.directory} has {rows} rows in shard {self.number}, where its edition has {self.rows}: "
                "remove that folder and run again"
            )
        return artifact.table(self.named(part), columns)


def shard_phase(
    name: str,
    context: Context,
    function: object,
    *,
    role: Role = roles.EDITION,
    scratch: bool = False,
    joint: bool = False,
) -> Phase:
    """A phase of `function(shard, attempt)`, one item a home shard of the edition."""
    return Phase(name, shard_items(context, role), function, scratch, Shard, joint)  # type: ignore[arg-type]


def shard_items(context: Context, role: Role = roles.EDITION) -> list[Item]:
    """One item a home shard of the edition."""
    edition = context.inputs[role]
    return [Item(name.rpartition("-")[2], edition.files[name].bytes) for name in edition.names("documents")]


def shard_count_runs(edition: Artifact) -> list[int]:
    """Home shards of an edition, as runs in which shards hold equal ranges of ids: one, or one a part of a union."""
    runs: list[int] = edition.figures.get("shard_counts") or [len(edition.names("documents"))]
    return runs


def shards_of_ids(runs: Sequence[int], first: bytes, last: bytes) -> Iterator[int]:
    """Shards that may hold ids from `first` to `last`, beginnings of ids at will: by their first 32 bits."""
    low = int.from_bytes(first[:4].ljust(4, b"\x00"), "big")
    high = int.from_bytes(last[:4].ljust(4, b"\xff"), "big")
    base = 0
    for shards in runs:
        yield from range(base + ((low * shards) >> 32), base + ((high * shards) >> 32) + 1)
        base += shards


def text_bytes(edition: Artifact) -> int:
    """UTF-8 bytes of an edition's text."""
    size: int = edition.figures.get("text_bytes") or edition.tally.bytes_out
    return size


def narrowed(context: Context, chain: Mapping[Role, Role]) -> Context:
    """The view of a chain that stands among the inputs (`roles.parts`, `roles.runs`): its inputs by its own roles."""
    return replace(context, inputs={own: context.inputs[role] for own, role in chain.items()}, what=None)


NO_IDS = np.empty(0, "V16")


def kept_among(chain: Context, raw: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Ids that a chain kept, in its shards that may hold the given ones, which are sorted."""
    if not len(raw):
        return NO_IDS
    kept = [NO_IDS]
    for number in shards_of_ids(shard_count_runs(chain.inputs[roles.EDITION]), raw[0].tobytes(), raw[-1].tobytes()):
        shard = Shard(chain, number)
        kept.append(raw_ids(shard.ids)[shard.came_in()])
    return np.concatenate(kept)


def verdict_inputs(context: Context) -> list[Artifact]:
    """The verdict stages before this one, in their order."""
    return [context.inputs[role] for role in roles.verdicts(context.inputs)]


def due_of_edition(context: Context) -> Count:
    """Documents that must come into a stage that goes through a whole edition, whoever has dropped them since."""
    return context.inputs[roles.UNION if roles.UNION in context.inputs else roles.EDITION].tally.kept


def due(context: Context) -> Count:
    """Documents that must come into a stage: those its predecessor kept."""
    if getattr(context.what, "side", "") == "held_out":
        return context.inputs[roles.SIDES].tally.dropped.get("held_out", Count())
    before = verdict_inputs(context)[-1:] or [
        context.inputs[role] for role in (roles.SIDES, roles.EDITION) if role in context.inputs
    ]
    return before[0].tally.kept
