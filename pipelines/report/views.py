"""What the report's template shows, made from the summary, the census and samples."""

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from markupsafe import Markup

from pipelines.past.census import Census, Reached, held_out_rules, take_census
from pipelines.past.history import History, Past
from pipelines.past.lookup import display_name, display_names
from pipelines.past.masked import masked, masked_text, unmasked
from pipelines.past.samples import Drop, choose, dead_letters, documents, excerpt, unwanted
from pipelines.past.summary import corpus_tokens
from pipelines.past.trained import training
from pipelines.report import charts

SAMPLES = 3  # of each rule and language
SAMPLED_LANGUAGES = 4  # with most drops
OTHER = "other languages"


def view(history: History, summary: Mapping[str, Any]) -> dict[str, Any]:
    """The template's values, besides the summary."""
    census = take_census(history)
    shown = main_languages(history, census)
    return {
        "tiles": _tiles(summary),
        "languages": [*shown, OTHER] if shown else [],
        "crawl": _crawl(summary["crawl"]),
        "funnel": _funnel(history, summary, census, shown),
        "ends": _ends(summary),
        **_bits(summary),
        **_training(history, summary),
        **_tongues(history, census, shown),
        "sources": _sources(history, census),
        "rules": _rules(history),
        "letters": _letters(history),
        "edits": _edits(history, census),
        "held_out": _held_out(history),
    }


def main_languages(history: History, census: Census) -> list[str]:
    """Languages that are trained on or measured, or else the three most frequent."""
    wanted = {*corpus_tokens(history, history.lineage.tokens), *corpus_tokens(history, history.lineage.held_out)}
    first = next(iter(census.reached.values()), {})
    found = [name for name in first if name in wanted] or list(first)
    return sorted(found, key=lambda name: (-first[name].documents, name))[: 5 if wanted else 3]


def size(value: float) -> str:
    """Bytes for people, in powers of ten."""
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= limit:
            return f"{value / limit:.1f} {unit}"
    return f"{value:.0f} B"


