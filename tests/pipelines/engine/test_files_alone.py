"""The store's files are touched by `pipelines/engine/files.py` alone: another store is another member there.

What Files gives as a path (`stage`, `local`) may be opened, mapped and asked for its size; nothing else may.
"""

import ast
from pathlib import Path

HOME = Path(__file__).resolve().parents[3]
OURS = "pipelines/engine/files.py"
FORBIDDEN = {
    *("link", "hardlink_to", "symlink", "symlink_to", "rename", "renames", "flock", "lockf", "fsync", "utime", "touch"),
    *("glob", "rglob", "iglob", "iterdir", "scandir", "listdir", "walk"),
    *("unlink", "rmtree", "rmdir", "removedirs", "mkdir", "makedirs", "write_text", "write_bytes"),
    *("open", "read_text", "read_bytes", "exists", "is_file", "is_dir", "stat", "lstat", "disk_usage"),
    *("copy2", "copyfile", "copytree", "move", "mkstemp", "mkdtemp"),
}
# Paths that are not the store's, or that Files has given: what each module does with them, and why it may.
ELSEWHERE = {
    "the user's input": {
        "pipelines/engine/checksum.py": {"is_file", "stat", "walk"},
        "pipelines/past/explain.py": {"exists"},  # an argument that may be a path
        "pipelines/past/lookup.py": {"is_file"},
    },
    "where `--to` says": {
        "pipelines/past/export.py": {
            *("exists", "is_dir", "iterdir", "mkdir", "open", "replace", "rmtree", "stat", "unlink", "write_text"),
        },
        "pipelines/past/export_model.py": {"copyfile", "read_text", "unlink", "write_bytes", "write_text"},
    },
    "configuration, the package's own files, the documentation": {
        "pipelines/cli/completion.py": {"read_text"},
        "pipelines/cli/reference.py": {"write_text"},
        "pipelines/cli/settings.py": {"read_text"},
        "pipelines/cli/show.py": {"is_dir"},
        "pipelines/engine/distribution.py": {"is_dir", "is_file", "read_bytes", "read_text", "rglob"},
        "pipelines/report/report.py": {"read_text"},
    },
    "the system's: /proc, /sys, /dev/null, a temporary log of the workers": {
        "pipelines/cli/main.py": {"open"},
        "pipelines/engine/lease.py": {"read_text", "stat"},
        "pipelines/engine/memory.py": {"read_text"},
        "pipelines/engine/watched_worker.py": {"open"},
    },
    "at the path that its attempt has staged, or that `local` gave": {
        "pipelines/engine/shuffle.py": {"open"},
        "pipelines/stages/grouping/rounds.py": {"stat"},
        "pipelines/stages/held_out.py": {"open", "stat", "write_bytes"},
        "pipelines/stages/tokenizer.py": {"read_bytes", "write_bytes"},  # and a tokenizer that the user names
        "pipelines/stages/train.py": {"open", "read_text"},  # and the trainer's log, beside what the trainer writes
    },
}
# Rooms that do not know the store. They own a folder of a shared file system while they work, append to it, and go on
# from it after a kill; what they finish is committed by the stage that started them.
OWNERS = {
    "corpus/crawling/captures.py": "maps a finished segment",
    "corpus/crawling/journal.py": "appends to a segment of one host, whose only writer it is",
    "corpus/crawling/segments.py": "reads what the journal of that host wrote",
    "pretrain/config/hugging_face.py": "reads a folder that the user names",
    "pretrain/exchange/folder.py": "reads a folder that the user names",
    "pretrain/config/layout.py": "looks for a device",
    "pretrain/parallel/platform.py": "looks for a device",
    "pretrain/engine/suspects.py": "appends to the trajectory's folder, which its trainer holds by a lock",
    "pretrain/evaluate.py": "writes at the paths that its stage has staged",
    "pretrain/exchange/hugging_face.py": "writes where `--to` says",
    "pretrain/job.py": "reads the job that its stage has written for it",
    "pretrain/journal.py": "appends a line a step to the trajectory's folder",
    "pretrain/parallel/launch.py": "logs of ranks on this machine",
    "pretrain/state/checkpoint.py": "ranks write parts of a checkpoint, rank 0 renames the whole",
    "pretrain/state/saver.py": "ranks write parts of a checkpoint, rank 0 renames the whole",
    "pretrain/state/trajectory.py": "holds the trajectory's folder by a lock",
    "pretrain/watch/profiler.py": "leaves traces in the trajectory's folder",
    "pretrain/watch/sinks.py": "appends to the trajectory's folder",
    "pretrain/train.py": "asks whether the trajectory's folder has been begun",
}


def calls(source: str) -> set[str]:
    """Names of the forbidden calls in a module; `replace` with one argument is a path's, with two a string's."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id == "open":
            names.add("open")
        if not isinstance(node.func, ast.Attribute):
            continue
        name, whose = node.func.attr, ast.unparse(node.func.value)
        renames = name == "replace" and not node.keywords and (len(node.args) == 1 or whose == "os")
        ours = whose in ("ast", "identity", "Index")  # ast.walk, identity.link, Index.open
        if (name in FORBIDDEN and not ours) or renames:
            names.add(name)
    return names


def touching(*rooms: str) -> dict[str, set[str]]:
    """Forbidden calls by the modules of some rooms."""
    return {
        path.relative_to(HOME).as_posix(): names
        for room in rooms
        for path in sorted((HOME / room).rglob("*.py"))
        if (names := calls(path.read_text()))
    }


def test_nothing_else_in_pipelines_touches_the_stores_files():
    touched = touching("pipelines")
    assert touched.pop(OURS) >= {"link", "replace", "fsync", "scandir", "unlink"}
    assert touched == {module: names for modules in ELSEWHERE.values() for module, names in modules.items()}


def test_rooms_that_own_a_folder_are_listed():
    assert set(touching("corpus/crawling", "pretrain")) == set(OWNERS)


def test_the_rule_sees_what_it_forbids():
    assert calls("import os; os.link(a, b); path.replace(b); os.replace(a, b); p.glob('*')") == {
        "link",
        "replace",
        "glob",
    }
    assert calls("(folder / 'manifest.json').exists(); open(p); shutil.copyfile(a, b); p.stat().st_size") == {
        *("exists", "open", "copyfile", "stat"),
    }
    assert calls("text.replace('a', 'b'); replace(x, y=1); dataclasses.replace(x, y=1); table.copy()") == set()
