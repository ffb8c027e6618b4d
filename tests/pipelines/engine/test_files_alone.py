"""The store's files are touched by `pipelines/engine/files.py` alone: another store is another member there."""

import ast
from pathlib import Path

HOME = Path(__file__).resolve().parents[3]
OURS = "pipelines/engine/files.py"
FORBIDDEN = {
    *("link", "hardlink_to", "symlink", "symlink_to", "rename", "renames", "flock", "lockf", "fsync", "utime", "touch"),
    *("glob", "rglob", "iglob", "iterdir", "scandir", "listdir", "walk"),
    *("unlink", "rmtree", "rmdir", "removedirs", "mkdir", "makedirs", "write_text", "write_bytes"),
}
# Folders that are not the store's.
ELSEWHERE = {
    "pipelines/cli/reference.py": {"write_text"},  # a page of the documentation
    "pipelines/engine/distribution.py": {"rglob"},  # a plug-in's own source
    "pipelines/stages/held_out.py": {"write_bytes"},  # at the path that its attempt has staged
    "pipelines/stages/tokenizer.py": {"write_bytes"},  # at the path that its attempt has staged
    "pipelines/engine/checksum.py": {"walk"},  # the user's input
    "pipelines/past/export.py": {"iterdir", "mkdir", "rmtree", "replace", "unlink", "write_text"},  # where `--to` says
    "pipelines/past/export_model.py": {"unlink", "write_bytes", "write_text"},  # where `--to` says
}


def calls(source: str) -> set[str]:
    """Names of the forbidden calls in a module; `replace` with one argument is a path's, with two a string's."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, whose = node.func.attr, ast.unparse(node.func.value)
        renames = name == "replace" and not node.keywords and (len(node.args) == 1 or whose == "os")
        if (name in FORBIDDEN and whose not in ("ast", "identity")) or renames:
            found.add(name)
    return found


def test_nothing_else_in_pipelines_links_renames_locks_lists_or_removes():
    found = {
        path.relative_to(HOME).as_posix(): names
        for path in sorted((HOME / "pipelines").rglob("*.py"))
        if (names := calls(path.read_text()))
    }
    assert found.pop(OURS) >= {"link", "replace", "fsync", "scandir", "unlink"}
    assert found == ELSEWHERE


def test_the_rule_sees_what_it_forbids():
    assert calls("import os; os.link(a, b); path.replace(b); os.replace(a, b); p.glob('*')") == {
        "link",
        "replace",
        "glob",
    }
    assert calls("text.replace('a', 'b'); replace(x, y=1); dataclasses.replace(x, y=1)") == set()
