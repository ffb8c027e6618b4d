"""`siku explain`: why a document is there or not, what a training step read, what a rule drops."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.document import raw_ids
from pipelines.engine.store import shard_name
from pipelines.graph.checks import nearest
from pipelines.past.changes import shown
from pipelines.past.history import History, Past
from pipelines.past.lookup import Place, display_name, display_names, find, matches, paths, urls, wanted
from pipelines.past.masked import masked, masked_text, unmasked
from pipelines.past.samples import choose, dead_letters, documents, excerpt, languages, named, printable, take, unwanted
from pipelines.past.trained import Training, training, untrained
from pipelines.stages.shard import HELD_OUT, OUT, TRAIN

Out = Callable[[str], None]
SHOWN_CHANGES = 3  # of each edit and reason
SHOWN_STEPS = 20
NEAREST = 3  # samples of each rule and language


@dataclass(frozen=True, slots=True)
class Explanation:
    """What `siku explain` prints; `found` is False where the run knows nothing of what was asked."""

    found: bool
    lines: tuple[str, ...]

    def __str__(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines)


def explain(
    history: History, *, doc: str | None = None, step: int | None = None, rule: str | None = None, raw: bool = False
) -> Explanation:
    """Say why a document, a step or a rule did what it did. Raises ValueError unless it is asked for one of them."""
    if sum(each is not None for each in (doc, step, rule)) != 1:
        raise ValueError(f"explain(doc={doc!r}, step={step!r}, rule={rule!r}): ask for one of doc, step and rule")
    lines: list[str] = []
    if doc is not None:
        status = explain_document(history, doc, lines.append, raw)
    elif step is not None:
        status = explain_step(history, step, lines.append, raw)
    else:
        status = explain_rule(history, str(rule), lines.append, raw)
    return Explanation(status == 0, tuple(lines))


def explain_document(history: History, key: str, out: Out, raw: bool = False) -> int:
    """Say everything of a document: found by URL in any spelling, `source:record`, its file, or the start of its id."""
    found = find(history, key)
    for place in found:
        _document(history, place, out, raw)
    dead = list(_dead_letters(history, key))
    for stage, letter in dead:
        out(display_name(letter, raw=raw))
        out(f"  id        {letter['id'].hex()}")
        out(f"  dropped   by {stage.name}: {letter['reason']} {_seen(letter['detail'] or '', raw)}".rstrip())
    fetched = list(_outcomes(history, key, raw)) if not found and not dead else []
    for line in fetched:
        out(line)
    if not found and not dead and not fetched:
        out(f"{printable(key)}: run {history.name} has never seen it: not as a URL in any spelling, a record or an id")
        for name, source, _ in paths(history, key):
            if Path(key).expanduser().exists():
                kind = source.what["kind"]
                out(f"the source {name} ({kind}) may hold more than one document a file: name one as {name}:RECORD")
        return 1
    return 0


def _document(history: History, place: Place, out: Out, raw: bool) -> None:
    lineage = history.lineage
    edition = history.artifact(lineage.editions[-1])
    columns = ["url", "source", "record", "declared_language", "parent"]
    (document,) = take(edition, shard_name("documents", place.shard), [place.row], columns)
    out(display_name(document, raw=raw))
    out(f"  id        {place.id.hex()} (home shard {place.shard}, row {place.row})")
    declared = (
        f", declared language {printable(document['declared_language'])}" if document["declared_language"] else ""
    )
    out(f"  source    {printable(document['source'])}, record {_seen(document['record'] or '-', raw)}{declared}")
    if document["parent"]:
        out(f"  parent    {document['parent'].hex()}")
    for line in _fate(history, place, raw):
        out(line)
    for line in _edits(history, place, raw):
        out(line)
    for line in _measures(history, place):
        out(line)
    for line in _tokens(history, place):
        out(line)


def _fate(history: History, place: Place, raw: bool) -> Iterator[str]:
    """Kept, held out, or dropped, with every rule it fails."""
    lineage = history.lineage
    route, side = history.route(place.shard), TRAIN
    if route.part:
        yield f"  part      {route.part} of {lineage.editions[0].name}"
    if lineage.split is None:
        yield "  side      not split: this recipe has no split, or the run stopped before it"
    else:
        row = history.artifact(lineage.split).table(shard_name("sides", place.shard)).slice(place.row, 1).to_pylist()[0]
        group, side = row["group"], row["side"]
        name = _SIDES.get(side, "held out, but unfit for the yardstick")
        head = display_names(history, [group], raw=raw).get(group, "") if group != place.id else ""
        yield f"  side      {name} (group {group.hex()}{head and f' of {head}'})"
    kept, spoken = True, languages(history, place.shard)
    language = "" if spoken is None else str(spoken[place.row])
    for stage, number in route.verdicts:
        table = history.artifact(stage).table(shard_name("verdicts", number))
        verdicts = table.filter(pc.equal(table["row"], pa.scalar(place.row, pa.uint32()))).to_pylist()
        for verdict in verdicts:  # a row's verdicts stand in their rules' order
            kept = False
            word = "dropped  " if verdict["first"] else "also fails"
            same = _keeper(history, verdict["keeper"], raw)
            yield f"  {word} by {stage.name}: {_verdict(stage, verdict, language)}{same}"
    if kept and route.verdicts:
        last = route.verdicts[-1][0].name
        yield f"  kept      by every stage up to {last}" if side == TRAIN else "  kept      for evaluation"


_SIDES = {TRAIN: "training", HELD_OUT: "held out", OUT: "dropped before the split"}


def _verdict(stage: Past, verdict: dict[str, Any], language: str) -> str:
    limit = unwanted(stage, verdict["rule"], language) or f"threshold {verdict['threshold']:.6g}"
    return f"{verdict['rule']}, value {verdict['value']:.6g}, {limit}"


def _keeper(history: History, keeper: bytes | None, raw: bool) -> str:
    if keeper is None:
        return ""
    return f", duplicate of {keeper.hex()} {display_names(history, [keeper], raw=raw).get(keeper, '')}".rstrip()


def _edits(history: History, place: Place, raw: bool) -> Iterator[str]:
    found, counts = shown(history, place, raw=raw, limit=SHOWN_CHANGES)
    if not counts:
        yield "  edits     none"
    for (edit, reason), count in sorted(counts.items()):
        yield f"  edits     {edit} {reason}: {count}"
        for each in found:
            change = each.change
            if (change.edit, change.reason) == (edit, reason):
                before = f" (was {each.before!r})" if each.before is not None else ""
                text = f"…{each.left}[{each.now}]{each.right}…"
                yield f"    bytes {change.start}:{change.stop}{before}: {text}"


def _measures(history: History, place: Place) -> Iterator[str]:
    for name, stage in sorted(history.lineage.measures.items()):
        table = history.artifact(stage).table(shard_name("columns", place.shard)).slice(place.row, 1)
        values = []
        for column, value in table.to_pylist()[0].items():
            text = f"{value:.4g}" if isinstance(value, float) else str(value)
            values.append(f"{column} {value.hex()[:16]}…" if isinstance(value, bytes) else f"{column} {text}")
        yield f"  measure   {name}: {', '.join(values)}"


def _tokens(history: History, place: Place) -> Iterator[str]:
    for stage in (history.lineage.tokens, history.lineage.held_out):
        if stage is None:
            continue
        for component, count in token_counts(history, stage, place.shard).get(place.id, []):
            yield f"  tokens    {count} in {stage.name}, component {component}"
            trained = training(history)
            if trained is not None and stage is history.lineage.tokens:
                yield from _steps_of(trained, place.id)


def token_counts(history: History, stage: Past, shard: int) -> dict[bytes, list[tuple[str, int]]]:
    """Tokens of each document of a home shard, EOD included, by component."""
    artifact = history.artifact(stage)
    out: dict[bytes, list[tuple[str, int]]] = {}
    for component in sorted(artifact.figures["components"]):
        name = f"{component}-{shard:05d}"
        if name in artifact.files:
            table = artifact.table(name, ["id", "tokens"])
            sizes = pc.list_value_length(table["tokens"]).to_pylist()
            for identifier, size in zip(table["id"].to_pylist(), sizes, strict=True):
                out.setdefault(identifier, []).append((component, size))
    return out


def _steps_of(trained: Training, document: bytes) -> Iterator[str]:
    found = list(trained.containing(document))
    if not found:
        yield f"  training  in none of the {len(trained.taken)} steps of this run"
    for row, span in found[:SHOWN_STEPS]:
        yield f"  training  step {row.step}, sample {span.sample}: tokens {span.start}:{span.stop}, epoch {span.epoch}"
    if len(found) > SHOWN_STEPS:
        steps = sorted({row.step for row, _ in found})
        yield f"  training  … {len(found)} spans in {len(steps)} steps in all, the last step {steps[-1]}"


def _dead_letters(history: History, key: str) -> Iterator[tuple[Past, dict[str, Any]]]:
    for stage in history.of_kind("extract"):
        artifact = history.artifact(stage)
        for name in artifact.names("dead"):
            table = artifact.table(name)
            raw = raw_ids(table["id"])
            for prefix, odd in wanted(history, key):
                for letter in table.take(pa.array(matches(raw, prefix, odd))).to_pylist():
                    yield stage, letter


def _seen(text: str, raw: bool) -> str:
    """What a stranger wrote, as it may be shown."""
    return printable(text if raw else masked(text))


def _outcomes(history: History, key: str, raw: bool) -> Iterator[str]:
    """What the crawl did with a URL that gave no capture."""
    wanted_urls = pa.array([key, *urls(key)], pa.string())
    for stage in history.of_kind("snapshot"):
        artifact = history.artifact(stage)
        for name in artifact.names("index"):
            table = artifact.table(name)
            for row in table.filter(pc.is_in(table["url"], value_set=wanted_urls)).to_pylist():
                status = f", status {row['status']}" if row["status"] else ""
                detail = f", {_seen(row['detail'], raw)}" if row["detail"] else ""
                yield _seen(row["url"], raw)
                yield f"  crawl     by {stage.name}: {row['outcome']}{status}{detail}"


def explain_step(history: History, step: int, out: Out, raw: bool = False) -> int:
    """Say what a training step read, and which attempts at it were rolled back."""
    trained = training(history)
    if trained is None:
        out(untrained(history))
        return 1
    rows = [row for row in trained.rows if row.step == step]
    if not rows:
        last = max(trained.taken, default=0)
        out(f"run {history.name} took no step {step}: its steps are 1 to {last}" if last else untrained(history))
        return 1
    for row in rows:
        out(
            f"step {row.step}, attempt {row.attempt}, {row.status.replace('_', ' ')}: samples {row.first_sample} to "
            f"{row.last_sample - 1}, loss {row.loss:.4f} nats/token, lr {row.lr:.3g}, gradient norm "
            f"{row.grad_norm:.3g}, {row.tokens} tokens seen"
        )
    row = trained.taken.get(step, rows[-1])
    spans = trained.spans(row)
    names = display_names(history, {span.document for span in spans}, raw=raw)
    sample = -1
    for span in spans:
        if span.sample != sample:
            sample = span.sample
            out(f"  sample {sample} ({printable(span.source)})")
        name = names.get(span.document, "")
        out(f"    {span.document.hex()} tokens {span.start}:{span.stop}, epoch {span.epoch}  {name}".rstrip())
    total = sum(span.stop - span.start for span in spans)
    out(f"  {len({span.document for span in spans})} documents, {len(spans)} spans, {total} tokens")
    return 0


def explain_rule(history: History, name: str, out: Out, raw: bool = False) -> int:
    """Say what a rule drops: how many, their values, and those nearest the threshold in each language."""
    seen = False
    for stage in history.judges:
        values = _values(history, stage, name)
        if values:
            seen = True
            _rule(history, stage, name, values, out, raw)
    reasons = _dead_reasons(history)
    if name in reasons:
        seen = True
        out(f"{name}: {reasons[name]} captures gave no document, among them")
        letters = (letter for stage in history.of_kind("extract") for letter in dead_letters(history, stage, name))
        for letter in islice(letters, NEAREST):
            out(f"  {letter['id'].hex()} {_seen(letter['detail'] or '', raw)}  {display_name(letter, raw=raw)}")
    if not seen:
        return _dropped_nothing(history, name, set(reasons), out)
    return 0


def _dropped_nothing(history: History, name: str, dead: set[str], out: Out) -> int:
    dropped = {r for s in history.judges for r in history.artifact(s).tally.dropped} - {"held_out"} | dead
    did = f"these did: {', '.join(sorted(dropped)) or 'none'}"
    rules = {rule: stage.name for stage in history.judges for rule in stage.what.get("rules", {})}
    if stage := rules.get(name.partition("@")[0]):
        out(f"rule {name!r} of {stage} dropped nothing in run {history.name}; {did}")
        return 0
    near = nearest(name, {*rules, *dropped})
    out(f"no rule {name!r} dropped anything in run {history.name}, and its recipe names none{near}")
    return 1


def _dead_reasons(history: History) -> dict[str, int]:
    return {
        reason: count.documents
        for stage in history.of_kind("extract")
        for reason, count in history.artifact(stage).tally.dropped.items()
    }


Columns = list[npt.NDArray[Any]]  # first, value, threshold


def _values(history: History, stage: Past, name: str) -> dict[tuple[str, str], Columns]:
    """Every verdict of a rule by (rule@version, language): 17 bytes each."""
    out: dict[tuple[str, str], list[Columns]] = {}
    artifact = history.artifact(stage)
    for name_, shard in history.verdict_shards(stage):
        table = artifact.table(name_)
        rows = table["row"].to_numpy()
        found = languages(history, shard)
        language = np.full(len(rows), "", object) if found is None else found[rows]
        rule, reason = (table[c].to_numpy(zero_copy_only=False) for c in ("rule", "reason"))
        columns = [table[c].to_numpy(zero_copy_only=False) for c in ("first", "value", "threshold")]
        for pair in sorted({p for p in zip(rule, reason, strict=True) if named(*p, name)}):
            for each in sorted(set(language[rule == pair[0]])):
                mask = (rule == pair[0]) & (reason == pair[1]) & (language == each)
                out.setdefault((pair[0], str(each)), []).append([column[mask] for column in columns])
    return {key: [np.concatenate(c) for c in zip(*parts, strict=True)] for key, parts in sorted(out.items())}


def _rule(
    history: History, stage: Past, name: str, values: dict[tuple[str, str], Columns], out: Out, raw: bool
) -> None:
    nearest = choose(history, stage, NEAREST, "margin", name)
    places = [(drop.shard, drop.row) for drops in nearest.values() for drop in drops]
    shown_documents = _documents(history, places, raw)
    for (rule, language), (first, value, threshold) in values.items():
        tongue = language or "unknown language"
        out(f"{rule} in {stage.name}, {tongue}: {len(first)} fail it, {int(first.sum())} of them fail it first")
        limits = ", ".join(f"{limit:.4g}" for limit in np.unique(threshold)[:4])
        out(f"  values     {_quantiles(value)}; {unwanted(stage, rule, language) or f'threshold {limits}'}")
        for drop in nearest.get((rule, language), []):
            document = shown_documents[drop.shard, drop.row]
            same = _keeper(history, drop.keeper, raw)
            out(f"  {drop.id.hex()} value {drop.value:.6g}{same}  {display_name(document, raw=raw)}")
            hidden = not raw and unmasked(history, drop.shard)
            out(f"    {excerpt(masked_text(document['text']) if hidden else document['text'])}")


def _documents(history: History, places: list[tuple[int, int]], raw: bool) -> dict[tuple[int, int], dict[str, Any]]:
    """Documents at (shard, row) places of the last edition; `raw`: as the first edition has them."""
    columns = ["url", "source", "record", "text"]
    if not raw:
        return documents(history.artifact(history.lineage.editions[-1]), places, columns)
    out: dict[tuple[int, int], dict[str, Any]] = {}
    for shard in sorted({shard for shard, _ in places}):
        stage, number = history.route(shard).editions[0]
        here = [(number, row) for other, row in places if other == shard]
        rows = documents(history.artifact(stage), here, columns)
        out |= {(shard, row): document for (_, row), document in rows.items()}
    return out


def _quantiles(value: npt.NDArray[np.float64]) -> str:
    finite = value[np.isfinite(value)]
    if not len(finite):
        return "none is a number"
    names = ("min", "5%", "25%", "50%", "75%", "95%", "max")
    marks = np.quantile(finite, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])
    return " ".join(f"{name} {mark:.4g}" for name, mark in zip(names, marks, strict=True))
