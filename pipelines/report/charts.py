"""Charts as inline SVG: no script, no request, colours from the page's own variables, text that scales."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 560, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 40
LARGEST = 1e12
POINTS = 400  # a curve is averaged down to about this many


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers within [low, high], about `count` of them."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else []
    raw = (high - low) / max(count, 1)
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def short(value: float) -> str:
    """A tick's label: 1200 -> 1.2k."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.4g}"


def _svg(title: str, body: Sequence[str], height: int = HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}" class="chart">'
        f"<title>{escape(title)}</title>{''.join(body)}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str = "middle", kind: str = "tick") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'


def _frame(y_ticks: Sequence[tuple[float, str]], x_ticks: Sequence[tuple[float, str]], x_label: str) -> list[str]:
    """Grid lines and labels; positions in user units."""
    out = []
    for y, label in y_ticks:
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        out.append(_text(LEFT - 6, y + 4, label, "end"))
    out += [_text(x, HEIGHT - BOTTOM + 16, label) for x, label in x_ticks]
    out.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_label, kind="label"))
    return out


def thinned(points: Sequence[tuple[float, float]], count: int = POINTS) -> list[tuple[float, float]]:
    """Means of equal groups of consecutive points, so that a long run's curve stays small."""
    size = -(-len(points) // count) if points else 1
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]


def line(title: str, points: Sequence[tuple[float, float]], x_label: str) -> str:
    """A curve. Points that are no finite numbers are left out, those beyond LARGEST drawn there."""
    finite = [(x, max(-LARGEST, min(y, LARGEST))) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    finite = thinned(finite)
    if not finite:
        return ""
    x0, x1 = finite[0][0], max(finite[-1][0], finite[0][0] + 1)
    low, high = min(y for _, y in finite), max(y for _, y in finite)
    margin = 0.05 * max(high - low, 1e-3 * abs(high), 1e-6)
    low, high = low - margin, high + margin

    def at_x(x: float) -> float:
        return LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)

    def at_y(y: float) -> float:
        return TOP + (high - y) / (high - low) * (HEIGHT - TOP - BOTTOM)

    path = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in finite)
    frame = _frame(
        [(at_y(t), short(t)) for t in ticks(low, high)], [(at_x(t), short(t)) for t in ticks(x0, x1)], x_label
    )
    return _svg(title, [*frame, f'<polyline points="{path}" class="curve"/>'])


