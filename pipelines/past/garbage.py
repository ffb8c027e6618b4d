"""What no run needs: shown, and removed if asked."""

from collections.abc import Callable, Iterator
from pathlib import Path

from pipelines.engine.checksum import Checksums
from pipelines.engine.files import Posix, is_folder
from pipelines.engine.lease import KEY as LEASE
from pipelines.engine.lease import Lease, Watch, holder, runs
from pipelines.engine.store import MANIFEST, Store
from pipelines.graph.records import NoRunError, intents, named
from pipelines.past.history import History, histories

Out = Callable[[str], None]


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; files that vanish meanwhile count nothing."""
    return sum(each.bytes for each in Posix(folder).list())


def own_folders(history: History) -> set[Path]:
    """Folders of the store that a run needs, those of runs that it read on from among them."""
    stages = [*history.stages.values(), *(stage for _, stage in history.earlier)]
    return {stage.directory for stage in stages if stage.kind != "files"}


def collect_garbage(root: Path, out: Out, remove: bool = False, forget: str = "") -> int:
    """Show what no run reaches or wants, and remove it if asked; `forget` gives a run up first.

    Returns 1 where nothing may be removed, for a damaged run.json does not tell what its run needs. Raises NoRunError
    where there is no store.
    """
    if not is_folder(root):
        raise NoRunError(f"site.store={str(root)!r}: there is no store: set site.store to the folder of one")
    if forget:
        _check_forget(root, forget)
    kept = [history for history in histories(root) if history.name != forget]
    reachable = {folder for history in kept for folder in own_folders(history)}
    folders = list(Store(root).stage_folders())
    busy = {folder: owner for folder in folders if (owner := holder(Posix(folder)))}
    wanted = _wanted(root, forget)
    garbage = [
        folder
        for folder in folders
        if folder not in reachable and folder not in busy and not any(map(folder.is_relative_to, wanted))
    ]
    total = 0
    for folder in garbage:
        size = folder_bytes(folder)
        total += size
        place = folder.relative_to(root)
        unfinished = "" if Posix(folder).head(MANIFEST) or place.parts[0] == "train" else "  unfinished"
        out(f"{size / 1e6:>10.2f} MB  {place}{unfinished}")
    left = [each for folder in sorted(reachable - busy.keys()) for each in _left(root, folder)]
    for each in left:
        out(f"{folder_bytes(each) / 1e6:>10.2f} MB  {each.relative_to(root)}  left by a kill")
    for folder, owner in busy.items():
        out(f"    in use     {folder.relative_to(root)}, by {owner}")
    for intent in intents(root):
        if intent.name != forget:
            ask = f"`siku gc --forget {intent.name} --yes`"
            out(f"kept for run {intent.name}, {intent.state} ({ask}): {intent.command}")
    out(f"{total / 1e6:.2f} MB in {len(garbage)} of {len(folders)} stage folders that no run reaches")
    if not remove:
        again = f"siku gc --forget {forget} --yes" if forget else "siku gc --yes"
        out(f"nothing removed: `{again}` removes them" if garbage or left else "nothing to remove")
        return 0
    if damaged := {*named(root)} - {history.name for history in kept} - {forget}:
        out(f"nothing removed: what {', '.join(sorted(damaged))} needs is not known, for its run.json is damaged")
        return 1
    _clear(root, garbage, left, out, forget)
    Checksums(root / "checksums").sweep({sha for history in kept for sha in _folders_read(history)})
    out(f"removed {total / 1e6:.2f} MB" if garbage or left else "nothing to remove")
    return 0


def _clear(root: Path, garbage: list[Path], left: list[Path], out: Out, forget: str) -> None:
    if forget:
        Store(root).files.delete(f"runs/{forget}")
        out(f"forgot run {forget}")
    for folder in garbage:
        if not any(map(folder.is_relative_to, _wanted(root, forget))):  # by a run that began meanwhile
            _remove(folder, out)
    for each in left:
        if isinstance(held := Watch(Posix(each.parent), each.parent.name).try_acquire(out), Lease):
            Posix(each.parent).delete(each.name)
            held.release()


def _folders_read(history: History) -> Iterator[str]:
    """Hashes of the user's own files and folders that a run read."""
    for stage in history.of_kind("files"):
        for value in stage.what.values():
            if isinstance(value, dict) and "$file" in value:
                yield str(value["$file"])


def _left(root: Path, folder: Path) -> list[Path]:
    """Checkpoints that a killed trainer was writing or removing; one that goes on removes them itself."""
    train = folder.relative_to(root).parts[0] == "train"
    names = Posix(folder).folders() if train else []
    return [folder / name for name in names if name.startswith("step-") and ".tmp" in name]


def _check_forget(root: Path, name: str) -> None:
    """Raise NoRunError for a run that there is not, or that is in progress."""
    begun = {intent.name: intent for intent in intents(root)}
    if name not in begun and name not in named(root):
        there = sorted({*begun, *named(root)})
        raise NoRunError(f"--forget {name!r}: {root} holds no such run; it holds {', '.join(there[:8]) or 'none'}")
    if name in begun and not begun[name].ended and (runs(begun[name].owner) or "Slurm" in begun[name].handed):
        raise NoRunError(f"--forget {name!r}: that run is {begun[name].state}: stop it first")


def _wanted(root: Path, forget: str) -> set[Path]:
    """Folders that begun runs want; of a crawl still to be made, the one that holds all its snapshots."""
    return {root / key for intent in intents(root) if intent.name != forget for key in intent.wants}


def _remove(folder: Path, out: Out) -> None:
    """Empty a folder under its lease; a process that wants it meanwhile finds it empty and makes it anew."""
    files = Posix(folder)
    held = Watch(files, folder.name).try_acquire(out)
    if not isinstance(held, Lease):
        out(f"kept {folder}: {held} has just begun to make it")
        return
    files.delete(MANIFEST)  # first: without it the folder is no result, whatever a kill leaves
    for each in files.list():
        if not each.key.startswith(f"{LEASE}/"):
            files.delete(each.key)
    files.delete(LEASE)
    held.release()
    if not files.list():
        files.delete("")
