"""The command line. Only configuration is `key=value`; a verb's own arguments are flags."""

import argparse
import gc
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import NoReturn, TextIO

Verb = Callable[[argparse.Namespace, list[str]], int]


def command_line() -> argparse.ArgumentParser:
    """Every verb with its flags."""
    parser = argparse.ArgumentParser(
        prog="siku", description="From a crawled web site to validation loss, in one configuration.", allow_abbrev=False
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    _config_dir(parser, "")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    common = argparse.ArgumentParser(add_help=False)
    _config_dir(common, argparse.SUPPRESS)
    overrides = argparse.ArgumentParser(add_help=False, parents=[common])
    overrides.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="configuration: also ~key, @file.yaml; `siku config` lists keys",
    )
    run = verbs.add_parser(
        "run", parents=[overrides], help="make whatever is missing, up to bits per byte and a report"
    )
    run.add_argument("-m", "--multirun", action="store_true", help="a.b=1,2 makes cells of an ablation, in one table")
    line = "every stage by itself, before and after it is made; what the trainer adapts"
    run.add_argument("-v", "--verbose", action="store_true", help=line)
    begin = verbs.add_parser(
        "import", parents=[overrides], help="a run that starts from a Hugging Face folder's model and tokenizer"
    )
    begin.add_argument(
        "--from", required=True, dest="folder", metavar="DIR", help="config.json, weights, tokenizer.json"
    )
    begin.add_argument("-v", "--verbose", action="store_true", help=line)
    plan = verbs.add_parser("plan", parents=[overrides], help="what is reused, what is new and why, what it will cost")
    plan.add_argument("-m", "--multirun", action="store_true", help="the same of each cell of `siku run -m`")
    config = verbs.add_parser(
        "config", parents=[common], help="every key: type, default, value, who set it, WHAT or WHERE, its doc line"
    )
    config.add_argument("path", nargs="?", default="", help="only keys below this dotted path")
    config.add_argument("--search", default="", help="only keys whose name or doc line holds this word")
    config.add_argument("--set", nargs="*", default=[], metavar="key=value", dest="overrides", help="as for run")
    work = verbs.add_parser("work", help="do a share of a phase that a run has written to a plan file")
    work.add_argument("plan", metavar="PLAN", help="the plan file that a run with cluster=shell or cluster=slurm names")
    work.add_argument("--index", type=int, required=True, help="which share, from 0 on")
    work.add_argument("--of", type=int, required=True, help="how many shares there are")
    explain = verbs.add_parser(
        "explain", parents=[overrides], help="why a document was kept or dropped, what a step saw"
    )
    which = explain.add_mutually_exclusive_group(required=True)
    which.add_argument("--doc", help="a URL, `source:record`, or the hex id of a document")
    which.add_argument("--step", type=int, help="documents in that training step")
    which.add_argument("--rule", help="samples of what that rule drops")
    for verb in (explain,):
        verb.add_argument("--run", default="", help="a run of `siku ls`; the latest by default")
        verb.add_argument("--raw", action="store_true", help="show what masks hide, in texts and URLs")
    export = verbs.add_parser("export", parents=[overrides], help="documents, verdicts, tokens or the model elsewhere")
    export.add_argument("--what", required=True, choices=["documents", "verdicts", "tokens", "model"])
    export.add_argument("--format", required=True, choices=["parquet", "jsonl", "hf"], help="hf is the model's")
    export.add_argument("--to", required=True, help="folder to write; it must not hold an export yet")
    export.add_argument("--side", default="train", choices=["train", "held_out", "all"], help="train by default")
    export.add_argument("--run", default="", help="a run of `siku ls`; the latest by default")
    export.add_argument("--raw", action="store_true", help="export what masks hide, in texts and URLs")
    for name, line in (
        ("status", "jobs, progress and last log lines of a run on a cluster"),
        ("cancel", "end its jobs"),
    ):
        verb = verbs.add_parser(name, parents=[overrides], help=line)
        verb.add_argument("--run", default="", help="a run's folder; the one handed over last by default")
    verbs.add_parser("ls", parents=[overrides], help="runs and what they keep in the store")
    gc = verbs.add_parser("gc", parents=[overrides], help="show what no run reaches; --yes removes it")
    gc.add_argument("--yes", action="store_true")
    gc.add_argument("--forget", default="", metavar="RUN", help="as if that run had never been; --yes gives it up")
    completion = verbs.add_parser("completion", parents=[common], help="a completion script for the shell")
    completion.add_argument("shell", choices=["bash", "zsh", "fish"])
    return parser


def _config_dir(parser: argparse.ArgumentParser, default: str) -> None:
    line = "your own groups and files beside the packaged ones; by default the environment's SIKU_CONFIG"
    parser.add_argument("--config-dir", default=default, metavar="DIR", help=line)


class _Version(argparse.Action):
    """Prints the installed distribution's version; looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"siku {version('siku')}\n")
        parser.exit()


def _verbs() -> dict[str, Verb]:
    from pipelines.cli import commands

    return {
        "run": commands.run,
        "import": commands.import_model,
        "plan": commands.plan,
        "work": commands.work,
        "config": commands.config,
        "explain": commands.explain,
        "export": commands.export,
        "status": commands.status,
        "cancel": commands.cancel,
        "ls": commands.ls,
        "gc": commands.gc,
        "completion": commands.completion,
    }


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Options and overrides, in whatever order: argparse alone takes overrides in one place only."""
    parser = command_line()
    options, rest = parser.parse_known_args(arguments)
    strangers = [each for each in rest if each.startswith("-") or not ("=" in each or each[:1] in "~@")]
    if strangers or (rest and not hasattr(options, "overrides")):
        parser.error(f"unrecognized arguments: {' '.join(strangers or rest)}")
    if rest:
        options.overrides = [*options.overrides, *rest]
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `siku`; the exit status."""
    gc.set_threshold(100_000)  # by default a tenth of a second goes on what imports keep anyway
    from pipelines.cli.strangers import refuse_strangers

    refuse_strangers()
    from pipelines.cli.commands import report_failure
    from pipelines.engine.work import HandedOver

    warnings.showwarning = _warn
    options = parse(arguments)
    try:
        return _verbs()[options.verb](options, list(getattr(options, "overrides", []) or []))
    except KeyboardInterrupt:
        command = shlex.join(["siku", *(sys.argv[1:] if arguments is None else arguments)])
        print(f"stopped; finished items are kept. To go on: {command}", file=sys.stderr)  # noqa: T201
        return 130
    except HandedOver as handed:
        print(f"siku: {handed}", file=sys.stderr)  # noqa: T201
        return 0
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # 128 + SIGPIPE
    except Exception as error:  # noqa: BLE001 - the rim: one traceback, or one sentence for a user's mistake
        return report_failure(error)


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as one line, without a place in the code."""
    print(f"siku: {message}", file=sys.stderr)  # noqa: T201


def _exit() -> NoReturn:
    raise SystemExit(main())


if __name__ == "__main__":
    _exit()
