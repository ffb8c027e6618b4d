"""A small finished run made by hand: two shards, two languages, every kind of stage and of fate."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.document import DOCUMENT, canonical_url, tokens_schema
from corpus.edit import EDITS
from corpus.extract.documents import DEAD
from corpus.verdict import VERDICT, Tally, count_ids
from pipelines.engine.identity import digest_of
from pipelines.engine.stage import Context
from pipelines.engine.store import Attempt, Store, seal, sum_tallies
from pipelines.past.history import History, open_run
from pipelines.stages.verdicts import Judged, verdict_table
from pretrain.journal import Row
from tests.pipelines.pages import SHARDS, STEPS, Page, edits_of, keeper, pages, shard_of

INDEX = pa.schema(
    [
        pa.field("url", pa.string(), nullable=False),
        pa.field("status", pa.int16()),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)
LENGTH = pa.schema([pa.field("bytes", pa.int64(), nullable=False), pa.field("characters", pa.int64(), nullable=False)])
LANGUAGE = pa.schema(
    [pa.field("language", pa.string(), nullable=False), pa.field("score", pa.float64(), nullable=False)]
)
SPLIT = pa.schema(
    [
        DOCUMENT.field("id"),
        pa.field("group", pa.binary(16), nullable=False),
        pa.field("side", pa.uint8(), nullable=False),
    ]
)
MAKES = {
    **{"extract": "edition", "edit": "edition", "measure": "measure", "split": "sides", "tokenize": "tokens"},
    **{"filter": "verdicts", "dedupe": "verdicts", "decontaminate": "verdicts"},
}


def view_of(name: str, makes: str, inputs: Mapping[str, str]) -> dict[str, str]:
    """What a stage after this one sees, by role."""
    seen = {role: stage for role, stage in inputs.items() if role in ("edition", "sides") or "verdict." in role}
    own = {"edition": "edition", "sides": "sides", "verdicts": f"verdict.{sum('verdict.' in r for r in seen):02d}"}
    return seen | ({own[makes]: name} if makes in own else {})


@dataclass
class Builder:
    """Writes stages into a store and remembers them for the run's record."""

    root: Path
    stages: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        name: str,
        kind: str,
        what: Mapping[str, Any],
        inputs: Mapping[str, str],
        fill: Callable[[Attempt, int], Tally] | None = None,
        figures: Mapping[str, Any] | None = None,
        directory: Path | None = None,
        reused: bool = False,
    ) -> Path:
        """Seal one stage; `fill` writes a shard's files and returns its tally."""
        digests = {role: next(s["digest"] for s in self.stages if s["name"] == n) for role, n in inputs.items()}
        identity = {"kind": kind, "version": 1, "what": dict(what), "inputs": digests, "libraries": {}}
        digest = digest_of(identity)
        folder = directory or Store(self.root).directory(kind, digest)
        body = {"name": name, "kind": kind, "digest": digest, "directory": str(folder), "reused": reused}
        body["makes"] = MAKES.get(kind, "")
        self.stages.append({**body, "seconds": 1.5, "identity": identity, "inputs": dict(inputs)})
        self.stages[-1]["view"] = view_of(name, body["makes"], inputs)
        if kind == "snapshot":  # the artefact is the crawl's, the stage is its content
            crawl = {"kind": "crawl", "version": 1, "what": {"kind": "crawl"}, "inputs": {}, "libraries": {}}
            folder = Store(self.root).directory("crawl", digest_of(crawl)) / "crawl-0001"
            self.stages[-1]["directory"], identity = str(folder), crawl
        if kind in ("files", "train"):
            folder.mkdir(parents=True, exist_ok=True)
            return folder
        context = Context(name, kind, None, folder, {}, {})
        for shard in range(SHARDS):
            attempt = context.begin("make", f"{shard:05d}")
            assert attempt is not None
            with attempt:
                if fill is not None:
                    attempt.tally(fill(attempt, shard))
        commits = context.commits("make")
        record = {"host": "h", "started": 1.0, "seconds": 2.0, "bytes_read": 4_000_000, "python": "3.11"}
        seal(folder, identity, commits, dict(figures or {}), sum_tallies(commits.values()), record)
        return folder

    def digest(self, name: str) -> str:
        """A stage's digest."""
        found: str = next(stage["digest"] for stage in self.stages if stage["name"] == name)
        return found


def ids(chosen: Iterable[Page]) -> pa.Array:
    """Their ids."""
    return pa.array([page.id for page in chosen], pa.binary(16))


