"""The table of a sweep, in the terminal and as a page."""

import re

from pipelines.cli.show import list_runs
from pipelines.past.summary import Spent
from pipelines.past.sweep import Sweep, cell_of
from pipelines.report.report import write_report
from pipelines.report.sweep import lines, write_sweep
from tests.pipelines.fixtures import make_run
from tests.pipelines.past.test_sweep import cell, sweep

KEY = "recipe.filter.rules.words.minimum.zh"


def made():
    scores = [("gopher", "1", 2.0), ("gopher", "2", 2.2), ("<b>", "1", 3.0), ("<b>", "2", 3.25)]
    return sweep(*(cell(f"{f}-{s}", {"filters": f, KEY: "48", "train.seed": s}, {"zh": v}) for f, s, v in scores))


def test_a_column_a_setting_and_seeds_in_one_row():
    """U1: names of groups and short values, not a column of JSON for each field behind them."""
    head, first, second, last = lines(made())
    assert re.split(r"  +", head) == [
        "filters",
        "filter.words.minimum.zh",
        "seeds",
        "documents",
        "tokens",
        "bits/byte zh",
    ]
    assert re.split(r"  +", first) == ["gopher", "48", "2", "10", "12", "2.100 ± 0.141"]
    assert re.split(r"  +", second)[0] == "<b>" and second.endswith("3.125 ± 0.177")
    assert last == "± standard deviation over train.seed"
    assert max(map(len, lines(made()))) <= 80


def test_without_seeds_or_scores():
    table = list(lines(sweep(cell("a", {"filters": "none"}), cell("b", {"filters": "x" * 40}))))
    assert "seeds" not in table[0] and "bits" not in table[0] and len(table) == 3
    assert table[2].startswith("x" * 27 + "…  ")


def test_the_page_holds_rows_and_cells(tmp_path):
    page = write_sweep(tmp_path / "sweeps" / "一", made()).read_text("utf-8")
    assert page.count("<tr>") == 2 + 2 + 4
    assert "2.100 ± 0.141" in page and "&lt;b&gt;" in page and "<b>" not in page.replace("</b>", "").split("<table")[1]
    assert 'href="../../runs/gopher-1/report.html"' in page
    assert not re.search(r"<script|src=|url\(|@import", page)


def test_cells_come_from_their_runs_and_are_listed(tmp_path):
    history = make_run(tmp_path)
    write_report(history, history.folder, Spent(1.0, None))
    found = cell_of(tmp_path, "demo", {"filters": "none"})
    tokens = history.artifact(history.stages["tokens"])
    assert found.documents == tokens.tally.kept.documents
    assert found.tokens == {name: each["tokens"] for name, each in tokens.figures["components"].items()}
    assert found.bits_per_byte == {"en": 1.5, "zh": 1.7} and found.tokens_trained == 6 * 4 * 32
    write_sweep(tmp_path / "sweeps" / "abl", Sweep("abl", "", 1.0, (found, found)))
    said = []
    list_runs(tmp_path, said.append)
    assert re.search(r"^sweep abl  .* 2 cells of filters$", "\n".join(said), re.M)
    assert said[-1].startswith("1 runs, 1 sweeps; together")
