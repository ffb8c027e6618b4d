"""`siku completion`: a script for the shell that knows verbs, flags, configuration keys and choices.

Everything is written into the script, so that a press of the tab key starts no Python.
"""

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from conf.load import load
from conf.schema import Config
from conf.search import PACKAGED, Search
from pipelines.cli.settings import Key, alternatives, keys

OVERRIDES = frozenset({"run", "import", "plan", "explain", "export", "status", "cancel", "ls", "gc", "completion"})
FOLDERS, FILES, RUNS = ("--to", "--config-dir"), ("--doc",), ("--run",)  # flags with values of these kinds
MADE = ("train", "untrained", "evaluate")  # stages that a recipe does not name


@dataclass(frozen=True, slots=True)
class Words:
    """What can be completed: verbs with their lines, flags of each verb, values of flags, values of keys."""

    verbs: Mapping[str, str]
    flags: Mapping[str, Sequence[str]]
    values: Mapping[str, Sequence[str]]  # by flag, or by verb for a positional
    settings: Mapping[str, Sequence[str]]  # by key or group; empty where anything goes
    paths: frozenset[str] = frozenset()  # keys whose value is a file or folder


def words(parser: argparse.ArgumentParser, search: Search = PACKAGED) -> Words:
    """Verbs and flags from the parser; keys from the schema as the default configuration and every source fill it."""
    verbs: dict[str, str] = {}
    flags: dict[str, Sequence[str]] = {}
    values: dict[str, Sequence[str]] = {}
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        verbs |= {choice.dest: choice.help or "" for choice in action._choices_actions}
        for verb, sub in action.choices.items():
            options = [o for a in sub._actions for o in a.option_strings if o.startswith("--")]
            flags[verb] = sorted(options)
            for inner in sub._actions:
                for name in [o for o in inner.option_strings if o.startswith("--")] or [verb]:
                    if inner.choices is not None:
                        values[name] = [str(choice) for choice in inner.choices]
    known = [key for key in keys(load([], search)) if key.value]
    known += [replace(key, path=key.path.replace("<name>", "source")) for key in alternatives(Config) if _source(key)]
    settings: dict[str, Sequence[str]] = {key.path: key.choices for key in known}
    settings |= search.groups()
    stages, rules = _named(search)
    settings["run.until"] = sorted({*stages, *MADE})
    values["--rule"] = sorted(rules)
    paths = frozenset(key.path for key in known if key.type.startswith("path"))
    return Words(verbs, flags, values, dict(sorted(settings.items())), paths)


def _source(key: Key) -> bool:
    """Whether a choice of a source brings a key in."""
    kind = key.when.removeprefix("kind=")
    return kind != key.when and kind in PACKAGED.groups()["source"] and key.path.startswith("recipe.<name>.")


def _named(search: Search) -> tuple[set[str], set[str]]:
    """Stages of all recipes, and rules of all groups that set any."""
    import yaml

    stages: set[str] = set()
    rules: set[str] = set()
    for group, names in search.groups().items():
        for path in (search.file(group, name) for name in names):
            body = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            if group == "recipe":
                stages |= body.keys()
            rules |= {key for key, value in body.items() if isinstance(value, Mapping) and "rule" in value}
    return stages, rules


def script(shell: str, parser: argparse.ArgumentParser, search: Search = PACKAGED) -> str:
    """The completion script for bash, zsh or fish, to be sourced."""
    return {"bash": bash, "zsh": zsh, "fish": fish}[shell](words(parser, search))


def _quoted(items: Sequence[str]) -> str:
    return shlex.quote(" ".join(items))


def _cases(words: Words) -> tuple[str, str, str]:
    """Bodies of three case statements, alike in bash and zsh: flags by verb, values by flag, values by key."""
    flags = "\n".join(f"    {verb}) choices={_quoted(names)} ;;" for verb, names in words.flags.items())
    values = "\n".join(
        f"    {flag}) choices={_quoted(names)} ;;" for flag, names in words.values.items() if flag.startswith("--")
    )
    settings = "\n".join(f"    {key}) choices={_quoted(names)} ;;" for key, names in words.settings.items() if names)
    if words.paths:
        settings += f"\n    {'|'.join(sorted(words.paths))}) files=1 ;;"
    return flags, values, settings


def _positional(words: Words) -> str:
    return "\n".join(
        f"    {verb}) choices={_quoted(names)} ;;" for verb, names in words.values.items() if not verb.startswith("--")
    )