def table(chosen: list[Page], texts: list[str]) -> pa.Table:
    """DOCUMENT rows."""
    rows = []
    for page, text in zip(chosen, texts, strict=True):
        url = canonical_url(page.key) if "://" in page.key else None
        record = None if url else page.key.partition(":")[2]
        rows.append(
            {
                "id": page.id,
                "url": url,
                "source": "web",
                "record": record,
                "declared_language": page.language,
                "title": f"title of {page.text[:60]}",
                "author": "ada@example.org",
                "published": "2026-03-05",
                "text": text,
            }
        )
    return pa.Table.from_pylist(rows, schema=DOCUMENT)


def make_run(root: Path, steps: int = 6, name: str = "demo", weights: Mapping[str, float] | None = None) -> History:
    """Build the store and its one run."""
    made, builder = pages(), Builder(root)
    home = [[page for page in made if shard_of(page) == shard] for shard in range(SHARDS)]
    assert all(home)
    _source(builder)
    _editions(builder, home)
    _measures(builder, home)
    _judge(builder, home, made)
    _tokens(builder, home)
    _train(builder, steps, weights or {})
    folder = root / "runs" / name
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "command": "siku run recipe=bilingual run.steps=6",
        "finished": 1_790_000_000.0,
        "steps": steps,
        "config": {"model": {"hidden": 128, "名": "四库<b>"}},
        "given": {
            "overrides": ["model=tiny", "run.steps=6"],
            "choices": {"model": "tiny", "filters": "mine"},
            "files": {"/home/me/filters/mine.yaml": "# 自己的<规则>\nwords: {order: 1}\n"},
        },
        "stages": builder.stages,
        "python": "3.11",
    }
    (folder / "run.json").write_text(json.dumps(record, sort_keys=True))
    return open_run(root, name)


def _source(builder: Builder) -> None:
    rows = [
        ("http://help.sample/zh-CN/%E7%A7%81.html", 0, "robots_disallowed", ""),
        ("http://help.sample/missing.html", 404, "http_404", "Not \x1bFound"),
        ("http://help.sample/en-US/a.html", 200, "fetched", ""),
    ]

    def fill(attempt: Attempt, shard: int) -> Tally:
        if shard == 0:
            table = pa.table(
                [pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True), INDEX, strict=True)], schema=INDEX
            )
            attempt.shard("index-00000", [table], INDEX)
            path = attempt.path("help.sample-00000", ".warc.gz")
            path.write_bytes(b"x" * 1000)
            attempt.add("help.sample-00000.warc.gz", path, 0)
        return Tally()

    outcomes = {"fetched": 41, "http_404": 1, "robots_disallowed": 1}
    figures = {"outcomes": outcomes, "segments": 1, "snapshot_digest": "ab" * 32}
    builder.add("source", "snapshot", {"digest": "ab" * 32}, {}, fill, figures)


def _editions(builder: Builder, home: list[list[Page]]) -> None:
    def extract(attempt: Attempt, shard: int) -> Tally:
        attempt.shard(f"documents-{shard:05d}", [table(home[shard], [p.text for p in home[shard]])], DOCUMENT)
        kept, dead = (
            count_ids(ids(home[shard])),
            pa.table({n: pa.array([], DEAD.field(n).type) for n in DEAD.names}, DEAD),
        )
        page = Page("http://help.sample/zh-CN/empty.html", "zh", "")
        if shard_of(page) == shard:
            row = {
                "id": page.id,
                "url": page.key,
                "source": "web",
                "record": None,
                "reason": "empty_text",
                "detail": "0 characters",
                "bytes": 10,
            }
            dead = pa.Table.from_pylist([row], schema=DEAD)
        attempt.shard(f"dead-{shard:05d}", [dead], DEAD)
        gone = count_ids(dead["id"])
        dropped = {"empty_text": gone} if gone.documents else {}
        return Tally(born=kept + gone, kept=kept, dropped=dropped)

    def clean(attempt: Attempt, shard: int) -> Tally:
        texts, rows, removed, added = [], [], {}, {}
        for row, page in enumerate(home[shard]):
            text, found = edits_of(page.text, STEPS)
            texts.append(text)
            rows += [{"id": page.id, "row": row, **edit} for edit in found]
            for edit in found:
                removed[edit["reason"]] = removed.get(edit["reason"], 0) + edit["stop"] - edit["start"]
                added[edit["reason"]] = added.get(edit["reason"], 0) + len(edit["replacement"])
        attempt.shard(f"documents-{shard:05d}", [table(home[shard], texts)], DOCUMENT)
        attempt.shard(f"edits-{shard:05d}", [pa.Table.from_pylist(rows, schema=EDITS)], EDITS)
        count = count_ids(ids(home[shard]))
        before, after = (sum(len(t.encode()) for t in ts) for ts in ([p.text for p in home[shard]], texts))
        return Tally(came=count, kept=count, bytes_in=before, bytes_out=after, removed=removed, added=added)

    source = {"source": "web", "licence": "CC-BY-4.0"}
    builder.add("extract", "extract", {"kind": "extract", **source}, {"source": "source"}, extract, source)
    mask = {"edit": "mask", "order": 20, "kinds": ["email", "phone", "id_number"]}
    builder.add("clean", "edit", {"kind": "edit", "edits": {"mask": mask}}, {"edition": "extract"}, clean)