def _tiles(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    documents, tokens, steps = summary["documents"], sum(summary["tokens"].values()), summary["training"]["steps"]
    found = [("documents extracted", sum(row["kept"] for row in summary["funnel"] if row["born"]))]
    found += [("training documents", documents["training"])]
    found += [("held-out documents", documents["held_out"])] if documents["held_out"] else []
    found += [("training tokens", tokens)] if tokens else []
    found += [(f"tokens trained, {steps:,} steps", _trained(summary))] if steps else []
    tiles = [{"label": label, "value": f"{count:,}"} for label, count in found]
    for language, score in summary["validation"]["bits_per_byte"].items():
        if score["model"] is not None:
            tiles.append({"label": f"bits per byte, {language}", "value": f"{score['model']:.3f}"})
    tiles.append({"label": "wall time of this run", "value": f"{summary['seconds']:.0f} s"})
    if "peak_pss_mb" in summary:
        tiles.append({"label": "peak memory (PSS)", "value": f"{summary['peak_pss_mb']:,.0f} MB"})
    return tiles


def _trained(summary: Mapping[str, Any]) -> int:
    return sum(summary["tokens_trained"].values())


def _crawl(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The crawl as the funnel's first row, in URLs."""
    if found is None:
        return None
    fetched = found["outcomes"].get("fetched", 0)
    rest = sorted(((n, reason) for reason, n in found["outcomes"].items() if reason != "fetched"), reverse=True)
    return {
        "stage": found["stage"],
        "fetched": fetched,
        "urls": found["urls"],
        "size": size(found["warc_bytes"]),
        "digest": found["snapshot_digest"],
        "width": f"{100 * fetched / max(found['urls'], 1):.2f}",
        "outcomes": [{"reason": reason, "count": n} for n, reason in rest],
    }


def _funnel(history: History, summary: Mapping[str, Any], census: Census, shown: Sequence[str]) -> list[dict[str, Any]]:
    held = history.lineage.held_out
    rows = [row for row in summary["funnel"] if held is None or row["stage"] != held.name]
    widest = max((row["in"] + row["born"] for row in rows), default=0) or 1
    out = []
    for row in rows:
        came = row["in"] + row["born"]
        drops = sorted(row["dropped"].items(), key=lambda item: (-item[1], item[0]))
        reached = _leaving(history, census, row["stage"])
        out.append(
            {
                **row,
                "came": came,
                "parts": _parts(row["kept"], reached, shown, widest),
                "bytes": _bytes(row, sum(entry.bytes for entry in reached.values())),
                "tongues": ", ".join(f"{n} {reached[n].documents:,}" for n in shown if n in reached),
                "dropped": [{"reason": r, "count": c, "share": f"({100 * c / max(came, 1):.1f} %)"} for r, c in drops],
            }
        )
    return out


def _leaving(history: History, census: Census, stage: str) -> Mapping[str, Reached]:
    """Documents by language that leave a stage; tokenizing and earlier editions drop none that the census knows."""
    lineage = history.lineage
    last = (lineage.sides, *lineage.verdicts)[-1]
    if lineage.tokens is not None and last is not None and stage == lineage.tokens.name:
        return census.reached.get(last.name, {})
    if stage in {edition.name for edition in lineage.editions[:-1]}:
        counted = census.reached.get(lineage.editions[-1].name, {})
        return {language: Reached(found.documents) for language, found in counted.items()}
    return census.reached.get(stage, {})


def _bytes(row: Mapping[str, Any], measured: int) -> str:
    if row["bytes_in"] or row["bytes_out"]:
        return f"{size(row['bytes_in'])} in, {size(row['bytes_out'])} out"
    return f"{size(measured)} of text" if measured else ""


def _parts(kept: int, reached: Mapping[str, Reached], shown: Sequence[str], widest: int) -> list[dict[str, Any]]:
    """Segments of a funnel bar, by language where that is known."""
    if not reached:
        return [{"colour": 5, "width": f"{100 * kept / widest:.2f}", "label": f"{kept:,}"}]
    counts = [(index % 6, name, reached[name].documents) for index, name in enumerate(shown) if name in reached]
    rest = kept - sum(count for _, _, count in counts)
    counts.append((len(shown) % 6, OTHER, rest))
    return [{"colour": c, "width": f"{100 * n / widest:.2f}", "label": f"{name}: {n:,}"} for c, name, n in counts if n]


def _ends(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    out = []
    for key, name in (("tokens", "training tokens"), ("tokens_trained", "trained tokens")):
        if found := summary[key]:
            note = ", ".join(f"{language} {count:,}" for language, count in sorted(found.items()))
            if key == "tokens_trained":
                epochs = _trained(summary) / max(sum(summary["tokens"].values()), 1)
                note += f"; {epochs:.2f} epochs in {summary['training']['steps']} steps"
            out.append({"name": name, "value": f"{sum(found.values()):,}", "note": note})
    return out


def _bits(summary: Mapping[str, Any]) -> dict[str, Any]:
    rows, groups, notes = [], {}, []
    for language, found in summary["validation"]["bits_per_byte"].items():
        marks = []
        for key, name in (("model", "model"), ("unigram", "unigram"), ("untrained", "untrained")):
            if found.get(key) is None:
                continue
            interval = found["interval"] if key == "model" else found[f"{key}_interval"]
            marks.append((name, float(found[key]), interval))
            rows.append(
                {
                    "language": language,
                    "scorer": name,
                    "value": _estimate(found[key], interval),
                    "difference": _difference(found, key),
                }
            )
        groups[language] = marks
        notes.append(f"{language}: {found['documents']:,} documents, {size(found['bytes'])}")
    chart = charts.intervals("Bits per byte by language", groups, "bits per byte") if rows else ""
    return {"bits": rows, "bits_chart": Markup(chart), "bits_note": "; ".join(notes)}


def _estimate(value: float, interval: Sequence[float] | None) -> str:
    text = f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else f"{value:.3f}"
    return text.replace("-", "−")


def _difference(found: Mapping[str, Any], key: str) -> str:
    """The model's figure less a baseline's, with the paired interval where the evaluation made one."""
    if key == "model" or found["model"] is None:
        return ""
    if found.get(f"{key}_difference") is not None:
        return _estimate(found[f"{key}_difference"], found[f"{key}_difference_interval"])
    return _estimate(found["model"] - found[key], None)


def _training(history: History, summary: Mapping[str, Any]) -> dict[str, Any]:
    trained = training(history)
    if trained is None or not trained.taken:
        return {"loss_chart": "", "training": []}
    points = [(float(step), row.loss) for step, row in trained.taken.items()]
    losses = summary["training"]
    rate = losses["tokens"] / losses["seconds"] if losses["seconds"] else 0.0
    values = {
        "steps": f"{losses['steps']:,}",
        "tokens seen": f"{losses['tokens']:,}",
        "loss, first to last": f"{losses['first_loss']:.3f} to {losses['last_loss']:.3f}",
        "seconds in steps": f"{losses['seconds']:.1f}",
        "tokens per second": f"{rate:,.0f}",
        "steps rolled back": f"{losses['rolled_back']}",
        "digest": trained.stage.digest,
    }
    rows = [{"name": name, "value": value} for name, value in values.items()]
    return {"loss_chart": Markup(charts.line("Loss by step", points, "step")), "training": rows}


def _tongues(history: History, census: Census, shown: Sequence[str]) -> dict[str, Any]:
    lineage = history.lineage
    if not census.reached:
        return {"tongues": [], "length_chart": "", "length_languages": []}
    first, held = census.reached[lineage.editions[-1].name], census.reached.get("held_out", {})
    judges = [stage.name for stage in (lineage.editions[-1], lineage.sides, *lineage.verdicts) if stage is not None]
    last = census.reached[judges[-1]]
    tokens = corpus_tokens(history, lineage.tokens)
    rows = []
    for name in sorted(first, key=lambda name: (-first[name].documents, name))[:12]:
        found = tokens.get(name)
        median = census.lengths[name].quantile(0.5) if name in census.lengths else 0.0
        rows.append(
            {
                "language": name or "unknown",
                "extracted": first[name].documents,
                "training": last[name].documents if name in last else 0,
                "held_out": held[name].documents if name in held else 0,
                "median": f"{median:,.0f}" if median else "",
                "tokens": f"{found['tokens']:,}" if found else "",
                "ratio": f"{found['bytes'] / found['tokens']:.2f}" if found and found["tokens"] else "",
            }
        )
    series = {name: census.lengths[name].coarse() for name in shown if name in census.lengths}
    chart = charts.histogram("Document lengths by language", series, "characters")
    return {"tongues": rows, "length_chart": Markup(chart), "length_languages": list(series)}


def _sources(history: History, census: Census) -> list[dict[str, Any]]:
    """A row a source: its licence, and what became of its documents."""
    extracts = history.of_kind("extract")
    licences = {stage.what["source"]: stage.what["licence"] for stage in extracts}
    counts = {fate: census.sources.get(fate, {}) for fate in ("extracted", "training", "held_out")}
    return [
        {
            "source": name,
            "licence": licence or "not told",
            "bytes": size(counts["training"][name].bytes) if name in counts["training"] else "",
            **{fate: reached[name].documents if name in reached else 0 for fate, reached in counts.items()},
        }
        for name, licence in sorted(licences.items())
    ]


def _rules(history: History) -> list[dict[str, Any]]:
    """A few documents that each rule drops, language by language."""
    out = []
    for stage in history.judges:
        by_rule: dict[str, list[list[Drop]]] = {}
        for (rule, _), drops in choose(history, stage, SAMPLES, "id").items():
            by_rule.setdefault(rule, []).append(drops)
        dropped = history.artifact(stage).tally.dropped
        for rule, groups in by_rule.items():
            reason = groups[0][0].reason
            name = reason if reason in dropped else f"unfit_{reason}"
            count = dropped[name].documents if name in dropped else 0
            some = sorted(groups, key=lambda drops: -len(drops))[:SAMPLED_LANGUAGES]
            drops = [drop for group in some for drop in group]
            out.append(
                {
                    "stage": stage.name,
                    "rule": rule,
                    "note": f"{count:,} documents for this reason first",
                    "samples": _samples(history, stage, drops),
                }
            )
    return out


def _samples(history: History, stage: Past, drops: Sequence[Drop]) -> list[dict[str, Any]]:
    edition = history.artifact(history.lineage.editions[-1])
    rows = documents(edition, [(d.shard, d.row) for d in drops], ["url", "source", "record", "text"])
    keepers = display_names(history, [drop.keeper for drop in drops if drop.keeper is not None])
    out = []
    for drop in drops:
        document = rows[drop.shard, drop.row]
        text = document["text"]
        limit = unwanted(stage, drop.rule, drop.language) or f"threshold {drop.threshold:.4g}"
        why = f"value {drop.value:.4g}, {limit}"
        if drop.keeper is not None:
            why = f"kept instead: {keepers.get(drop.keeper, drop.keeper.hex())}"
        out.append(
            {
                "label": display_name(document),
                "link": link(document["url"]),
                "why": f"{drop.language} · {why}" if drop.language else why,
                "language": drop.language or "und",
                "text": excerpt(masked_text(text) if unmasked(history, drop.shard) else text),
            }
        )
    return out


def link(url: str | None) -> str:
    """The URL if a reader may follow it, else nothing: other schemes can run script, and a masked one leads nowhere."""
    return url if url and url.startswith(("http://", "https://")) and masked(url) == url else ""


def _letters(history: History) -> list[dict[str, Any]]:
    out = []
    for stage in history.of_kind("extract"):
        artifact = history.artifact(stage)
        for reason, count in sorted(artifact.tally.dropped.items()):
            rows = dead_letters(history, stage, reason)
            samples = [
                {
                    "label": display_name(r),
                    "link": link(r["url"]),
                    "why": masked(r["detail"] or reason),
                    "language": "und",
                    "text": "",
                }
                for r in islice(rows, SAMPLES)
            ]
            out.append({"stage": stage.name, "reason": reason, "count": count.documents, "samples": samples})
    return out


def _edits(history: History, census: Census) -> list[dict[str, Any]]:
    tallies = {stage.name: history.artifact(stage).tally for stage in history.making("edition")}
    return [
        {
            "stage": stage,
            "reason": reason,
            "changes": changes,
            "documents": found,
            "removed": tallies[stage].removed.get(reason, 0),
            "added": tallies[stage].added.get(reason, 0),
        }
        for (stage, reason), (changes, found) in sorted(census.edits.items())
    ]


def _held_out(history: History) -> dict[str, Any] | None:
    split = history.lineage.split
    if split is None:
        return None
    what, dropped = split.what, history.artifact(split).tally.dropped
    rules = [{"name": name, "setting": _setting(rule)} for name, rule in sorted(held_out_rules(split).items())]
    held = dropped["held_out"].documents if "held_out" in dropped else 0
    unfit = sum(count.documents for reason, count in dropped.items() if reason.startswith("unfit_"))
    note = (
        f"{held:,} documents are held out, {unfit:,} more were drawn but fail the fixed rules. Documents were grouped "
        f"by path, text and similarity (J ≥ {what['near']}), and {100 * what['held_out']:g} % of groups drawn with "
        f"salt {what['salt']!r}, before any filter. Split {split.digest}."
    )
    return {
        "note": note,
        "rules": rules,
        "overlap": [row for s in history.making("verdicts") for row in _overlap(history, s)],
    }


def _setting(rule: Mapping[str, Any]) -> str:
    return json.dumps({k: v for k, v in rule.items() if not k.startswith("$")}, ensure_ascii=False)


def _overlap(history: History, stage: Past) -> list[dict[str, str]]:
    """What overlap with held-out documents remains in training."""
    found = history.artifact(stage).figures.get("remaining_overlap")
    if not found:
        return []
    return [
        {"name": "training documents", "value": f"{found['documents']:,}"},
        {"name": "sharing any shingle with the held-out set", "value": f"{found['with_any_overlap']:,}"},
        {"name": "mean share of shingles", "value": f"{100 * found['mean_share']:.3f} %"},
        {"name": "largest share", "value": f"{100 * found['largest_share']:.2f} %"},
    ]