def bash(words: Words) -> str:
    """For bash 3.2 and later; `=` splits words there, so the key is put together again."""
    flags, values, settings = _cases(words)
    keys_ = _quoted([f"{key}=" for key in words.settings])
    return f"""# bash completion for siku; use: eval "$(siku completion bash)"
_siku_runs() {{  # names of the runs in the store that is asked for
  local store=.siku i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${{COMP_WORDS[i]}} in
      site.store) [[ ${{COMP_WORDS[i+1]}} == "=" ]] && store=${{COMP_WORDS[i+2]}} ;;
      site.store=*) store=${{COMP_WORDS[i]#*=}} ;;
    esac
  done
  command ls "${{store/#\\~/$HOME}}/runs" 2>/dev/null
}}
_siku_files() {{ compopt -o filenames 2>/dev/null; COMPREPLY=( $(compgen "$1" -- "$2") ); }}
_siku() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} verb=${{COMP_WORDS[1]}}
  local choices= key= files=
  COMPREPLY=()
  if (( COMP_CWORD == 1 )); then
    COMPREPLY=( $(compgen -W {_quoted(list(words.verbs))} -- "$current") ); return
  fi
  if [[ $current == "=" ]]; then key=$previous current=
  elif [[ $previous == "=" ]]; then key=${{COMP_WORDS[COMP_CWORD-2]}}
  elif [[ $current == *=* ]]; then key=${{current%%=*}} current=${{current#*=}}
  fi
  if [[ -n $key ]]; then
    case $key in
{settings}
    esac
    if [[ -n $files ]]; then _siku_files -f "$current"; return; fi
    COMPREPLY=( $(compgen -W "$choices" -- "$current") ); return
  fi
  case $previous in
{values}
    {"|".join(RUNS)}) choices=$(_siku_runs); [[ -n $choices ]] || return ;;
    {"|".join(FOLDERS)}) _siku_files -d "$current"; return ;;
    {"|".join(FILES)}|@) _siku_files -f "$current"; return ;;
  esac
  if [[ -n $choices ]]; then COMPREPLY=( $(compgen -W "$choices" -- "$current") ); return; fi
  if [[ $current == @* ]]; then _siku_files -f "${{current#@}}"; COMPREPLY=( "${{COMPREPLY[@]/#/@}}" ); return; fi
  if [[ $current == -* ]]; then
    case $verb in
{flags}
    esac
    COMPREPLY=( $(compgen -W "$choices" -- "$current") ); return
  fi
  case $verb in
{_positional(words)}
  esac
  [[ -n $choices ]] || choices={keys_}
  COMPREPLY=( $(compgen -W "$choices" -- "$current") )
  [[ ${{#COMPREPLY[@]}} == 1 && ${{COMPREPLY[0]}} == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}}
complete -F _siku siku
"""


def zsh(words: Words) -> str:
    """For zsh, by compadd; `=` does not split words there."""
    flags, values, settings = _cases(words)
    keys_ = _quoted([f"{key}=" for key in words.settings])
    return f"""#compdef siku
# zsh completion for siku; use: eval "$(siku completion zsh)"
_siku() {{
  local current=${{words[CURRENT]}} previous=${{words[CURRENT-1]}} verb=${{words[2]}} key= choices= files= store=.siku
  local -a runs
  if (( CURRENT == 2 )); then
    choices={_quoted(list(words.verbs))}; compadd -- ${{=choices}}; return
  fi
  if [[ $current == *=* ]]; then
    key=${{current%%=*}}
    case $key in
{settings}
    esac
    if [[ -n $files ]]; then compset -P '*='; _files; return; fi
    compadd -P "$key=" -- ${{=choices}}; return
  fi
  if [[ $current == @* ]]; then compset -P '@'; _files; return; fi
  case $previous in
{values}
    {"|".join(RUNS)})
      [[ -n ${{(M)words:#site.store=*}} ]] && store=${{${{(M)words:#site.store=*}}#*=}}
      runs=(${{~store}}/runs/*(N:t)); compadd -a runs; return ;;
    {"|".join(FOLDERS)}) _files -/; return ;;
    {"|".join(FILES)}) _files; return ;;
  esac
  if [[ -n $choices ]]; then compadd -- ${{=choices}}; return; fi
  if [[ $current == -* ]]; then
    case $verb in
{flags}
    esac
    compadd -- ${{=choices}}; return
  fi
  case $verb in
{_positional(words)}
  esac
  if [[ -n $choices ]]; then compadd -- ${{=choices}}; return; fi
  choices={keys_}
  compadd -S '' -- ${{=choices}}
}}
compdef _siku siku
"""


_FISH_TAKES = {
    **dict.fromkeys((*FOLDERS, *FILES), " -r -F"),
    **dict.fromkeys(RUNS, " -x -a '(__siku_runs)'"),
}
_FISH = """\
function __siku_paths
  set -l token (commandline -ct)
  set -l head (string match -r '^(?:(?:KEYS)=|@)' -- $token); or return
  for path in (__fish_complete_path (string sub -s (math (string length -- $head) + 1) -- $token))
    echo $head$path
  end
end
function __siku_runs
  set -l store (string replace -f -r '^site\\.store=' '' -- (commandline -opc)); or set store .siku
  command ls (string replace -r '^~' $HOME -- $store[-1])/runs 2>/dev/null
end"""


def fish(words: Words) -> str:
    """For fish 3.4 and later."""
    keys_ = "|".join(sorted(words.paths)).replace(".", "\\.")
    lines = [
        "# fish completion for siku; use: siku completion fish | source",
        _FISH.replace("KEYS", keys_ or "^$"),
        "complete -c siku -f",
        "complete -c siku -a '(__siku_paths)'",
    ]
    for verb, line in words.verbs.items():
        lines.append(f"complete -c siku -n __fish_use_subcommand -a {verb} -d {_fish(line)}")
    for verb, names in words.flags.items():
        on = f"-n '__fish_seen_subcommand_from {verb}'"
        for name in names:
            chosen = words.values.get(name)
            takes = f" -x -a {_fish(' '.join(chosen))}" if chosen else _FISH_TAKES.get(name, "")
            lines.append(f"complete -c siku {on} -l {name.removeprefix('--')}{takes}")
        if verb in words.values:
            lines.append(f"complete -c siku {on} -a {_fish(' '.join(words.values[verb]))}")
    configured = [verb for verb in words.verbs if verb in OVERRIDES and verb not in words.values]
    on = f"-n '__fish_seen_subcommand_from {' '.join(configured)}'"
    for key, names in words.settings.items():
        given = " ".join(f"{key}={name}" for name in names) if names else f"{key}="
        lines.append(f"complete -c siku {on} -a {_fish(given)}")
    return "\n".join(lines) + "\n"


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