def _measures(builder: Builder, home: list[list[Page]]) -> None:
    def of(schema: pa.Schema, values: Callable[[Page], dict[str, Any]]) -> Callable[[Attempt, int], Tally]:
        def fill(attempt: Attempt, shard: int) -> Tally:
            rows = pa.Table.from_pylist([values(page) for page in home[shard]], schema=schema)
            attempt.shard(f"columns-{shard:05d}", [rows], schema, compressed=False)
            count = count_ids(ids(home[shard]))
            return Tally(came=count, kept=count)

        return fill

    def length(page: Page) -> dict[str, Any]:
        text = edits_of(page.text, STEPS)[0]
        return {"bytes": len(text.encode()), "characters": len(text)}

    figures = {"edition": builder.digest("clean")}
    for name, schema, values in (
        ("language", LANGUAGE, lambda page: {"language": page.language, "score": 0.9}),
        ("length", LENGTH, length),
    ):
        builder.add(f"measure.{name}", "measure", {"measure": name}, {"edition": "clean"}, of(schema, values), figures)


def _judge(builder: Builder, home: list[list[Page]], made: list[Page]) -> None:
    out, side = ("held_out", "unfit"), {"held_out": 1, "unfit": 2}

    def split(attempt: Attempt, shard: int) -> Tally:
        chosen = home[shard]
        held = np.array([page.fate in out for page in chosen])
        rows = np.flatnonzero([page.fate == "unfit" for page in chosen])
        judged = Judged("length@1", "length", rows, np.full(len(rows), 2.0), np.full(len(rows), 10.0))
        verdicts, inner = verdict_table(ids(chosen), held, [judged])
        sides = pa.array([side.get(page.fate, 0) for page in chosen], pa.uint8())
        attempt.shard(
            f"sides-{shard:05d}", [pa.table([ids(chosen), ids(chosen), sides], schema=SPLIT)], SPLIT, compressed=False
        )
        attempt.shard(f"verdicts-{shard:05d}", [verdicts], VERDICT)
        train = count_ids(ids(page for page in chosen if page.fate not in out))
        dropped = {f"unfit_{reason}": count for reason, count in inner.dropped.items()}
        if inner.kept.documents:
            dropped["held_out"] = inner.kept
        return Tally(came=inner.came + train, kept=train, dropped=dropped)

    def judge(
        order: list[str], rules: list[tuple[str, str, list[str], float, float]]
    ) -> Callable[[Attempt, int], Tally]:
        def fill(attempt: Attempt, shard: int) -> Tally:
            chosen = home[shard]
            came = np.array([page.fate not in (*out, *order) for page in chosen])
            judged = []
            for rule, reason, fates, value, threshold in rules:
                rows = np.flatnonzero([page.fate in fates for page in chosen])
                keepers = [keeper(made).id] * len(rows) if reason == "near_duplicate" else None
                values = value + 0.001 * rows
                judged.append(Judged(rule, reason, rows, values, np.full(len(rows), threshold), keepers))
            verdicts, tally = verdict_table(ids(chosen), came, judged)
            attempt.shard(f"verdicts-{shard:05d}", [verdicts], VERDICT)
            return tally

        return fill

    edition = {"edition": builder.digest("clean")}
    measures = {"measure.language": "measure.language", "measure.length": "measure.length"}
    rules = {"length": {"$type": "Range", "rule": "range", "minimum": {"other": 10}}}
    what = {"kind": "split", "near": 0.5, "held_out": 0.16, "salt": "siku", "rules": rules}
    builder.add("split", "split", what, {"edition": "clean", **measures}, split, edition)
    roles = {"edition": "clean", "sides": "split"}
    short = [
        ("too_short@2", "too_short", ["short"], 1.0, 50.0),
        ("few_words@1", "few_words", ["short", "toxic"], 3.0, 10.0),
        ("toxic@1", "toxic", ["toxic"], float("nan"), 0.1),
    ]
    builder.add("filter", "filter", {"kind": "filter"}, {**roles, **measures}, judge([], short), edition, reused=True)
    roles["verdict.00"] = "filter"
    gone = ["short", "toxic"]
    duplicate = [("near_duplicate@1", "near_duplicate", ["duplicate"], 1.0, 1.0)]
    builder.add("dedupe", "dedupe", {"kind": "dedupe"}, roles, judge(gone, duplicate), edition)
    roles = {**roles, "verdict.01": "dedupe"}
    leak = [("near_held_out@1", "near_held_out", ["near_held_out"], 0.9, 0.2)]
    remaining = {"documents": 27, "with_any_overlap": 2, "mean_share": 0.01, "largest_share": 0.15}
    figures = {**edition, "remaining_overlap": remaining}
    builder.add(
        "decontaminate", "decontaminate", {"kind": "decontaminate"}, roles, judge([*gone, "duplicate"], leak), figures
    )


