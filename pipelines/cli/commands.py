"""What each verb does, from overrides to exit status. The rim: prints and reads the clock."""

import argparse
import errno
import json
import shlex
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conf.load import Cell, load, load_cell, load_cells
from conf.schema import WHERE, Config
from conf.search import ConfigError, Search, search
from corpus.plugins import PluginError
from pipelines.cli.strangers import PACKAGES
from pipelines.engine.store import StoreError
from pipelines.graph.checks import PlanError
from pipelines.graph.plan import make_plan
from pipelines.graph.recipe import RecipeError
from pipelines.graph.record import keep_record
from pipelines.graph.run import Session, run_plan
from pipelines.graph.stage_log import StageLog
from pipelines.past.samples import printable
from pipelines.report import terminal


def explained(error: Exception) -> bool:
    """Whether an error's message is written for a user: our own classes name what is wrong and the way out."""
    return type(error).__module__.partition(".")[0] in PACKAGES or isinstance(error, FileNotFoundError)


def say(text: str) -> None:
    """Lines of progress, of which a terminal obeys nothing, whoever wrote what they quote."""
    print("\n".join(map(printable, text.split("\n"))), file=sys.stderr, flush=True)  # noqa: T201


def out(text: str) -> None:
    """Lines of result."""
    print("\n".join(map(printable, text.split("\n"))), flush=True)  # noqa: T201


def report_failure(error: Exception) -> int:
    """One sentence for what a user can mend; otherwise the first failing worker's own traceback."""
    trace = getattr(error, "trace", None)
    if trace:
        say(trace.rstrip())
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        error = StoreError(f"no space left on the store's disk ({error}): free some, or set site.store, and run again")
    elif not explained(error):
        traceback.print_exception(error)
    say(f"siku: {error}")
    return 2 if isinstance(error, ConfigError | PluginError | RecipeError | PlanError) else 1


def searched(options: argparse.Namespace) -> Search:
    """Where this command looks for configuration files."""
    return search(options.config_dir)


def configured(options: argparse.Namespace, overrides: list[str]) -> Config:
    """The configuration of a verb that asks for one."""
    return load(overrides, searched(options))


def command_of(cell: Cell, where: Search) -> list[str]:
    """The exact command that gives a cell, wherever its configuration folder was named."""
    return ["siku", *_folder(where), "run", *cell.given.overrides]


def _folder(where: Search) -> list[str]:
    return ["--config-dir", str(where.own)] if where.own else []


def run(options: argparse.Namespace, overrides: list[str]) -> int:
    """Make whatever is missing; end with a report and the bits per byte."""
    where = searched(options)
    if options.multirun:
        return sweep(options, overrides, where)
    started = time.monotonic()
    cell = load_cell(overrides, where)
    session = run_plan(cell.config, StageLog(say, verbose=options.verbose))
    seconds = time.monotonic() - started
    folder, changed = keep_record(session, command_of(cell, where), cell.record(), seconds, finish)
    if not changed:
        say(f"nothing to do: all {len(session.done())} stages are reused, in {seconds:.1f} s")
    for line in terminal.lines(json.loads((folder / "summary.json").read_text())):
        out(line)
    out(str(folder / "report.html"))
    return 0


def sweep(options: argparse.Namespace, overrides: list[str], where: Search) -> int:
    """Make every cell of a sweep; end with one table."""
    from pipelines.graph.multirun import multirun
    from pipelines.past.sweep import Sweep, cell_of
    from pipelines.report.sweep import lines, write_sweep

    cells = load_cells(overrides, where)
    refuse_where(cells)
    made = multirun(cells, [command_of(cell, where) for cell in cells], StageLog(say, verbose=options.verbose), finish)
    root = Path(cells[0].config.site.store)
    command = shlex.join(["siku", *_folder(where), "run", "-m", *overrides])
    table = Sweep(
        made.folder.name,
        command,
        time.time(),
        tuple(cell_of(root, run.name, cell.swept) for run, cell in zip(made.runs, cells, strict=True)),
    )
    page = write_sweep(made.folder, table)
    for line in lines(table):
        out(line)
    out(str(page))
    return 0


def finish(session: Session, folder: Path, record: Mapping[str, Any], seconds: float) -> None:
    """Write the report of a run; its modules are loaded only where there is one to write."""
    from pipelines.report.report import finish as write

    write(session, folder, record, seconds)


def refuse_where(cells: Sequence[Cell]) -> None:
    """Raise ConfigError for a sweep over keys that say where a run happens."""
    for key in cells[0].swept:
        top = key.partition(".")[0]
        if top in WHERE - {"run"} and not cells[0].config.run.repeat:
            raise ConfigError(
                f"a sweep over {key} repeats one result, for {top} says where a run happens, not "
                "what it is: set run.repeat=true if the repetition is meant"
            )


def plan(options: argparse.Namespace, overrides: list[str]) -> int:
    """Print what a run would do."""
    from pipelines.cli.plan import cell_lines, lines
    from pipelines.past.outlook import outlook, outlooks

    where = searched(options)
    if options.multirun:
        cells = load_cells(overrides, where)
        refuse_where(cells)
        found = outlooks([make_plan(cell.config) for cell in cells])
        told = cell_lines([cell.swept for cell in cells], found)
    else:
        found = [outlook(make_plan(load(overrides, where)))]
        told = lines(found[0])
    for note in dict.fromkeys(note for each in found for note in each.notes):
        say(note)
    for line in told:
        out(line)
    return 0


def config(options: argparse.Namespace, overrides: list[str]) -> int:
    """Print the keys of the configuration."""
    from pipelines.cli.show import show_config

    return show_config(options.path, options.search, overrides, searched(options), out)


def explain(options: argparse.Namespace, overrides: list[str]) -> int:
    """Say why a document, a step or a rule did what it did."""
    from pipelines.past import explain as module
    from pipelines.past.history import open_run

    history = open_run(Path(configured(options, overrides).site.store), options.run)
    if options.doc is not None:
        return module.explain_document(history, options.doc, out, raw=options.raw)
    if options.step is not None:
        return module.explain_step(history, options.step, out, raw=options.raw)
    return module.explain_rule(history, options.rule, out, raw=options.raw)


def export(options: argparse.Namespace, overrides: list[str]) -> int:
    """Write documents, verdicts or tokens in another format."""
    from pipelines.past.export import export as write
    from pipelines.past.history import open_run

    history = open_run(Path(configured(options, overrides).site.store), options.run)
    write(history, options.what, options.format, Path(options.to), out, options.side, raw=options.raw)
    return 0


def ls(options: argparse.Namespace, overrides: list[str]) -> int:
    """List runs."""
    from pipelines.cli.show import list_runs

    return list_runs(Path(configured(options, overrides).site.store), out)


def gc(options: argparse.Namespace, overrides: list[str]) -> int:
    """Show, and with --yes remove, what no run reaches."""
    from pipelines.past.garbage import collect_garbage

    return collect_garbage(Path(configured(options, overrides).site.store), out, remove=options.yes)


def completion(options: argparse.Namespace, overrides: list[str]) -> int:
    """Print a shell completion script."""
    from pipelines.cli.completion import script
    from pipelines.cli.main import command_line

    out(script(options.shell, command_line(), searched(options)))
    return 0