def histogram(title: str, series: Mapping[str, Sequence[tuple[float, int]]], x_label: str) -> str:
    """Shares of each series by bin, side by side; bins are given by their lower bounds on a log scale."""
    bounds = sorted({low for rows in series.values() for low, _ in rows})
    if not bounds:
        return ""
    shares = {
        name: {low: count / max(sum(c for _, c in rows), 1) for low, count in rows} for name, rows in series.items()
    }
    high = max(max(found.values()) for found in shares.values())
    slot = (WIDTH - LEFT - RIGHT) / len(bounds)
    bar = 0.84 * slot / len(shares)
    body = _frame(
        [(TOP + (1 - t / high) * (HEIGHT - TOP - BOTTOM), f"{100 * t:.3g}%") for t in ticks(0, high)],
        [
            (LEFT + i * slot, short(round(low, 0 if low >= 10 else 1)))
            for i, low in enumerate(bounds)
            if i % -(-len(bounds) // 8) == 0
        ],
        x_label,
    )
    for index, found in enumerate(shares.values()):
        for place, low in enumerate(bounds):
            tall = found.get(low, 0.0) / high * (HEIGHT - TOP - BOTTOM)
            x = LEFT + place * slot + 0.08 * slot + index * bar
            y = HEIGHT - BOTTOM - tall
            body.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{bar:.1f}" height="{tall:.1f}" class="s{index % 6}"/>')
    return _svg(title, body)


Mark = tuple[str, float, Sequence[float] | None]  # label, value, interval


def intervals(title: str, groups: Mapping[str, Sequence[Mark]], x_label: str) -> str:
    """Values with their intervals, a line each, grouped; the axis begins at 0."""
    marks = [mark for rows in groups.values() for mark in rows]
    if not marks:
        return ""
    high = max(max([value, *(interval or [])]) for _, value, interval in marks) * 1.04 or 1.0
    left, gap = 132, 24
    height = TOP + BOTTOM + gap * (len(marks) + len(groups))

    def at(value: float) -> float:
        return left + value / high * (WIDTH - left - RIGHT - 48)

    body, y = [], TOP + 10.0
    for t in ticks(0, high):
        body.append(f'<line x1="{at(t):.1f}" x2="{at(t):.1f}" y1="{TOP}" y2="{height - BOTTOM}" class="grid"/>')
        body.append(_text(at(t), height - BOTTOM + 16, short(t)))
    body.append(_text((left + WIDTH) / 2, height - 6, x_label, kind="label"))
    for index, (name, rows) in enumerate(groups.items()):
        body.append(_text(4, y + 4, name, "start", "label"))
        y += gap
        for label, value, interval in rows:
            body.append(_text(left - 8, y + 4, label, "end"))
            if interval:
                body.append(
                    f'<line x1="{at(interval[0]):.1f}" x2="{at(interval[1]):.1f}" y1="{y}" y2="{y}" class="span"/>'
                )
            body.append(f'<circle cx="{at(value):.1f}" cy="{y}" r="4.5" class="s{index % 6}"/>')
            body.append(_text(at(value) + 10, y - 6 if interval else y + 4, f"{value:.3f}", "start", "value"))
            y += gap
    return _svg(title, body, height)


_STYLE = (
    "text{font:14px system-ui,'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif;fill:#22201c}"
    ".soft{fill:#6b655b;font-size:12px}.bar{fill:#2f6690}.base{fill:#ece7dc}"
    "@media(prefers-color-scheme:dark){text{fill:#ebe6dc}.soft{fill:#a49d90}.bar{fill:#72aede}.base{fill:#2e2b28}}"
)


def funnel_picture(summary: Mapping[str, Any], side: str = "held_out") -> str:
    """The funnel of a summary.json as a picture of its own: kept documents and the commonest reasons, stage by stage.

    `side` names the stage of the held-out tokens, which is a branch and left out.
    """
    rows = [row for row in summary["funnel"] if row["stage"] != side]
    widest = max((row["in"] + row["born"] for row in rows), default=0) or 1
    ends = [("training tokens", summary["tokens"]), ("trained tokens", summary["tokens_trained"])]
    full, left, gap = 860, 130, 46
    height = 16 + gap * (len(rows) + len(ends))
    body, y = [f"<style>{_STYLE}</style>"], 8
    for row in rows:
        wide = (full - left - 10) * row["kept"] / widest
        drops = sorted(row["dropped"].items(), key=lambda item: (-item[1], item[0]))
        words = [f"{row['kept']:,} kept", *(f"{reason} −{count:,}" for reason, count in drops[:5])]
        words += [f"{len(drops) - 5} more reasons"] if len(drops) > 5 else []
        body.append(_text(0, y + 14, row["stage"], "start", "name"))
        body.append(f'<rect x="{left}" y="{y}" width="{full - left - 10}" height="18" rx="3" class="base"/>')
        body.append(f'<rect x="{left}" y="{y}" width="{wide:.1f}" height="18" rx="3" class="bar"/>')
        body.append(_text(left, y + 34, " · ".join(words), "start", "soft"))
        y += gap
    for name, found in ends:
        parts = ", ".join(f"{language} {count:,}" for language, count in sorted(found.items()))
        body.append(_text(0, y + 14, name, "start", "name"))
        body.append(_text(left, y + 14, f"{sum(found.values()):,} ({parts})", "start", "name"))
        y += gap - 16
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {full} {height}" width="{full}" role="img" '
        f'aria-label="The funnel of a run">{"".join(body)}</svg>\n'
    )
