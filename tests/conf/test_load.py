"""Configuration as a user gives it: overrides, files of them, a folder of one's own, paths."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.load import Config, apply, load, load_cell, load_cells
from conf.overrides import parse, tags
from conf.search import FOLDER, PACKAGED, ConfigError, Search, search
from conf.walk import fields

RULES = "recipe.filter.rules"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A user's folder, in whose parent commands are given."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "我的 配置"
    (folder / "filters").mkdir(parents=True)
    (folder / "model").mkdir()
    rule = "{rule: range, order: 1, column: length.words, minimum: {zh: 7}}"
    (folder / "filters" / "mine.yaml").write_text(f"# @package {RULES}\n# 自己的规则\nwords: {rule}\n", "utf-8")
    model = yaml.safe_load((FOLDER / "model" / "tiny.yaml").read_text()) | {"layers": 3}
    (folder / "model" / "三层.yaml").write_text(yaml.safe_dump(model), "utf-8")
    return Search(folder)


def refused(*overrides, where=PACKAGED):
    with pytest.raises(ConfigError) as found:
        load(overrides, where)
    return str(found.value)


def wrote(name, text):
    Path(name).write_text(text, "utf-8")
    return f"@{name}"


def test_every_choice_of_every_group_composes():
    path, seeds = "recipe.source.path=x", "recipe.source.seeds=[http://a.test/]"
    mixed = ["source=none", "recipe.site.seeds=[http://a.test/]", "recipe.pages.path=x", "recipe.texts.path=y"]
    needs = {"crawl": [seeds], "sample": [], "none": ["recipe.source={kind: html, path: x}"], "mixed": mixed}
    for group, names in PACKAGED.groups().items():
        for name in names:
            more = needs.get(name, [path]) if group in ("source", "recipe") and name != "bilingual" else []
            assert load_cell([f"{group}={name}", *more]).given.choices[group] == name


def test_own_groups_stand_beside_the_packaged_ones(own):
    config = load(["filters=mine", "model=三层"], own)
    assert list(config.recipe["filter"].rules) == ["words"] and config.model.layers == 3
    assert own.groups()["filters"] == [*PACKAGED.groups()["filters"], "mine"]
    assert load(["filters=gopher"], own) == load(["filters=gopher"])
    told = refused("filters=theirs", where=own)
    assert told.startswith("filters=theirs: no such choice; conf/filters has bilingual, ")
    assert told.endswith(f"{own.own}/filters has mine")
    given = load_cell(["filters=mine"], own).given
    assert given.choices["filters"] == "mine" and given.choices["model"] == "tiny"
    assert given.files == {str(own.own / "filters" / "mine.yaml"): (own.own / "filters" / "mine.yaml").read_text()}


def test_a_group_that_only_the_user_has(own):
    (own.own / "budget").mkdir()
    (own.own / "budget" / "low.yaml").write_text("# @package train\nglobal_batch: 2\n")
    assert load(["budget=low"], own).train.global_batch == 2
    assert load([], own).train.global_batch == 8


def test_a_name_that_both_folders_have_is_refused_with_both_paths(own):
    taken = own.own / "filters" / "gopher.yaml"
    taken.write_text("{}")
    with pytest.raises(ConfigError) as found:
        Search(own.own)
    assert f"{taken} and Siku's own {FOLDER / 'filters' / 'gopher.yaml'} have one name: rename yours" in str(
        found.value
    )
    taken.rename(own.own / "config.yaml")
    with pytest.raises(ConfigError, match=r"config\.yaml have one name"):
        Search(own.own)


def test_the_folder_is_named_by_flag_or_environment(own, monkeypatch):
    assert search() == PACKAGED and search(str(own.own)) == own
    monkeypatch.setenv("SIKU_CONFIG", own.own.name)
    assert search() == own  # relative to the working folder
    monkeypatch.setenv("HOME", str(own.own.parent))
    assert search(f"~/{own.own.name}") == own
    with pytest.raises(ConfigError, match=r"--config-dir .*/nowhere: no such folder"):
        search("nowhere")


FILE = """\
# 一次消融
model: small
site: {store: 库/一}
recipe:
  filter:
    rules:
      words: {minimum: {zh: 100}}   # merged: order and column stay
      ~hashes:
