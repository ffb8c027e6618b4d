"""What no run needs: shown, and removed if asked."""

from collections.abc import Callable
from pathlib import Path

from pipelines.engine.files import Posix
from pipelines.engine.lease import KEY as LEASE
from pipelines.engine.lease import Lease, Watch, holder
from pipelines.engine.store import MANIFEST, Store
from pipelines.past.history import History, open_run, run_names

Out = Callable[[str], None]


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; files that vanish meanwhile count nothing."""
    return sum(each.bytes for each in Posix(folder).list())


def own_folders(history: History) -> set[Path]:
    """Folders of the store that a run needs, those of runs that it read on from among them."""
    stages = [*history.stages.values(), *(stage for _, stage in history.earlier)]
    return {stage.directory for stage in stages if stage.kind != "files"}


def collect_garbage(root: Path, out: Out, remove: bool = False) -> int:
    """Show what no run reaches, and remove it if asked; 1 where a run in progress forbids that."""
    reachable: set[Path] = set()
    for name in run_names(root):
        reachable |= own_folders(open_run(root, name))
    folders = list(Store(root).stage_folders())
    busy = [(folder, owner) for folder in folders if (owner := holder(Posix(folder)))]
    garbage = [folder for folder in folders if folder not in reachable and folder not in {f for f, _ in busy}]
    total = 0
    for folder in garbage:
        size = folder_bytes(folder)
        total += size
        place = folder.relative_to(root)
        unfinished = "" if (folder / MANIFEST).exists() or place.parts[0] == "train" else "  unfinished"
        out(f"{size / 1e6:>10.2f} MB  {place}{unfinished}")
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