def _tokens(builder: Builder, home: list[list[Page]]) -> None:
    schema = tokens_schema("uint16")
    builder.add(
        "tokenizer", "tokenizer", {"kind": "tokenizer"}, {"edition": "clean", "sides": "split"}, None, {"documents": 9}
    )

    def tokens(page: Page) -> list[int]:
        return [1 + byte for byte in edits_of(page.text, STEPS)[0].encode()[::4]] + [0]

    def of(fate: str) -> tuple[Callable[[Attempt, int], Tally], dict[str, Any]]:
        def fill(attempt: Attempt, shard: int) -> Tally:
            tally = Tally()
            for language in ("en", "zh"):
                chosen = [page for page in home[shard] if page.fate == fate and page.language == language]
                sizes = pa.array([len(edits_of(page.text, STEPS)[0].encode()) for page in chosen], pa.int64())
                lists = pa.array([tokens(page) for page in chosen], schema.field("tokens").type)
                rows = pa.table([ids(chosen), sizes, lists], schema=schema)
                attempt.shard(f"{language}-{shard:05d}", [rows], schema, compressed=False)
                count = count_ids(ids(chosen))
                tally += Tally(came=count, kept=count)
            return tally

        figures = {}
        for language in ("en", "zh"):
            chosen = [p for shard in home for p in shard if p.fate == fate and p.language == language]
            texts = [edits_of(page.text, STEPS)[0] for page in chosen]
            figures[language] = {
                "documents": len(chosen),
                "tokens": sum(len(tokens(p)) for p in chosen),
                "bytes": sum(len(t.encode()) for t in texts),
            }
        return fill, {"components": figures, "vocabulary": 257, "eod": 0}

    roles = {"edition": "clean", "sides": "split", "measure.language": "measure.language", "tokenizer": "tokenizer"}
    verdicts = {"verdict.00": "filter", "verdict.01": "dedupe", "verdict.02": "decontaminate"}
    for name, side, fate, inputs in (
        ("tokens", "train", "kept", {**roles, **verdicts}),
        ("held_out", "held_out", "held_out", roles),
    ):
        fill, figures = of(fate)
        builder.add(name, "tokenize", {"kind": "tokenize", "side": side}, inputs, fill, figures)


def _train(builder: Builder, steps: int, weights: Mapping[str, float]) -> None:
    batch, length = 4, 32
    what = {
        "model": {"sequence_length": length},
        "train": {"data_seed": 1, "global_batch": batch},
        "mixture": {"weights": dict(weights), "rest": None},
    }
    folder = builder.add("train", "train", what, {"tokens": "tokens"})

    def row(step: int, attempt: int, status: Any) -> Row:
        return Row(
            step, attempt, (step - 1) * batch, step * batch, status, 6.0 / step, 1e-3, 0.5, step * batch * length, 0.25
        )

    rows = [row(step, 1, "taken") for step in range(1, 4)] + [row(3, 1, "rolled_back")]
    rows += [row(step, 2, "taken") for step in range(3, steps + 3)]  # a later run went on
    (folder / "journal.jsonl").write_text("".join(json.dumps(asdict(r)) + "\n" for r in rows))

    def score(value: float) -> dict[str, Any]:
        return {"bits_per_byte": value, "interval": [value - 0.1, value + 0.1]}

    for name, step, value in (("untrained", 0, 3.0), ("evaluate", steps, 1.5)):
        languages = {
            language: {
                "documents": 3,
                "bytes": 300,
                "tokens": 90,
                "nats": 1.0,
                **score(value + extra),
                "unigram": score(2.2),
            }
            for language, extra in (("en", 0.0), ("zh", 0.2))
        }
        inputs = {"train": "train", "tokens": "tokens", "held_out": "held_out"}
        builder.add(
            name, "evaluate", {"evaluation": {}, "step": step}, inputs, None, {"result": {"languages": languages}}
        )