train.optimizer.lr: 1e-3
train.schedule: {schedule: wsd, decay_start_tokens: 5, decay_tokens: 6}
recipe.split.salt: "1,2"
"""


def test_a_file_of_overrides_is_read_like_the_command_line(own):
    config = load([wrote("我的.yaml", FILE)])
    line = [
        "model=small",
        "site.store=库/一",
        f"{RULES}.words.minimum.zh=100",
        f"~{RULES}.hashes",
        "train.optimizer.lr=0.001",
        "train.schedule={schedule: wsd, decay_start_tokens: 5, decay_tokens: 6}",
        "recipe.split.salt='1,2'",
    ]
    assert config == load(line) and config.recipe["split"].salt == "1,2"  # a value is what it is: no sweep of 1 and 2
    assert config.recipe["filter"].rules["words"].minimum["en"] == 32 and "hashes" not in config.recipe["filter"].rules
    given = load_cell(["@我的.yaml", "train.seed=3"]).given
    assert given.overrides == ("@我的.yaml", "train.seed=3") and given.files == {
        str(Path("我的.yaml").absolute()): FILE
    }
    assert load(["@我的.yaml", "train.optimizer.lr=0.5"]).train.optimizer.lr == 0.5  # the later one counts


def test_a_list_holds_overrides_and_mappings(own):
    text = f"- model=small\n- ~{RULES}.words\n- train.seed=1,2\n- train: {{data_seed: 5}}\n- filters: mine\n"
    cells = load_cells([wrote("list.yaml", text)], own)
    assert [(cell.swept, cell.config.train.data_seed) for cell in cells] == [
        ({"train.seed": "1"}, 5),
        ({"train.seed": "2"}, 5),
    ]
    assert cells[1].given.overrides == ("@list.yaml", "train.seed=2")
    assert load(cells[1].given.overrides, own) == cells[1].config  # the recorded command gives the cell alone


def test_a_stage_named_as_a_discriminator_is_merged_too(own):
    text = "recipe:\n  measure: {measures: {again: {measure: length}}}\n  split: {held_out: 0.3}\n"
    config = load([wrote("名.yaml", text)])
    assert config.recipe.keys() == load([]).recipe.keys() and config.recipe["split"].held_out == 0.3
    assert {"again", "language"} <= config.recipe["measure"].measures.keys()


def test_what_no_member_of_a_family_answers_to_may_be_a_plugins():
    told = refused("recipe.filter.rules.x={rule: nowhere, order: 3}", "recipe.源={kind: dream}")
    assert (
        "recipe.filter.rules.x.rule='nowhere': none of flagged, language, listed, range; "
        "if a plug-in brings it, install that" in told
    )
    assert "recipe.源.kind='dream': none of crawl, html, " in told and ", extract, edit," in told


def test_a_file_is_looked_for_here_and_in_the_users_folder(own):
    (own.own / "shared.yaml").write_text("train.seed: 4\n")
    assert load(["@shared.yaml"], own).train.seed == 4
    wrote("shared.yaml", "train.seed: 5\n")
    assert load(["@shared.yaml"], own).train.seed == 5
    told = refused("@none.yaml", where=own)
    assert f"looked for {Path('none.yaml').absolute()} and {own.own / 'none.yaml'}" in told


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("model: [tiny", "@bad.yaml: "),
        ("model: tiny\nmodel: small\n", "found duplicate key model"),
        ("- 3\n", "@bad.yaml: 3 is no override"),
        ("- '@other.yaml'\n", "a file names no other file"),
        ("- just words\n", "@bad.yaml: 'just words' is no override"),
        ("filters: gofer\n", "filters=gofer: no such choice"),
        ("a key with spaces: 1\n", "@bad.yaml: 'a key with spaces=' is no override"),
        ("train: {sed: 3}\n", "train.sed=3: no such field; did you mean train.seed?"),
        ("~recipe.nothing:\n", "~recipe.nothing: the configuration has no such key"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(own, text, named):
    told = refused(wrote("bad.yaml", text))
    assert named in told and len(told.splitlines()) == 1


KEYS = st.sampled_from(["a", "b", "中", "d_e"])
PLAIN = st.one_of(st.integers(), st.text("x,=[]{}'~ 文", max_size=4), st.none(), st.lists(st.integers(), max_size=2))
TREES = st.dictionaries(KEYS, st.recursive(PLAIN, lambda inner: st.dictionaries(KEYS, inner, min_size=1), max_leaves=6))


def merged(base, more):
    """Plainly: mappings merge, everything else replaces."""
    if not (isinstance(base, dict) and isinstance(more, dict) and more):
        return more
    return base | {key: merged(base.get(key), value) for key, value in more.items()}


@given(TREES, TREES)
@settings(max_examples=60)
def test_nested_keys_are_merged(tmp_path_factory, base, more):
    path = tmp_path_factory.getbasetemp() / "tree.yaml"
    path.write_text(yaml.safe_dump(more, allow_unicode=True), "utf-8")
    found = yaml.safe_load(yaml.safe_dump(base))
    try:
        for each in parse([f"@{path}"], PACKAGED):
            apply(each, found)
    except ConfigError as error:
        assert "holds no fields" in str(error)  # below a value that is no mapping
    else:
        assert found == (merged(base, more) if more else base)


def test_a_member_of_a_mapping_is_removed():
    rules = load([f"~{RULES}.top_2", f"~{RULES}.hashes"]).recipe["filter"].rules
    assert load([]).recipe["filter"].rules.keys() - rules.keys() == {"top_2", "hashes"}
    assert (
        refused(f"~{RULES}.top_22")
        == f"~{RULES}.top_22: the configuration has no such key; did you mean ~{RULES}.top_2?"
    )
    assert "one of the group is always chosen: conf/filters has bilingual" in refused("~filters")
    assert refused("~model.hidden") == "model.hidden: missing; set it with model.hidden=<value>"
    assert "~recipe.filter=x' is no override" in refused("~recipe.filter=x")


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("http://例子.测试/页?a=b&c=[d]", "http://例子.测试/页?a=b&c=[d]"),
        ("it's", "it's"),
        ("a, b", "a, b"),
        ("'x,y'", "x,y"),
        ("", ""),
        ("${nothing}", "${nothing}"),
    ],
)
def test_what_the_grammar_cannot_read_is_text(override, value):
    if override == "a, b":
        assert [cell.config.recipe["split"].salt for cell in load_cells([f"recipe.split.salt={override}"])] == [
            "a",
            "b",
        ]
    else:
        assert load([f"recipe.split.salt={override}"]).recipe["split"].salt == value


def test_cells_of_a_sweep_in_order():
    cells = load_cells(["filters=gopher,none", "train.seed=1,2", "run.steps=3", "train.schedule={schedule: constant}"])
    assert [tuple(cell.swept.values()) for cell in cells] == [
        ("gopher", "1"),
        ("gopher", "2"),
        ("none", "1"),
        ("none", "2"),
    ]
    for cell in cells:
        assert load(cell.given.overrides) == cell.config and cell.config.run.steps == 3
    assert "train.seed=1,2 has 2 values: a sweep is `siku run -m`" in refused("train.seed=1,2")


def test_a_setting_below_a_value_is_refused():
    assert refused("model.hidden.x=3") == "model.hidden.x=3: model.hidden=128 holds no fields: set model.hidden itself"


def test_paths_are_absolute_and_the_home_folder_is_known(tmp_path, monkeypatch):
    """H17, U2, U10: what a worker elsewhere would read otherwise, and folders named `~`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/某")
    source = ["source=jsonl", "recipe.source.path=数据/a.jsonl"]
    config = load([*source, "site.store=~/库"])
    assert config.recipe["source"].path == str(tmp_path / "数据" / "a.jsonl")
    assert config.site.store == "/home/某/库"
    assert load([]).site.store == str(tmp_path / ".siku") == load(["~site.store"]).site.store
    assert load([]).site.hosts["sample"].serve == "package:corpus/sample/site.tar.xz"
    assert load(["site.store=~root/x"]).site.store == str(Path("~root/x").expanduser())
    for empty in ("", "' '"):
        assert "names no file or folder: give a path" in refused(f"site.store={empty}")
        assert "names no file or folder: give a path" in refused("source=jsonl", f"recipe.source.path={empty}")
    assert "site.store='~nobody-here/x': has no home folder" in refused("site.store=~nobody-here/x")


def test_the_record_is_plain(own):
    record = load_cell(["filters=mine", "train.seed=7"], own).record()
    assert record["config"]["train"]["seed"] == 7 and record["config"]["recipe"]["tokens"]["tokenizer"] == "tokenizer"
    assert record["config"]["recipe"]["measure"]["measures"]["language"]["model"].startswith("package:corpus/")
    assert (
        record["given"]["overrides"] == ["filters=mine", "train.seed=7"]
        and record["given"]["choices"]["train"] == "tiny"
    )
    assert "$" not in str(record["config"])


def test_discriminators_and_fields_of_the_schema():
    assert tags() == {"kind", "rule", "measure", "key", "edit", "schedule", "by"}
    assert {"train.schedule.horizon_tokens", "recipe.<name>.rules.<name>.minimum", "site.store"} <= set(fields(Config))
