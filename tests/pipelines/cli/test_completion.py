"""Completion scripts, and what they know."""

import functools
import subprocess

import pytest

from conf.search import PACKAGED
from pipelines.cli.completion import Words, fish, script, words
from pipelines.cli.main import command_line

FOUND = Words(
    {"run": "make what's missing", "export": "elsewhere", "completion": "script"},
    {"run": ["--help", "--multirun"], "export": ["--to", "--what"], "completion": ["--help"]},
    {"--what": ["documents", "tokens"], "completion": ["bash", "zsh", "fish"]},
    {"model": ["small", "tiny"], "train.lr": (), "layout.zero1": ("true", "false")},
)


SCRIPTS = functools.cache(lambda shell: script(shell, command_line()))


def completed(*typed, cwd=None):
    """What bash would offer; `=` and `@` are words of their own there, as in COMP_WORDS."""
    program = 'eval "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _siku; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "--norc", "-c", program, "bash", SCRIPTS("bash"), *typed],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_words_come_from_the_parser_and_the_schema():
    found = words(command_line())
    verbs = {"run", "import", "plan", "work", "config", "explain", "export", "ls", "gc", "completion"}
    verbs |= {"status", "cancel"}
    assert verbs == set(found.verbs)
    assert {"--doc", "--step", "--rule", "--run", "--raw"} <= set(found.flags["explain"])
    assert found.values["--what"] == ["documents", "verdicts", "tokens", "model"]
    assert found.values["completion"] == ["bash", "zsh", "fish"]
    assert found.settings["layout.device"] == ("auto", "cpu", "cuda")
    assert found.settings.items() >= PACKAGED.groups().items()
    assert "train.optimizer.lr" in found.settings and "train.optimizer" not in found.settings


def test_bash_completes():
    assert completed("siku", "ex") == ["explain", "export"]
    assert completed("siku", "export", "--what", "") == ["documents", "verdicts", "tokens", "model"]
    assert completed("siku", "export", "--form") == ["--format"]
    assert completed("siku", "completion", "f") == ["fish"]
    assert completed("siku", "run", "train.optimizer.l") == ["train.optimizer.lr="]
    assert completed("siku", "run", "model", "=", "t") == ["tiny"]
    assert completed("siku", "run", "layout.device", "=") == ["auto", "cpu", "cuda"]
    assert completed("siku", "run", "model=s") == ["small"]
    assert completed("siku", "run", "nosuchkey") == []


def test_bash_completes_paths_runs_stages_and_rules(tmp_path):
    """U10."""
    for run in (".siku/runs/演示", ".siku/runs/demo", "other/runs/一"):
        (tmp_path / run).mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jsonl").touch()
    (tmp_path / "my.yaml").touch()

    def here(*typed):
        return sorted(completed("siku", *typed, cwd=tmp_path))

    assert here("run", "recipe.source.path", "=", "da") == ["data"]
    assert here("run", "recipe.source.path=data/") == ["data/a.jsonl"]
    assert here("run", "site.store", "=") == [".siku", "data", "my.yaml", "other"]
    assert here("run", "@", "m") == ["my.yaml"] and here("run", "@m") == ["@my.yaml"]
    assert here("explain", "--doc", "data/a") == ["data/a.jsonl"]
    assert here("run", "--config-dir", "") == [".siku", "data", "other"]
    assert here("explain", "--run", "") == ["demo", "演示"]
    assert here("explain", "site.store", "=", "other", "--run", "") == ["一"]
    assert here("export", "site.store=none", "--run", "") == []
    assert here("run", "run.until", "=", "toke") == ["tokenizer", "tokens"]
    assert here("run", "run.until", "=", "eval") == ["evaluate"]
    assert here("explain", "--rule", "word") == ["word_length", "word_repetition", "words"]
    assert here("export", "--side", "h") == ["held_out"]


def test_fish_completes_paths_and_runs():
    text = SCRIPTS("fish")
    assert "-l run -x -a '(__siku_runs)'" in text and "-l config-dir -r -F" in text and "-l to -r -F" in text
    (line,) = [line for line in text.splitlines() if "string match -r" in line]
    assert r"recipe\.source\.path|" in line and r"site\.store|train\.initial)=|@)" in line


def test_fish_quotes_what_it_says():
    text = fish(FOUND)
    assert "-a run -d 'make what\\'s missing'" in text
    assert "complete -c siku -n '__fish_seen_subcommand_from run export' -a 'model=small model=tiny'" in text
    assert "-l what -x -a 'documents tokens'" in text and "-l to -r -F" in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_knows_everything(shell):
    text, found = SCRIPTS(shell), words(command_line())
    names = [*found.verbs, *found.settings, *(choice for names in PACKAGED.groups().values() for choice in names)]
    names += [flag.removeprefix("--") for flags in found.flags.values() for flag in flags]
    for name in names:
        assert name in text, name
    assert "siku config" not in text.replace("siku config ", "")  # nothing runs when the tab key is pressed
    assert "$(siku" not in "\n".join(text.splitlines()[2:])
