"""`siku config`, `siku ls` and `siku gc`: what can be set, which runs there are, what none of them needs."""

import difflib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from conf.load import compose, load
from conf.overrides import parse
from conf.schema import WHAT, Config
from conf.search import FOLDER, Search, shown
from pipelines.cli.settings import Key, Layer, alternatives, file_layer, keys, override_layer, setter
from pipelines.engine.identity import DIGEST_LENGTH
from pipelines.engine.lease import Lease, try_acquire
from pipelines.past.history import History, open_run, run_names
from pipelines.past.sweep import heads, open_sweeps

Out = Callable[[str], None]
_KEPT = frozenset({"runs", "sweeps", "checksums"})


def show_config(path: str, word: str, overrides: Sequence[str], search: Search, out: Out) -> int:
    """Print the keys below `path` whose name or doc line holds `word`; 1 if there are none."""
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
        out(f"no key matches {path or word!r}" + (f"; near it: {', '.join(near)}" if near else ""))
        return 1
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


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; files that vanish meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() and not path.is_symlink() else 0
        except FileNotFoundError:
            continue
    return total


def own_folders(history: History) -> set[Path]:
    """Folders of the store that a run needs."""
    return {stage.directory for stage in history.stages.values() if stage.kind != "files"}


def list_runs(root: Path, out: Out) -> int:
    """Print the finished runs, newest first (date, tokens, steps, bytes in the store, bits per byte), and sweeps."""
    names = run_names(root)
    if not names:
        out(f"{root} holds no finished run: `siku run` makes one")
        return 0
    sizes: dict[Path, int] = {}
    width = max(len(name) for name in names)
    for name in names:
        history = open_run(root, name)
        folders = own_folders(history)
        for folder in folders - sizes.keys():
            sizes[folder] = folder_bytes(folder)
        held = sum(sizes[folder] for folder in folders)
        out(f"{name:<{width}}  {_date(history.record['finished'])}  {held / 1e6:>9.1f} MB  {figures(history)}")
    sweeps = open_sweeps(root)
    for sweep in sweeps:
        keys = ", ".join(heads(sweep.keys).values())
        out(f"sweep {sweep.name}  {_date(sweep.finished)}  {len(sweep.cells)} cells of {keys}")
    told = f"{len(names)} runs" + (f", {len(sweeps)} sweeps" if sweeps else "")
    out(f"{told}; together {sum(sizes.values()) / 1e6:.1f} MB, shared stages once")
    return 0


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def figures(history: History) -> str:
    """What came of a run, as far as it went: tokens, steps, bits per byte."""
    if not (history.folder / "summary.json").exists():
        return "no summary"
    summary = history.summary
    tokens, steps = sum(summary["tokens"].values()), summary["training"]["steps"]
    scores = summary["validation"]["bits_per_byte"]
    bits = ", ".join(f"{name} {score['model']:.3f}" for name, score in scores.items() if score["model"] is not None)
    told = [f"{tokens:,} tokens" if tokens else f"{summary['documents']['training']:,} documents"]
    told += [f"{steps:,} steps"] if steps else []
    return ", ".join([*told, f"bits/byte {bits}" if bits else "not evaluated"])


def stage_folders(root: Path) -> Iterator[Path]:
    """Every stage's folder in a store, each crawl by itself."""
    for kind in sorted(root.iterdir()) if root.exists() else []:
        if not kind.is_dir() or kind.name in _KEPT:
            continue
        for folder in sorted(kind.iterdir()):
            if folder.is_dir() and len(folder.name) == DIGEST_LENGTH and set(folder.name) <= set("0123456789abcdef"):
                yield from sorted(folder.glob("crawl-*")) if kind.name == "crawl" else [folder]


def collect_garbage(root: Path, out: Out, remove: bool = False) -> int:
    """Show what no run reaches, and remove it if asked; 1 where a run in progress forbids that."""
    reachable: set[Path] = set()
    for name in run_names(root):
        reachable |= own_folders(open_run(root, name))
    folders = list(stage_folders(root))
    busy = [(folder, owner) for folder in folders if (owner := _holder(folder, out))]
    garbage = [folder for folder in folders if folder not in reachable and folder not in {f for f, _ in busy}]
    total = 0
    for folder in garbage:
        size = folder_bytes(folder)
        total += size
        unfinished = "" if (folder / "manifest.json").exists() or folder.parent.name == "train" else "  unfinished"
        out(f"{size / 1e6:>10.2f} MB  {folder.relative_to(root)}{unfinished}")
    for folder, owner in busy:
        out(f"    in use     {folder.relative_to(root)}, by {owner}")
    word = "reach" if len(run_names(root)) != 1 else "reaches"
    out(f"{total / 1e6:.2f} MB in {len(garbage)} of {len(folders)} stage folders that no run {word}")
    if not remove:
        out("nothing removed: `siku gc --yes` removes them" if garbage else "nothing to remove")
        return 0
    if busy:  # what it has finished so far is reached by no run.json yet
        out("nothing removed: a run is in progress; wait for its end")
        return 1
    for folder in garbage:
        _remove(folder, out)
    out(f"removed {total / 1e6:.2f} MB" if garbage else "nothing to remove")
    return 0


def _holder(folder: Path, out: Out) -> str:
    """The living owner of a folder's lease, if it has one."""
    if not (folder / "lease.json").exists():
        return ""
    held = try_acquire(folder, out)
    if isinstance(held, Lease):
        held.release()
        return ""
    return str(held)


def _remove(folder: Path, out: Out) -> None:
    """Empty a folder under its lease; a process that wants it meanwhile finds it empty and makes it anew."""
    held = try_acquire(folder, out)
    if not isinstance(held, Lease):
        out(f"kept {folder}: {held} has just begun to make it")
        return
    manifest = folder / "manifest.json"
    manifest.unlink(missing_ok=True)  # first: without it the folder is no result, whatever a kill leaves
    for path in folder.iterdir():
        if path.name in ("lease.json", "lease.lock"):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    held.release()
    (folder / "lease.lock").unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
