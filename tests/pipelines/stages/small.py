"""Small stores for the tests of stages: what a stage reads is written by hand, what it makes goes through the engine.

Shards hold more than 4,096 rows, so that each has a second batch.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from hypothesis import Phase as Examples
from hypothesis import settings

from corpus.document import DOCUMENT
from corpus.verdict import VERDICT, Tally, count_ids
from pipelines.engine.execute import make
from pipelines.engine.runner import Workers
from pipelines.engine.shuffle import bucket_of
from pipelines.engine.stage import Context, Item, Makes, Phase, Program, Stage, Totals, Work
from pipelines.engine.store import Artifact, Attempt, Store
from pipelines.stages.split import SPLIT

ROWS = 9400  # documents of an edition of two shards
SHARDS = 2
Row = dict[str, Any]


def examples(count: int) -> settings:
    """So many examples, and no search for a smaller one: an example takes a second or more."""
    return settings(max_examples=count, phases=[Examples.explicit, Examples.generate])


PIECES = {
    "zh": (
        "今天的天气很好，我们去公园散步。",
        "文档可以插入表格和图片！",
        "　　段落的开头有两个空格。",
        "电话13812345678，",
    ),
    "zh-Hant": (
        "圖書館收藏了許多古籍。",
        "這個句子說明如何設定頁面邊距；",
        "「引文」\u3000之後，",
        "郵箱 wang@example.com.tw。",
    ),
    "en": (
        "The weather  was good. ",
        "Choose the menu,\tthen\r\nclick. ",
        "Write to jane.doe@example.org now. ",
        "e\u0301tude ",
    ),
    "other": ("\u200bzero\ufeff width ", "🙂👩‍👧 emoji ", "ﬁ ligature ", "мир "),
}


@dataclass(frozen=True)
class Given:
    """WHAT of a stage that a test writes: its content."""

    version: ClassVar[int] = 1
    content: str


@dataclass(frozen=True)
class Made:
    """A finished stage and its result."""

    stage: Stage
    artifact: Artifact

    def rows(self, part: str) -> list[Row]:
        """Rows of all shards of a part, in order."""
        return [row for name in self.artifact.names(part) for row in self.artifact.table(name).to_pylist()]


def write(work: Work, attempt: Attempt) -> None:
    """One shard of each part, as it was given."""
    for part, tables in work.context.where["tables"].items():
        table = tables[int(work.name)]
        attempt.shard(f"{part}-{work.name}", [table], table.schema, compressed=part == "documents")


def _quiet(line: str) -> None:
    pass


def given(
    root: Path,
    kind: str,
    makes: Makes,
    tables: Mapping[str, Sequence[pa.Table]],
    tally: Tally | None = None,
    **figures: object,
) -> Made:
    """A stage whose shards are written by hand."""
    shards = len(next(iter(tables.values())))
    digest = hashlib.sha256(repr(sorted(figures.items())).encode())
    for part, each in sorted(tables.items()):
        for table in each:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
            digest.update(part.encode() + sink.getvalue().to_pybytes())
    program = Program(
        kind,
        1,
        (),
        (lambda job: Phase("write", [Item(f"{shard:05d}") for shard in range(shards)], write),),
        lambda context: Totals(tally or Tally(), figures),
        beam=False,
        makes=makes,
    )
    return made(root, program, Given(digest.hexdigest()), {}, tables=tables)


def made(root: Path, program: Program, what: object, inputs: Mapping[str, Made], **where: object) -> Made:
    """A stage made by its program."""
    return together(root, program, {program.kind: what}, inputs, **where)[program.kind]


def together(
    root: Path, program: Program, whats: Mapping[str, object], inputs: Mapping[str, Made], **where: object
) -> dict[str, Made]:
    """Stages made in one pass, by name."""
    store = Store(root)
    before = {role: each.stage for role, each in inputs.items()}
    stages = [
        Stage(name, program.kind, program.version, what, before, program.libraries, str, program.makes)
        for name, what in whats.items()
    ]
    artifacts = {role: each.artifact for role, each in inputs.items()}
    contexts = tuple(
        Context(stage.name, stage.kind, stage.what, store.directory(stage.kind, stage.digest), artifacts, where)
        for stage in stages
    )
    make(replace(program, beam=False), stages, contexts, Workers(), _quiet)
    out = {}
    for stage in stages:
        artifact = store.find(stage.kind, stage.digest)
        assert artifact is not None
        out[stage.name] = Made(stage, artifact)
    return out


@cache
def pool() -> tuple[tuple[str, str], ...]:
    """Kinds and texts that documents are drawn from: both scripts, mixed, neither, and an empty one."""
    rng = np.random.default_rng(7)
    kinds = {**PIECES, "mixed": tuple(piece for pieces in PIECES.values() for piece in pieces)}
    texts = [
        (kind, "".join(rng.choice(pieces, rng.integers(1, 7)))) for kind, pieces in kinds.items() for _ in range(40)
    ]
    return (*texts, ("other", ""))


def documents(seed: int, rows: int = ROWS) -> list[Row]:
    """Documents in id order; `kind` is the kind of their text."""
    rng, texts = np.random.default_rng(seed), pool()
    ids, chosen = sorted({rng.bytes(16) for _ in range(rows)}), rng.integers(0, len(texts), rows)
    out = []
    for number, identifier in enumerate(ids):
        kind, text = texts[chosen[number]]
        row = {
            "id": identifier,
            "source": ("网", "books")[number % 2],
            "record": str(number),
            "text": text,
            "kind": kind,
        }
        out.append(dict.fromkeys(DOCUMENT.names) | row)
    return out


def by_shard(rows: Sequence[Row], shards: int = SHARDS) -> list[list[Row]]:
    """Rows by the home shard of their id."""
    home = bucket_of(pa.array([row["id"] for row in rows], pa.binary(16)), shards)
    return [[row for row, at in zip(rows, home, strict=True) if at == shard] for shard in range(shards)]


def table(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    """Rows as a table; keys that the schema has not are left out."""
    return pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema=schema)


def ids_of(rows: Sequence[Row]) -> pa.Array:
    """Their ids."""
    return pa.array([row["id"] for row in rows], pa.binary(16))


def edition(root: Path, rows: Sequence[Row], kind: str = "extract") -> Made:
    """The documents as an edition of two shards, each of two batches."""
    shards = by_shard(rows)
    if len(rows) == ROWS:
        assert all(len(shard) > 4096 for shard in shards)
    count = count_ids(ids_of(rows))
    size = sum(len(row["text"].encode()) for row in rows)
    tally = Tally(born=count, kept=count, bytes_in=size, bytes_out=size)
    return given(root, kind, "edition", {"documents": [table(each, DOCUMENT) for each in shards]}, tally)


def sides(root: Path, rows: Sequence[Row], side: Mapping[bytes, int]) -> Made:
    """A split that puts each document on a side."""
    placed = [row | {"group": row["id"], "side": side[row["id"]]} for row in rows]
    kept, held, unfit = (count_ids(ids_of([r for r in placed if r["side"] == one])) for one in (0, 1, 2))
    tally = Tally(came=count_ids(ids_of(rows)), kept=kept, dropped={"held_out": held, "unfit_length": unfit})
    return given(root, "split", "sides", {"sides": [table(each, SPLIT) for each in by_shard(placed)]}, tally)


def verdicts(root: Path, rows: Sequence[Row], came: set[bytes], dropped: set[bytes], reason: str = "早") -> Made:
    """A verdict stage that drops some of those that came in."""
    tables = []
    for shard in by_shard(rows):
        judged = [
            {"id": row["id"], "row": at, "rule": f"{reason}@1", "reason": reason, "first": True}
            | {"value": 0.0, "threshold": 1.0, "keeper": None}
            for at, row in enumerate(shard)
            if row["id"] in dropped
        ]
        tables.append(table(judged, VERDICT))
    gone, kept = ([row for row in rows if row["id"] in which] for which in (dropped, came - dropped))
    tally = Tally(
        came=count_ids(ids_of(gone + kept)), kept=count_ids(ids_of(kept)), dropped={reason: count_ids(ids_of(gone))}
    )
    return given(root, "filter", "verdicts", {"verdicts": tables}, tally)


def measure(root: Path, of: Made, rows: Sequence[Row], schema: pa.Schema) -> Made:
    """Columns of the rows as a measure of an edition."""
    tables = [table(each, schema) for each in by_shard(rows)]
    return given(root, "measure", "measure", {"columns": tables}, edition=of.stage.digest)


def write_tokenizer(work: Work, attempt: Attempt) -> None:
    """A tokenizer.json, as it was given."""
    path = attempt.path("tokenizer", ".json")
    path.write_text(work.context.where["text"], "utf-8")
    attempt.add("tokenizer", path, 1)


def tokenizer(root: Path, text: str) -> Made:
    """A tokenizer stage of that tokenizer.json."""
    phase = Phase("train", [Item("tokenizer")], write_tokenizer)
    program = Program("tokenizer", 1, (), (lambda job: phase,), lambda context: Totals(Tally()), beam=False)
    return made(root, program, Given(hashlib.sha256(text.encode()).hexdigest()), {}, text=text)


def reconciled(tally: Tally, came: set[bytes], kept: set[bytes], dropped: Mapping[str, set[bytes]]) -> None:
    """The ledger in documents and in id sums, reason by reason."""

    def count(ids: set[bytes]) -> tuple[int, int]:
        return len(ids), sum(int.from_bytes(each, "big") for each in ids) % (1 << 128)

    def told(name: str) -> tuple[int, int]:
        each = getattr(tally, name)
        return each.documents, each.id_sum

    assert (told("came"), told("kept")) == (count(came), count(kept))
    reasons = {reason: (each.documents, each.id_sum) for reason, each in tally.dropped.items()}
    assert reasons == {reason: count(ids) for reason, ids in dropped.items() if ids}
