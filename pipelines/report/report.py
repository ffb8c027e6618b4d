"""The report of a run: one HTML file that asks nothing of the network, summary.json and funnel.svg beside it."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.engine.files import Posix
from pipelines.graph.records import SUMMARY
from pipelines.past.history import History
from pipelines.past.samples import printable
from pipelines.past.summary import Spent, summarize
from pipelines.report.charts import funnel_picture

if TYPE_CHECKING:
    from jinja2 import Environment

    from pipelines.graph.run import Session


def finish(session: "Session", folder: Path, record: Mapping[str, Any], seconds: float) -> None:
    """Write `report.html`, `summary.json` and `funnel.svg` of a run that has just ended."""
    history = History(session.plan.store.root, folder.name, record)
    write_report(history, folder, Spent(seconds, session.peak_pss_mb or None))


def write_report(history: History, folder: Path, spent: Spent) -> dict[str, Any]:
    """Render a run from its record and the store alone; returns the summary."""
    summary = summarize(history, spent)
    page = render(history, summary)
    held_out = history.lineage.held_out
    for name, text in (
        ("report.html", page),
        ("funnel.svg", funnel_picture(summary, held_out.name if held_out else "")),
        (SUMMARY, json.dumps(summary, indent=1, ensure_ascii=False, sort_keys=True)),
    ):
        Posix(folder).put(name, text.encode())
    return summary


def environment() -> "Environment":
    """Templates that escape all text, strip it of controls, and share one style sheet."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    folder = Path(__file__).parent
    found = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: "\n".join(map(printable, value.split("\n"))) if type(value) is str else value,
    )
    found.globals["css"] = Markup((folder / "report.css").read_text(encoding="utf-8"))  # our own file
    return found


def render(history: History, summary: Mapping[str, Any]) -> str:
    """The page."""
    from pipelines.report.views import view

    finished = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(history.record["finished"]))
    values = {
        "summary": summary,
        "finished": finished,
        "given": history.record["given"],
        "configuration": yaml_of(history),
    }
    return environment().get_template("report.jinja").render(**values, **view(history, summary))


def yaml_of(history: History) -> str:
    """The configuration as YAML: values, paths and names of stages as they are."""
    import yaml

    return str(yaml.safe_dump(dict(history.record["config"]), allow_unicode=True, sort_keys=True, width=110))
