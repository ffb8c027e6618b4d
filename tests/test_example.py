"""The notebook of docs/ runs as it stands, beside a store."""

import ast
import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "example.ipynb"


def shown(source: str, names: dict[str, Any]) -> str:
    """What a cell prints, and what its last line is, as Jupyter shows it."""
    tree, said = ast.parse(source), io.StringIO()
    last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(said):
        exec(compile(tree, NOTEBOOK.name, "exec"), names)
        value = None if last is None else eval(compile(last, NOTEBOOK.name, "eval"), names)
    return said.getvalue() + ("" if value is None else repr(value))


def test_every_cell_runs_and_shows_something(small, tmp_path, monkeypatch):
    store = small.copy(tmp_path / ".siku").root
    for other in (store / "runs").iterdir():
        if other.name != "small":
            shutil.rmtree(other)
    monkeypatch.chdir(tmp_path)
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    names: dict[str, Any] = {}
    found = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    told = "\n".join(shown(source, names) for source in found)
    assert all(cell["outputs"] == [] for cell in cells if cell["cell_type"] == "code")  # figures are one's own
    for piece in (
        "small\nsiku run ",
        "decontaminate ",
        "large_string",
        "'reason': ",
        "dropped  ",
        "zh: ",
        " bytes each",
    ):
        assert piece in told, piece
    assert names["finished"].bits_per_byte.keys() == {"en", "zh"} and sum(names["characters"].values()) > 10_000
    assert {stage.name for stage in names["outlook"].new} >= {"filter", "tokens", "train", "evaluate"}
