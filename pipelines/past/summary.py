"""The figures of a run as plain JSON: what summary.json holds and the report draws."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corpus.verdict import Count
from pipelines.engine import roles
from pipelines.past.history import History, Past
from pipelines.past.trained import Training, training


@dataclass(frozen=True, slots=True)
class Spent:
    """What only the running process knows: wall seconds and the peak of summed PSS, if it was measured."""

    seconds: float
    peak_pss_mb: float | None


def funnel_rows(history: History) -> list[dict[str, Any]]:
    """A row for each stage that takes documents in, straight from the manifests' tallies, in order.

    An edit behind verdicts rewrites every row, those that are out too, and so has no row here.
    """
    rows = []
    for stage in history.making("edition", "sides", "verdicts", "tokens"):
        if stage.makes == "edition" and roles.verdicts(stage.view):
            continue
        tally = history.artifact(stage).tally
        rows.append(
            {
                "stage": stage.name,
                "in": tally.came.documents,
                "born": tally.born.documents,
                "kept": tally.kept.documents,
                "dropped": {reason: count.documents for reason, count in sorted(tally.dropped.items())},
                "bytes_in": tally.bytes_in,
                "bytes_out": tally.bytes_out,
            }
        )
    return rows


def crawled(history: History) -> dict[str, Any] | None:
    """What became of every URL the crawl saw, and the bytes of its WARC segments; None without a crawl."""
    for stage in history.of_kind("snapshot"):
        artifact = history.artifact(stage)
        outcomes = dict(artifact.figures["outcomes"])
        segments = [entry.bytes for name, entry in artifact.files.items() if name.endswith(".warc.gz")]
        return {
            "stage": stage.name,
            "urls": sum(outcomes.values()),
            "outcomes": outcomes,
            "warc_bytes": sum(segments),
            "snapshot_digest": artifact.figures["snapshot_digest"],
        }
    return None


def stages(history: History) -> list[dict[str, Any]]:
    """Every stage: its digest, whether it was reused, seconds in this run and when it was made, bytes read."""
    out = []
    trained = training(history)
    for stage in history.stages.values():
        record = history.artifact(stage).record
        seconds = float(record.get("seconds", stage.seconds))
        if trained is not None and stage is trained.stage:  # it grows over runs: its journal knows
            seconds = sum(row.seconds for row in trained.taken.values())
        read = int(record.get("bytes_read", 0))
        out.append(
            {
                "name": stage.name,
                "kind": stage.kind,
                "digest": stage.digest,
                "reused": stage.reused,
                "seconds": stage.seconds,
                "made_in_seconds": round(seconds, 3),
                "bytes_read": read,
                "mb_per_second": round(read / 1e6 / seconds, 3) if seconds > 0 else None,
            }
        )
    return out


def scores(history: History) -> dict[str, dict[str, Any]]:
    """Bits per byte by language: the model, the unigram baseline and the untrained model, with 95 % intervals."""
    results = {
        stage.what.get("step", 0): history.artifact(stage).figures["result"]["languages"]
        for stage in history.of_kind("evaluate")
    }
    if not results:
        return {}
    last = results[max(results)]
    return {language: _score(found, results.get(0, {}).get(language)) for language, found in sorted(last.items())}


def _score(found: Mapping[str, Any], untrained: Mapping[str, Any] | None) -> dict[str, Any]:
    """One language. Differences are model less baseline, with paired intervals where the evaluation made them."""
    out = {
        "model": found["bits_per_byte"],
        "interval": found["interval"],
        "documents": found["documents"],
        "bytes": found["bytes"],
        "tokens": found["tokens"],
    }
    paired = found.get("untrained")
    for name, other in (("unigram", found.get("unigram")), ("untrained", paired or untrained)):
        if other is not None:
            out[name] = other["bits_per_byte"]
            out[f"{name}_interval"] = other["interval"]
            if "difference" in other:
                out[f"{name}_difference"] = other["difference"]
                out[f"{name}_difference_interval"] = other["difference_interval"]
    return out


def corpus_tokens(history: History, stage: Past | None) -> dict[str, dict[str, int]]:
    """Documents, tokens and UTF-8 bytes of token shards by component."""
    if stage is None:
        return {}
    found: dict[str, dict[str, int]] = history.artifact(stage).figures["components"]
    return found


def documents(history: History) -> dict[str, int]:
    """Documents that are left to train on, and those held out, as far as the run went."""
    lineage = history.lineage
    ends = (lineage.tokens, *reversed(lineage.verdicts), lineage.split, *reversed(lineage.editions))
    last = next((stage for stage in ends if stage is not None), None)
    held = history.artifact(lineage.split).tally.dropped.get("held_out", Count()) if lineage.split else Count()
    return {"training": history.artifact(last).tally.kept.documents if last else 0, "held_out": held.documents}


def losses(trained: Training) -> dict[str, Any]:
    """The end of the loss curve."""
    rows = list(trained.taken.values())
    if not rows:
        return {"steps": 0}
    return {
        "steps": rows[-1].step,
        "first_loss": rows[0].loss,
        "last_loss": rows[-1].loss,
        "tokens": rows[-1].tokens,
        "seconds": round(sum(row.seconds for row in rows), 3),
        "rolled_back": sum(row.status == "rolled_back" for row in trained.rows),
    }


def summarize(history: History, spent: Spent) -> dict[str, Any]:
    """Everything in summary.json. `tokens` are of the training shards; `tokens_trained` are the targets trained on."""
    trained = training(history)
    components = corpus_tokens(history, history.lineage.tokens)
    out: dict[str, Any] = {
        "run": history.name,
        "command": history.record["command"],
        "stages": stages(history),
        "crawl": crawled(history),
        "funnel": funnel_rows(history),
        "documents": documents(history),
        "tokens": {name: figures["tokens"] for name, figures in sorted(components.items())},
        "tokens_held_out": {
            n: f["tokens"] for n, f in sorted(corpus_tokens(history, history.lineage.held_out).items())
        },
        "tokens_trained": trained.trained() if trained else {},
        "training": losses(trained) if trained else {"steps": 0},
        "validation": {"bits_per_byte": scores(history)},
        "seconds": round(spent.seconds, 3),
    }
    if spent.peak_pss_mb:
        out["peak_pss_mb"] = round(spent.peak_pss_mb, 1)
    return out
