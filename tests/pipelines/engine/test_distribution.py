"""A plug-in's class carries its distribution: the version, or its source where it is installed editable."""

import importlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from corpus.filters import RangeRule
from pipelines.engine import distribution
from pipelines.engine.distribution import distributions_of
from pipelines.engine.identity import encode

SOURCE = """
from dataclasses import dataclass
from typing import ClassVar

@dataclass(frozen=True)
class Rule:
    version: ClassVar[int] = 4
    words: tuple = ("一", "two")
"""


@dataclass(frozen=True)
class Loose:
    """A class of no distribution."""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Writes a distribution of the package `mine`, anew each time, and gives the encoded rule and what it carries."""

    def put(version="0.1", source=SOURCE, editable=False, entry_point=True, module="mine", files=()):
        site, root = tmp_path / "site", tmp_path / "src dir"
        info = site / "mine_rules-1.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: mine-rules\nVersion: {version}\n", "utf-8")
        place = root if editable else site
        for name, text in {f"{module}/__init__.py": "", f"{module}/rules.py": source, **dict(files)}.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text, "utf-8")
        points = f"[siku.rules]\nx = {module}.rules:Rule\n" if entry_point else ""
        (info / "entry_points.txt").write_text(points, "utf-8")
        (info / "top_level.txt").write_text(f"{module}\n", "utf-8")
        url = {"url": root.as_uri(), "dir_info": {"editable": editable}}
        (info / "direct_url.json").write_text(json.dumps(url), "utf-8")
        for path in (site, place):
            monkeypatch.syspath_prepend(path)
        for name in (module, f"{module}.rules"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        distribution._distributions.cache_clear()
        rule = importlib.import_module(f"{module}.rules").Rule()
        return encode({"r": rule}, str)["r"]

    yield put
    distribution._distributions.cache_clear()


def test_our_own_classes_and_those_of_nobody_carry_nothing(monkeypatch):
    def scan(package):
        raise AssertionError(package)

    assert distributions_of(Loose) == {}
    monkeypatch.setattr(distribution, "_distributions", scan)  # no cost for our own
    assert distributions_of(RangeRule) == distributions_of(Path) == {}


@pytest.mark.parametrize("entry_point", [True, False])
def test_a_version_counts_and_the_source_behind_it_does_not(installed, entry_point):
    first = installed(entry_point=entry_point)
    assert first == {
        "$type": "Rule",
        "$version": 4,
        "$distribution": {"mine-rules": "0.1"},
        "words": ["一", "two"],
    }
    assert installed(source=SOURCE + "# 注\n", entry_point=entry_point) == first
    assert installed(version="0.2", entry_point=entry_point)["$distribution"] == {"mine-rules": "0.2"}


def test_the_source_of_an_editable_one_counts_and_its_version_does_not(installed):
    def state(**more):
        return installed(editable=True, **more)["$distribution"]["mine-rules"]

    first = state()
    assert first.startswith("sha256:") and len(first) == 71
    assert state(version="0.2") == first
    beside = {"README.md": "x", "tests/test_x.py": "y", "mine/__pycache__/x.pyc": "z", "mine/.rules.py.swp": "w"}
    assert state(files=beside) == first
    seen = {first, state(source=SOURCE + "# 注\n"), state(files={"mine/词表/words.txt": "词"})}
    seen.add(state(files={"mine/词表/words.txt": "词", "mine/more.py": ""}))
    seen.add(state(files={"mine/词表/words.txt": "", "mine/more.py": "词"}))
    assert len(seen) == 5


def test_a_package_of_one_module(installed, tmp_path):
    def state(text):
        (tmp_path / "src dir").mkdir(exist_ok=True)
        (tmp_path / "src dir" / "one.py").write_text(text, "utf-8")
        sys.modules.pop("one", None)
        installed(editable=True, module="mine")
        points = tmp_path / "site" / "mine_rules-1.dist-info" / "entry_points.txt"
        points.write_text("[siku.rules]\nx = one:Rule\n", "utf-8")
        distribution._distributions.cache_clear()
        return distributions_of(importlib.import_module("one").Rule)["mine-rules"]

    assert state(SOURCE) != state(SOURCE + "# 注\n")
    assert state(SOURCE) == state(SOURCE)
    sys.modules.pop("one", None)
