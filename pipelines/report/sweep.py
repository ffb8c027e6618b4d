"""The table of a sweep, in the terminal and as a page."""

import time
from collections.abc import Iterator
from pathlib import Path

from pipelines.engine.files import Posix
from pipelines.past.sweep import Row, Sweep, SweepCell, heads, is_seed, keep_sweep, rows
from pipelines.report.report import environment

WIDEST = 28  # characters of a value in the terminal's table


def write_sweep(folder: Path, sweep: Sweep) -> Path:
    """Write `sweep.json` and `sweep.html`; the page's path."""
    keep_sweep(folder, sweep)
    Posix(folder).put("sweep.html", render(sweep).encode())
    return folder / "sweep.html"


def languages(sweep: Sweep) -> list[str]:
    """Languages that some cell was scored in."""
    return sorted({language for cell in sweep.cells for language in cell.bits_per_byte})


def components(sweep: Sweep) -> list[str]:
    """Components that some cell has tokens of."""
    return sorted({name for cell in sweep.cells for name in cell.tokens})


def score(row: Row, language: str) -> str:
    """Bits per byte: the mean over seeds and their standard deviation."""
    found = row.bits_per_byte(language)
    if found is None:
        return "-"
    mean, spread = found
    return f"{mean:.3f}" if spread is None else f"{mean:.3f} ± {spread:.3f}"


def estimate(cell: SweepCell, language: str) -> str:
    """Bits per byte of one cell with its interval over documents."""
    if language not in cell.bits_per_byte:
        return "-"
    interval = cell.intervals[language]
    bounds = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    return f"{cell.bits_per_byte[language]:.3f}{bounds}"


def lines(sweep: Sweep) -> Iterator[str]:
    """The table as text: a column for each swept key that is no seed, documents, tokens and bits per byte."""
    names = heads([key for key in sweep.keys if not is_seed(key)])
    seeds = [key for key in sweep.keys if is_seed(key)]
    head = [*names.values(), *(["seeds"] if seeds else []), "documents", "tokens"]
    head += [f"bits/byte {language}" for language in languages(sweep)]
    table = [head]
    for row in rows(sweep):
        tokens = row.tokens()
        line = [_cut(row.swept.get(key, "")) for key in names]
        line += [str(len(row.cells))] if seeds else []
        line += [f"{row.documents:,}", "-" if tokens is None else f"{tokens:,}"]
        table.append(line + [score(row, language) for language in languages(sweep)])
    widths = [max(len(line[i]) for line in table) for i in range(len(head))]
    left = len(names)
    for line in table:
        aligned = (c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        yield "  ".join(aligned).rstrip()
    if seeds:
        yield f"± standard deviation over {', '.join(heads(seeds).values())}"


def _cut(value: str) -> str:
    return value if len(value) <= WIDEST else f"{value[: WIDEST - 1]}…"


def render(sweep: Sweep) -> str:
    """The page: the table, and below it every cell with its run's report."""
    finished = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(sweep.finished))
    settings = heads([key for key in sweep.keys if not is_seed(key)])
    return (
        environment()
        .get_template("sweep.jinja")
        .render(
            sweep=sweep,
            finished=finished,
            settings=settings,
            every=heads(sweep.keys),
            seeded=len(settings) < len(sweep.keys),
            rows=rows(sweep),
            components=components(sweep),
            languages=languages(sweep),
            score=score,
            estimate=estimate,
        )
    )
