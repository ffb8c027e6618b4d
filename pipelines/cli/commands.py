"""What each verb does, from overrides to exit status. The rim: prints and reads the clock."""

import argparse
import errno
import traceback
from pathlib import Path

from conf.load import load
from conf.search import Search, search
from corpus.usage import UsageError
from pipelines import door
from pipelines.engine.failures import says_all
from pipelines.engine.store import StoreError
from pipelines.graph.records import store_root
from pipelines.past.export import ExportError
from pipelines.past.samples import printable
from pipelines.report import terminal

say = door.tell


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
    elif not (says_all(error) or isinstance(error, FileNotFoundError)):
        traceback.print_exception(error)
    say(f"siku: {error}")
    return 2 if isinstance(error, UsageError) else 1


def searched(options: argparse.Namespace) -> Search:
    """Where this command looks for configuration files."""
    return search(options.config_dir)


def store_of(options: argparse.Namespace, overrides: list[str]) -> Path:
    """The store of a verb that reads finished runs."""
    return store_root(load(overrides, searched(options)).site.store)


def run(options: argparse.Namespace, overrides: list[str]) -> int:
    """Make whatever is missing; end with a report and the bits per byte."""
    asked = {"config_dir": options.config_dir, "verbose": options.verbose}
    if options.multirun:
        from pipelines.report.sweep import lines

        table, page = door.sweep(*overrides, say=say, **asked)
    else:
        return _finished(door.run(*overrides, say=say, **asked))
    for line in lines(table):
        out(line)
    out(str(page))
    return 0


def _finished(done: door.FinishedRun) -> int:
    for line in terminal.lines(done.figures):
        out(line)
    out(str(done.report))
    return 0


def import_model(options: argparse.Namespace, overrides: list[str]) -> int:
    """Run from a Hugging Face folder's model on."""
    start = door.start_from(options.folder)
    return _finished(door.run(start, *overrides, say=say, config_dir=options.config_dir, verbose=options.verbose))


def plan(options: argparse.Namespace, overrides: list[str]) -> int:
    """Print what a run would do."""
    from pipelines.cli.plan import cell_lines, lines

    if options.multirun:
        swept, found = door.plan_sweep(*overrides, config_dir=options.config_dir)
        printed = cell_lines(swept, found)
    else:
        found = [door.plan(*overrides, config_dir=options.config_dir)]
        printed = lines(found[0])
    for note in dict.fromkeys(note for each in found for note in each.notes):
        say(note)
    for line in printed:
        out(line)
    return 0


def work(options: argparse.Namespace, overrides: list[str]) -> int:
    """Do a share of a phase."""
    from pipelines.launch.share import work

    say(str(work(Path(options.plan), options.index, options.of)))
    return 0


def config(options: argparse.Namespace, overrides: list[str]) -> int:
    """Print the keys of the configuration."""
    from pipelines.cli.show import show_config

    return show_config(options.path, options.search, overrides, searched(options), out)


def explain(options: argparse.Namespace, overrides: list[str]) -> int:
    """Say why a document, a step or a rule did what it did."""
    opened = door.open_run(options.run, store_of(options, overrides))
    explanation = opened.explain(doc=options.doc, step=options.step, rule=options.rule, raw=options.raw)
    if not explanation.found:
        say(f"siku: {explanation}")
        return 2
    for line in explanation.lines:
        out(line)
    return 0


def export(options: argparse.Namespace, overrides: list[str]) -> int:
    """Write documents, verdicts, tokens or the model in another format."""
    opened = door.open_run(options.run, store_of(options, overrides))
    if (options.what == "model") != (options.format == "hf"):
        raise ExportError(
            f"--what {options.what} has no --format {options.format}: a model's is hf, and only a model's"
        )
    if options.what == "model":
        body = opened.export_model(options.to)
        counted = f"{body['parameters']:,} parameters after step {body['step']:,}"
        out(f"{counted} as {body['architecture']}: {Path(options.to).expanduser().absolute()}")
        return 0
    body = opened.export(options.what, options.format, options.to, options.side, raw=options.raw)
    counted = f"{body['rows']:,} verdicts" if options.what == "verdicts" else f"{body['rows']:,} documents"
    named = f"tokens of {counted}" if options.what == "tokens" else counted
    out(f"{named} in {len(body['files'])} {options.format} files: {Path(options.to).expanduser().absolute()}")
    return 0


def status(options: argparse.Namespace, overrides: list[str]) -> int:
    """Show the jobs of a run that was handed over."""
    from pipelines.launch.status import lines

    for line in lines(store_of(options, overrides), options.run):
        out(line)
    return 0


def cancel(options: argparse.Namespace, overrides: list[str]) -> int:
    """End the jobs of a run that was handed over."""
    from pipelines.launch.status import cancel

    out(cancel(store_of(options, overrides), options.run))
    return 0


def ls(options: argparse.Namespace, overrides: list[str]) -> int:
    """List runs."""
    from pipelines.cli.show import list_runs

    return list_runs(store_of(options, overrides), out)


def gc(options: argparse.Namespace, overrides: list[str]) -> int:
    """Show, and with --yes remove, what no run reaches or wants."""
    from pipelines.past.garbage import collect_garbage

    return collect_garbage(store_of(options, overrides), out, remove=options.yes, forget=options.forget)


def completion(options: argparse.Namespace, overrides: list[str]) -> int:
    """Print a shell completion script."""
    from pipelines.cli.completion import script
    from pipelines.cli.main import command_line

    out(script(options.shell, command_line(), searched(options)))
    return 0
