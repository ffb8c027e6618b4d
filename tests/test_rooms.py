"""Who may import whom, and that a configuration is read without the heavy engines."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[1]
ROOMS = ("corpus", "pipelines", "kernels", "pretrain", "conf")
# The entry points, which read the configuration, are the only ones that import conf.
ENTRY = {f"pipelines/cli/{name}.py" for name in ("main", "commands", "show", "completion", "reference")}
ENTRY |= {"pipelines/door.py"}
LENT = {"corpus.configuration", "corpus.document", "corpus.fault", "corpus.shard", "corpus.order"}
# pipelines starts pretrain by its command line; these say what the job file, the trainer's folder and the journal hold.
JOB = {"pretrain.config", "pretrain.job", "pretrain.journal", "pretrain.state.trajectory"}
# Within pipelines: each room may import those after it, and none before it. `door` is a file, not a room; the package
# itself opens it when asked.
INNER = ("__init__", "cli", "door", "launch", "report", "past", "graph", "stages", "engine")
# What roles of a family begin with (pipelines/engine/roles.py).
FAMILY = re.compile(r"(measure|key|verdict|part|against)\.(?! )")
HEAVY = ("torch", "megatron", "apache_beam", "numba")
# What a warm run does without besides: libraries that only items need, and reports.
NEEDLESS = (
    *HEAVY,
    *("trafilatura", "resiliparse", "lxml", "h11", "protego", "ssl", "asyncio", "pyarrow.compute", "pyarrow.parquet"),
    *("tokenizers", "transformers", "fasttext", "jieba", "pandas", "scipy", "matplotlib", "jinja2"),
)


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


def inner_rooms() -> dict[str, dict[str, set[str]]]:
    """Imports between the rooms of pipelines: room -> room it imports -> files that do."""
    arrows: dict[str, dict[str, set[str]]] = {}
    for file in sorted((HOME / "pipelines").rglob("*.py")):
        room = file.relative_to(HOME / "pipelines").parts[0].removesuffix(".py")
        for name, _, _ in imports(file):
            parts = name.split(".")
            if parts[0] == "pipelines" and len(parts) > 2 and parts[1] != room:
                arrows.setdefault(room, {}).setdefault(parts[1], set()).add(file.name)
    return arrows


def picture(arrows: dict[str, dict[str, set[str]]]) -> str:
    """The arrows as text, a line each: `python -c "from tests.test_rooms import *; print(picture(inner_rooms()))"`."""
    return "\n".join(
        f"{room:<8} -> {other:<8} {len(files):>2} files: {', '.join(sorted(files))}"
        for room in INNER
        for other, files in sorted(arrows.get(room, {}).items(), key=lambda pair: INNER.index(pair[0]))
    )


def upward(arrows: dict[str, dict[str, set[str]]]) -> list[str]:
    """Arrows that point back up."""
    order = {room: index for index, room in enumerate(INNER)}
    return [f"{a} -> {b}: {sorted(f)}" for a, to in arrows.items() for b, f in to.items() if order[b] <= order[a]]


def test_rooms_of_pipelines_point_one_way():
    arrows = inner_rooms()
    print(picture(arrows))
    rooms = {path.name for path in (HOME / "pipelines").iterdir() if path.is_dir() and path.name[0] != "_"}
    assert rooms | {path.stem for path in (HOME / "pipelines").glob("*.py")} == {*INNER}
    assert arrows["__init__"].keys() == {"door"}
    assert upward(arrows) == []
    assert upward({"engine": {"graph": {"x.py"}}}) == ["engine -> graph: ['x.py']"]


def spelled_roles(code: str) -> list[tuple[int, str]]:
    """Strings that begin as a role of a family does: `measure.language`, f"part.{name}."."""
    return sorted(
        (node.lineno, node.value)
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and FAMILY.match(node.value)
    )


def test_one_file_spells_roles():
    """Single roles are held by their type: mypy refuses a plain string where a Role is asked for."""
    files = [file for room in ROOMS for file in sorted((HOME / room).rglob("*.py"))]
    spelled = {file.relative_to(HOME).as_posix(): spelled_roles(file.read_text()) for file in files}
    assert len(spelled.pop("pipelines/engine/roles.py")) == 5
    assert {file: where for file, where in spelled.items() if where} == {}
    assert spelled_roles('role = f"part.{name}." + "edition"\nrole.startswith("key.")') == [(1, "part."), (2, "key.")]


def test_the_rule_sees_what_it_forbids(tmp_path):
    (tmp_path / "a.py").write_text("import torch\nfrom conf import schema\nfrom corpus.verdict import Tally\n")
    found = [name for name, _, _ in imports(tmp_path / "a.py")]
    assert found == ["torch", "conf.schema", "corpus.verdict.Tally"]
    for room, name, ok in [
        ("corpus", "pipelines.engine.store", False),
        ("corpus", "apache_beam", False),
        ("corpus", "torch", False),
        ("corpus", "kernels.text", True),
        ("kernels", "corpus.shard", False),
        ("pretrain", "corpus.verdict.Tally", False),
        ("pretrain", "corpus.order.spans", True),
        ("pretrain", "pipelines.engine.store", False),
        ("pipelines", "conf.load.load", False),
        ("pipelines", "megatron.core", False),
        ("pipelines", "pretrain.trainer", False),
        ("pipelines", "pretrain.job.TrainJob", True),
        ("conf", "pipelines.graph.where", True),
    ]:
        assert allowed(room, name, f"{room}/x.py", typing=False) is ok, (room, name)
    assert allowed("pipelines", "conf.load.load", "pipelines/cli/commands.py", typing=False)


def loaded(code: str) -> list[str]:
    """Packages that a warm run does without, and a fresh interpreter holds after `code`."""
    script = f"{code}\nimport sys\nprint(*[m for m in {NEEDLESS} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_configuration_loads_no_engine():
    """What help, config, plan and a warm run import."""
    assert loaded("import conf.schema, conf.load; conf.load.load([])") == []
    modules = ("cli.main", "cli.commands", "graph.plan", "graph.run", "cli.show")
    programs = "from pipelines.graph import recipe as r\nfor kind in [*r.kinds(), *r.OTHERS]: r.program(kind)"
    assert loaded(f"import {', '.join(f'pipelines.{name}' for name in modules)}\n{programs}") == []
    lazy = "import sys, pipelines; assert not [m for m in sys.modules if m.split('.')[0] in ('conf', 'pyarrow')]"
    assert loaded(f"{lazy}; assert not hasattr(pipelines, 'rum'); from pipelines import open_run, plan, run") == []
    assert loaded("import jinja2, pyarrow.compute") == ["pyarrow.compute", "jinja2"]


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_can_be_imported_first(room):
    """No circle of imports that holds only from one side. Trainer modules load torch; their tests import them."""
    names = [
        ".".join(path.relative_to(HOME).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((HOME / room).rglob("*.py"))
        if room != "pretrain" or path.parent.name == "config" or path.stem in ("job", "journal", "trajectory")
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        f"    for known in [m for m in sys.modules if m.partition('.')[0] in {ROOMS!r}]: del sys.modules[known]\n"
        "    importlib.import_module(name)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
