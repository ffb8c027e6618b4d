"""Families take members by entry point; a plug-in that cannot be used is told by its distribution and the way out."""

import sys
from typing import Annotated, Literal

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from corpus.configuration import Doc, configuration
from corpus.filters import AnyRule, FlaggedRule, LanguageRule, ListedRule, RangeRule
from corpus.plugins import HEAVY, Family, PluginError, _entry_points, family_of, plugins
from corpus.rule import Rule

RULE = """
from typing import Annotated, Literal
import numpy as np
from corpus.configuration import Doc, configuration
from corpus.rule import Judgement

@configuration
class 偶数:
    version = 1
    rule: Literal["{tag}"] = "{tag}"
    order: Annotated[int, Doc("place")] = 3

    def reads(self):
        return ("length.bytes",)

    def judge(self, columns, language):
        value = columns["length.bytes"].astype(float)
        return Judgement(value % 2 == 0, value, np.zeros(len(value)))
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a distribution of one module and one entry point on sys.path."""

    def put(source, point, name="other", version="0.3"):
        folder = tmp_path / name
        info = folder / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")
        (info / "entry_points.txt").write_text(f"[siku.rules]\n{point}\n", "utf-8")
        (folder / f"{name}_rules.py").write_text(source, "utf-8")
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, f"{name}_rules", raising=False)
        _entry_points.cache_clear()
        plugins.cache_clear()

    yield put
    _entry_points.cache_clear()
    plugins.cache_clear()


def family():
    return Family("rule", (LanguageRule, RangeRule), {"siku.rules": Rule})


def test_without_plugins_the_packaged_members_are_all():
    known = family_of(AnyRule)
    packaged = {"flagged": FlaggedRule, "language": LanguageRule, "listed": ListedRule, "range": RangeRule}
    assert known is not None and known.members == packaged


def test_a_member_by_entry_point_is_configured_and_judges_as_ours_do(install):
    install(RULE.format(tag="even"), "even = other_rules:偶数")
    rules = TypeAdapter(dict[str, Annotated[Rule, family()]])
    bounds = {"rule": "range", "order": 1, "column": "length.bytes", "minimum": {"other": 2}}
    mine = rules.validate_python({"偶": {"rule": "even"}, "短": bounds})
    assert type(mine["短"]) is RangeRule and mine["偶"].order == 3
    judged = mine["偶"].judge({"length.bytes": np.array([1, 2, 4])}, np.array(["zh", "en", "zh"]))
    assert judged.fails.tolist() == [False, True, True]
    with pytest.raises(ValidationError, match="Unexpected keyword"):
        rules.validate_python({"偶": {"rule": "even", "ordre": 1}})
    with pytest.raises(ValidationError, match="'language', 'range', 'even'"):
        rules.validate_python({"奇": {"rule": "odd"}})


NUMBA = "import sys, types; sys.modules['numba'] = types.ModuleType('numba')"  # numba's own import takes a second
BROKEN = {
    "raise ValueError('坏了')": r"cannot be loaded: ValueError: 坏了\. Mend it, or uninstall it",
    "import nothing_of_that_name": r"cannot be loaded: ModuleNotFoundError: No module named 'nothing_of_that_name'",
    "x = 1": r"cannot be loaded: AttributeError: .*偶数",
    f"{NUMBA}\n偶数 = 1": r"imports numba as it is loaded, .* import it within the functions that use it",
    "偶数 = 1": r"is no class declared with @configuration \(corpus/configuration\.py\) with a field such as rule: Lit",
    "class 偶数:\n    rule = 'even'": r"is no class declared with @configuration",
    RULE.format(tag="even").replace("def judge", "def judges"): r"has no judge: what it must offer is Rule in corpus",
    RULE.format(tag="even").replace("version = 1", ""): r"has no version: what it must offer is Rule in corpus\.rule",
    RULE.format(tag="range"): r"and siku itself both bring rule: range: rename one of them, or uninstall one",
}


@pytest.mark.parametrize("source", BROKEN)
def test_a_broken_plugin_is_told_with_its_distribution_and_the_way_out(source, install, monkeypatch):
    for heavy in HEAVY:
        monkeypatch.setitem(sys.modules, heavy, None)  # so that what stood there comes back
        monkeypatch.delitem(sys.modules, heavy)
    install(source, "even = other_rules:偶数")
    origin = r"plug-in other 0\.3 \(siku\.rules: even = other_rules:偶数\) "
    with pytest.raises(PluginError, match=f"^{origin}{BROKEN[source]}"):
        _ = family().members


def test_two_plugins_of_one_name_clash(install):
    install(RULE.format(tag="even"), "even = other_rules:偶数")
    install(RULE.format(tag="even"), "even = second_rules:偶数", name="second", version="2")
    told = r"plug-in second 2 \(.*\) and other 0\.3 \(.*\) both bring rule: even: rename one"
    with pytest.raises(PluginError, match=told):
        _ = family().members


def test_what_heavy_modules_were_there_before_is_nobodys_fault(install, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", sys)
    install("import numba\n" + RULE.format(tag="even"), "even = other_rules:偶数")
    assert set(family().members) == {"language", "range", "even"}


def test_unions_are_built_when_they_are_first_used_so_that_a_plugin_may_import_what_holds_them(install):
    """A dataclass that holds a family is declared before the family's plug-ins are loaded."""

    @configuration
    class Stage:
        kind: Literal["x"] = "x"
        rules: Annotated[dict[str, Annotated[Rule, family()]], Doc("rules")]

    install("from pipelines.stages.filter import FilterStage\n" + RULE.format(tag="even"), "even = other_rules:偶数")
    assert type(Stage(rules={"a": {"rule": "even"}}).rules["a"]).__name__ == "偶数"
