"""Who may import whom, and that a configuration is read without the heavy engines."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[1]
ROOMS = ("corpus", "pipelines", "kernels", "pretrain", "conf")
# The entry points, which read the configuration, are the only ones that import conf.
ENTRY = {f"pipelines/{name}.py" for name in ("cli", "commands", "multirun", "show", "completion")}
LENT = {"corpus.configuration", "corpus.document", "corpus.shard", "corpus.order"}
# pipelines starts pretrain by its command line; these say what the job file holds and what the journal says.
JOB = {"pretrain.config", "pretrain.job", "pretrain.journal"}
HEAVY = ("torch", "megatron", "apache_beam", "numba")


def imports(path: Path) -> list[tuple[str, int, bool]]:
    """Absolute names of modules imported, line, and whether only for type checking."""
    tree = ast.parse(path.read_text())
    typing = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found += [(name, node.lineno, id(node) in typing) for name in names]
    return found


def allowed(room: str, name: str, file: str, *, typing: bool) -> bool:
    top = name.partition(".")[0]
    if top == "apache_beam":
        return room == "pipelines"
    if top in ("torch", "megatron"):
        return room in ("pretrain", "kernels")
    if top not in ROOMS or top == room:
        return True
    if room == "conf" or top == "kernels":
        return room != "kernels"
    if top == "conf":
        return file in ENTRY or typing
    if room == "pretrain":
        return any(f"{name}.".startswith(f"{lent}.") for lent in LENT)
    if room == "pipelines":
        return top == "corpus" or any(f"{name}.".startswith(f"{job}.") for job in JOB)
    return False


@pytest.mark.parametrize("room", ROOMS)
def test_who_imports_whom(room):
    files = sorted((HOME / room).rglob("*.py"))
    assert files
    wrong = [
        f"{file.relative_to(HOME)}:{line} imports {name}"
        for file in files
        for name, line, typing in imports(file)
        if not allowed(room, name, file.relative_to(HOME).as_posix(), typing=typing)
    ]
    assert wrong == []


def test_the_rule_sees_what_it_forbids(tmp_path):
    (tmp_path / "a.py").write_text("import torch\nfrom conf import schema\nfrom corpus.verdict import Tally\n")
    found = [name for name, _, _ in imports(tmp_path / "a.py")]
    assert found == ["torch", "conf.schema", "corpus.verdict.Tally"]
    for room, name, ok in [
        ("corpus", "pipelines.store", False),
        ("corpus", "apache_beam", False),
        ("corpus", "torch", False),
        ("corpus", "kernels.text", True),
        ("kernels", "corpus.shard", False),
        ("pretrain", "corpus.verdict.Tally", False),
        ("pretrain", "corpus.order.spans", True),
        ("pretrain", "pipelines.store", False),
        ("pipelines", "conf.load.load", False),
        ("pipelines", "megatron.core", False),
        ("pipelines", "pretrain.trainer", False),
        ("pipelines", "pretrain.job.TrainJob", True),
        ("conf", "pipelines.site", True),
    ]:
        assert allowed(room, name, f"{room}/x.py", typing=False) is ok, (room, name)
    assert allowed("pipelines", "conf.load.load", "pipelines/commands.py", typing=False)


def loaded(code: str) -> list[str]:
    """Heavy packages that a fresh interpreter holds after `code`."""
    script = f"{code}\nimport sys\nprint(*[m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_configuration_loads_no_engine():
    """What help, config, plan and a warm run import."""
    assert loaded("import conf.schema, conf.load; conf.load.load([])") == []
    assert loaded("import pipelines.cli, pipelines.commands, pipelines.plan, pipelines.run, pipelines.show") == []
    assert loaded("import numba") == ["numba"]


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_can_be_imported_first(room):
    """No circle of imports that holds only from one side. Trainer modules load torch; their tests import them."""
    names = [
        ".".join(path.relative_to(HOME).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((HOME / room).rglob("*.py"))
        if room != "pretrain" or path.stem in ("config", "job", "journal", "trajectory")
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        f"    for known in [m for m in sys.modules if m.partition('.')[0] in {ROOMS!r}]: del sys.modules[known]\n"
        "    importlib.import_module(name)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
