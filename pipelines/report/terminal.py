"""The end of a run in the terminal: the funnel as bars, and bits per byte beside their baselines."""

from collections.abc import Iterator, Mapping
from typing import Any

WIDTH = 28  # characters of the longest bar
REASONS = 4  # largest drop reasons shown on a line


def lines(summary: Mapping[str, Any]) -> Iterator[str]:
    """What `summary.json` holds, to be read in a terminal."""
    stages = [stage for stage in summary["funnel"] if stage["kept"] or stage["dropped"]]
    longest = max((stage["kept"] for stage in stages), default=0)
    for stage in stages:
        bar = "█" * round(WIDTH * stage["kept"] / longest) if longest else ""
        yield f"{stage['stage']:<14} {stage['kept']:>9,}  {bar:<{WIDTH}}  {_dropped(stage['dropped'])}".rstrip()
    if summary["tokens"]:
        told = ", ".join(f"{name} {count:,}" for name, count in summary["tokens"].items())
        yield f"{'corpus tokens':<14} {sum(summary['tokens'].values()):>9,}  {told}"
    scores = summary.get("validation", {}).get("bits_per_byte", {})
    if any(stage["stage"] == "split" and not stage["dropped"].get("held_out") for stage in stages):
        yield "nothing is held out: too few documents for recipe.split.held_out, or none passes recipe.split.rules"
    if scores:
        yield "bits per byte           model  unigram  untrained  95 % interval"
    for language, score in scores.items():
        low, high = score["interval"] or (float("nan"), float("nan"))
        three = f"{score['model']:>6.3f} {score['unigram']:>8.3f} {score.get('untrained', float('nan')):>10.3f}"
        yield f"  {language:<20} {three}  {low:.3f} to {high:.3f}"


def _dropped(reasons: Mapping[str, int]) -> str:
    """The largest reasons, and how many more there are."""
    most = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{name} {count:,}" for name, count in most[:REASONS])
    rest = sum(count for _, count in most[REASONS:])
    return f"- {shown}" + (f", {len(most) - REASONS} more {rest:,}" if rest else "") if shown else ""
