"""The end of a run in the terminal: the funnel as bars, and bits per byte beside their baselines."""

from collections.abc import Iterator, Mapping
from typing import Any

WIDTH = 28  # characters of the longest bar
REASONS = 4  # largest drop reasons shown on a line


def lines(summary: Mapping[str, Any]) -> Iterator[str]:
    """What `summary.json` holds, to be read in a terminal: documents after each stage, then tokens, then scores."""
    tokenized = {stage["name"] for stage in summary["stages"] if stage["kind"] == "tokenize"}  # they drop no document
    stages = [row for row in summary["funnel"] if row["stage"] not in tokenized and (row["kept"] or row["dropped"])]
    longest = max((stage["kept"] for stage in stages), default=0)
    if stages:
        yield f"{'documents after':<18} {'kept':>9}"
    for stage in stages:
        bar = "█" * round(WIDTH * stage["kept"] / longest) if longest else ""
        yield f"  {stage['stage']:<16} {stage['kept']:>9,}  {bar:<{WIDTH}}  {_dropped(stage['dropped'])}".rstrip()
    if stages and not stages[-1]["kept"]:
        yield f"no document is left after {stages[-1]['stage']}: `siku explain --rule NAME` tells what a rule drops"
    for name, counts in (("training tokens", summary["tokens"]), ("held-out tokens", summary["tokens_held_out"])):
        if counts:
            counted = ", ".join(f"{component} {count:,}" for component, count in counts.items())
            yield f"{name:<18} {sum(counts.values()):>9,}  {counted}"
    if any(stage["stage"] == "split" and not stage["dropped"].get("held_out") for stage in stages):
        yield "nothing is held out: too few documents for recipe.split.held_out, or none passes recipe.split.rules"
    scores = {name: score for name, score in summary["validation"]["bits_per_byte"].items() if score["model"]}
    if scores:
        yield f"{'bits per byte':<18} {'model':>9}  unigram  untrained  95 % interval"
    for language, score in scores.items():
        low, high = score["interval"] or (float("nan"), float("nan"))
        three = f"{score['model']:>9.3f} {score['unigram']:>8.3f} {score.get('untrained', float('nan')):>10.3f}"
        yield f"  {language:<16} {three}  {low:.3f} to {high:.3f}"


def _dropped(reasons: Mapping[str, int]) -> str:
    """The largest reasons, and how many more there are."""
    most = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{name} {count:,}" for name, count in most[:REASONS])
    rest = sum(count for _, count in most[REASONS:])
    return f"- {shown}" + (f", {len(most) - REASONS} more {rest:,}" if rest else "") if shown else ""
