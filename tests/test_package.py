"""The package as a user installs it: a wheel with its configuration and sample, and nobody else's modules in it."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.pins import canonical, pins

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, so that no build folder is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split("\n") if listed.returncode == 0 else []
    for name in filter(None, names):
        if (ROOT / name).exists() and not name.startswith("tests/"):
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(folder / "source")], check=True, capture_output=True, text=True)
    (built,) = folder.glob("siku-*.whl")
    return built


def siku(arguments, path, cwd):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    program = "from pipelines.cli.main import main; import sys; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-P", "-c", program, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_the_wheel_carries_what_a_run_needs_and_starts_anywhere(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    tracked = {p.relative_to(ROOT).as_posix() for p in (ROOT / "conf").rglob("*.yaml")}
    wanted = {"corpus/sample/site.tar.xz", "corpus/language/lid.176.ftz", "corpus/sample/NOTICE", "corpus/detox/NOTICE"}
    assert tracked | wanted <= names
    assert not [name for name in names if name.startswith("tests/")]
    (tmp_path / "elsewhere").mkdir()
    found = siku(["plan"], [tmp_path / "site"], tmp_path / "elsewhere")
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("source ") and "first time" in found.stdout
    shown = siku(["config", "recipe.source"], [tmp_path / "site"], tmp_path / "elsewhere")
    assert "http://help.sample/" in shown.stdout


@pytest.mark.parametrize("name", ["kernels", "conf", "corpus"])
def test_another_distributions_package_is_refused_by_its_path(name, wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    before = tmp_path / "before" / name
    before.mkdir(parents=True)
    (before / "__init__.py").write_text("")
    found = siku(["plan"], [tmp_path / "before", tmp_path / "site"], tmp_path)
    assert found.returncode != 0
    assert f"package {name!r}" in found.stderr and str(before) in found.stderr
    (tmp_path / "site" / name / "__init__.py").write_text("x = 1\n")  # overwritten in our own place
    found = siku(["plan"], [tmp_path / "site"], tmp_path)
    assert found.returncode != 0 and str(tmp_path / "site" / name) in found.stderr


def test_setup_says_in_one_line_what_is_missing(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "requirements.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("make", "sh", "touch", "grep", "rm"):
        found = shutil.which(tool)
        assert found is not None
        (tools / tool).symlink_to(found)

    def setup(python):
        path = {"PATH": str(tools), "HOME": str(tmp_path)}
        done = subprocess.run(
            [str(tools / "make"), "-s", "setup", f"PYTHON={python}"],
            cwd=tmp_path,
            env=path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0
        return [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("make")]

    def fake(script):
        python = tools / "fake-python"
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        return python

    (line,) = setup("python-that-is-not-there")
    assert "needs Python 3.11" in line and "PYTHON=" in line
    (line,) = setup(fake('[ "$1" = -V ] && echo Python 3.9.1; exit 1'))
    assert "Python 3.9.1" in line
    (line,) = setup(fake('case "$2" in *ensurepip*) exit 1;; esac'))
    assert "venv module is missing" in line and "python3.11-venv" in line
    (line,) = setup(fake("exit 0"))
    assert "C++ compiler is missing" in line and "g++" in line


def test_what_is_installed_is_pinned_by_its_hash():
    """S16: a package index could serve anything under a pinned version."""
    locked = re.split(r"^(?=\S)", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE)
    digests = r"--hash=sha256:[0-9a-f]{64}\b"
    entries = {entry.split()[0]: re.findall(digests, entry) for entry in locked if not entry.startswith("#") and entry}
    pinned = pins((ROOT / "constraints.txt").read_text())
    assert set(entries) == {f"{name}=={version}" for name, version in pinned if name != "torch"}
    assert all(entries.values())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = project["dependencies"] + project["optional-dependencies"]["test"]
    named = {canonical(re.split(r"[\s=<>\[~!]", each)[0]) for each in asked}
    assert named <= {canonical(name) for name, _ in pinned}
    assert "--require-hashes --no-deps -r requirements.txt" in (ROOT / "Makefile").read_text()
