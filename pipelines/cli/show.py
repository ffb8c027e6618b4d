"""`siku config`, `siku ls` and `siku gc`: what can be set, which runs there are, what none of them needs."""

import difflib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from conf.load import compose, load
from conf.overrides import parse
from conf.schema import WHAT, Config
from conf.search import FOLDER, ConfigError, Search, shown
from pipelines.cli.settings import Key, Layer, alternatives, file_layer, keys, override_layer, setter
from pipelines.door import runs
from pipelines.graph.records import intents, summary_of
from pipelines.past.garbage import folder_bytes, own_folders
from pipelines.past.history import History
from pipelines.past.sweep import heads, open_sweeps

Out = Callable[[str], None]


def show_config(path: str, word: str, overrides: Sequence[str], search: Search, out: Out) -> int:
    """Print the keys below `path` whose name or doc line holds `word`. Raises ConfigError for none."""
    config, layers = load(overrides, search), config_layers(overrides, search)
    found = list(keys(config))
    if path or word:
        there = {key.path for key in found}
        found += [key for key in dict.fromkeys(alternatives(Config)) if key.path not in there]
    wanted = [key for key in found if _below(key.path, path) and _holds(key, word)]
    chosen = {group: names for group, names in search.groups().items() if _group_wanted(group, names, path, word)}
    for group, names in chosen.items():
        folders = ", ".join(f"{shown(folder)}/{group}/" for folder in search.folders() if (folder / group).is_dir())
        out(f"{group}=  choose one: {', '.join(names)}  ({folders})")
    if chosen and wanted:
        out("")
    for key in wanted:
        for line in key_lines(key, layers, "WHAT" if key.path.partition(".")[0] in WHAT else "WHERE"):
            out(line)
    if not wanted and not chosen:
        near = difflib.get_close_matches(path or word, [key.path for key in found], 3, 0.4)
        way = f"near it: {', '.join(near)}" if near else "`siku config` lists all"
        raise ConfigError(f"no key matches {path or word!r}; {way}")
    return 0


def _below(key: str, path: str) -> bool:
    return not path or key == path or key.startswith(f"{path}.")


def _holds(key: Key, search: str) -> bool:
    word = search.casefold()
    return not word or word in key.path.casefold() or word in key.doc.casefold() or word in key.when.casefold()


def _group_wanted(group: str, names: Sequence[str], path: str, search: str) -> bool:
    if path:
        return group == path
    return not search or any(search.casefold() in name.casefold() for name in (group, *names))


def key_lines(key: Key, layers: Sequence[Layer], side: str) -> Iterator[str]:
    """A key as the two or three lines that `siku config` prints."""
    if key.when:
        yield f"{key.path}  (with {key.when})"
    else:
        yield f"{key.path} = {key.value}" if key.value else key.path
    facts = [key.type, side]
    if key.choices and not key.type.startswith("one of"):
        facts.append(f"choices {', '.join(key.choices)}")
    elif key.choices and len(key.choices) > key.type.count(",") + 1:
        facts[0] = f"one of {', '.join(key.choices)}"
    by = "" if key.when or not key.value else setter(layers, key.path)
    if key.default:
        facts.append(key.default if key.default == "required" else f"default {key.default}")
    if by:
        facts.append("set by no one" if by == "default" else f"set by {by}")
    yield f"    {'; '.join(facts)}"
    if key.doc:
        yield f"    {key.doc}"


def config_layers(overrides: Sequence[str], search: Search) -> list[Layer]:
    """Files and overrides that make up a configuration, weakest first."""
    parsed = parse(overrides, search)
    layers, picked = [], {each.key: each for each in parsed if each.action == "choose"}
    for group, name in compose(parsed, search).choices.items():
        if group in search.groups():
            path = search.file(group, name)
            note = f" ({picked[group].origin}, {picked[group].text})" if group in picked else ""
            layers.append(file_layer(path, group, f"{shown(path.parents[1])}/{group}/{path.name}{note}"))
    layers.append(file_layer(FOLDER / "config.yaml", "", "conf/config.yaml"))
    changes = [each for each in parsed if each.action != "choose"]
    return [*layers, *(override_layer(each.key, f"{each.origin}, {each.text}") for each in changes)]


def list_runs(root: Path, out: Out) -> int:
    """Print the finished runs, newest first (date, tokens, steps, bytes in the store, bits per byte), and sweeps."""
    finished = runs(root)
    if not finished:
        out(f"{root} holds no finished run: `siku run` makes one")
    sizes: dict[Path, int] = {}
    width = max((len(run.name) for run in finished), default=0)
    for run in finished:
        history = run.history
        folders = own_folders(history)
        for folder in folders - sizes.keys():
            sizes[folder] = folder_bytes(folder)
        held = sum(sizes[folder] for folder in folders)
        out(f"{run.name:<{width}}  {_date(history.record['finished'])}  {held / 1e6:>9.1f} MB  {figures(history)}")
    sweeps = open_sweeps(root)
    for sweep in sweeps:
        keys = ", ".join(heads(sweep.keys).values())
        out(f"sweep {sweep.name}  {_date(sweep.finished)}  {len(sweep.cells)} cells of {keys}")
    for intent in intents(root):
        out(f"unfinished {intent.name}  begun {_date(intent.began)}, {intent.state}: {intent.command}")
    if not finished:
        return 0
    line = f"{len(finished)} runs" + (f", {len(sweeps)} sweeps" if sweeps else "")
    out(f"{line}; together {sum(sizes.values()) / 1e6:.1f} MB, shared stages once")
    return 0


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def figures(history: History) -> str:
    """What came of a run, as far as it went: tokens, steps, bits per byte."""
    summary = summary_of(history.root, history.name)
    if summary is None:
        return "no summary"
    tokens, steps = sum(summary["tokens"].values()), summary["training"]["steps"]
    scores = summary["validation"]["bits_per_byte"]
    bits = ", ".join(f"{name} {score['model']:.3f}" for name, score in scores.items() if score["model"] is not None)
    figures = [f"{tokens:,} tokens" if tokens else f"{summary['documents']['training']:,} documents"]
    figures += [f"{steps:,} steps"] if steps else []
    return ", ".join([*figures, f"bits/byte {bits}" if bits else "not evaluated"])
