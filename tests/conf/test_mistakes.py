"""Wrong values in our own words: the field, the value and the way out, misspelled names first."""

import copy
import re

import pytest

from conf.load import compose, validate
from conf.overrides import parse
from conf.search import PACKAGED, ConfigError, search
from tests.conf.test_load import refused

STAGES = "crawl, html, warc, "
TOLD = [
    (("source=jsonl", "recipe.source.pth=x"), "recipe.source.pth='x': no such field; did you mean recipe.source.path?"),
    (("source=jsonl",), "recipe.source.path: missing; set it with recipe.source.path=<value>"),
    (("model.attention.head=3",), "model.attention.head=3: no such field; did you mean model.attention.heads?"),
    (("seed=3",), "seed=3: no such field; did you mean train.seed?"),
    (("sources=html",), "sources='html': no such field; did you mean source?"),
    (("recipe.foo=3",), "recipe.foo=3: is no mapping: write 'recipe.foo={kind: KIND, FIELD: VALUE}', where KIND is o"),
    (("recipe.filtr.rules={}",), "recipe.filtr: nothing has this name; did you mean recipe.filter? a new one needs "),
    (("recipe.x={}",), f"recipe.x: nothing has this name: a new one needs recipe.x.kind=, one of {STAGES}"),
    (("recipe.filter.rules.wrods.order=1",), "recipe.filter.rules.wrods: nothing has this name; did you mean recipe."),
    (("recipe.foo.kind=filtr",), f"recipe.foo.kind='filtr': none of {STAGES}"),
    (
        ("train.schedule=wsd",),
        "train.schedule='wsd': is no mapping: write 'train.schedule={schedule: KIND, FIELD: VAL",
    ),
    (("train.schedule.schedule=wsd",), "train.schedule.horizon_tokens=409600: no such field: remove it with ~train."),
    (("recipe.filter.rules=[1]",), "recipe.filter.rules=[1]: is no mapping: write recipe.filter.rules.NAME=VALUE for"),
    (
        ("site.hosts.sample=x",),
        "site.hosts.sample='x': is no mapping: write site.hosts.sample.FIELD=VALUE, where FI",
    ),
    (("recipe.source.seeds=http://a.test/",), "is no list: write 'recipe.source.seeds=[\"http://a.test/\"]'"),
    (("recipe.source.seeds=[]",), "recipe.source.seeds=[]: has 0 values, and must have 1 or more"),
    (("layout.device=cud",), "layout.device='cud': none of auto, cpu, cuda; did you mean cuda?"),
    (("train.seed=一",), "train.seed='一': is no whole number"),
    (("site.memory=3X",), "site.memory='3X': is no size: write bytes as in 2GB or 512MiB"),
    (("run.name=a/b",), "run.name='a/b': must be a folder's name of letters, digits, _, - and dots, with no dot first"),
    (("run.name='a\n'",), "run.name='a\\n': must be a folder's name"),
    (("site.politeness.contact=me",), "site.politeness.contact='me': must be a URL or an e-mail address"),
    (("train.trunk=mine",), "train.trunk='mine': must be a run and its step, such as mine@100"),
]


@pytest.mark.parametrize(("overrides", "told"), TOLD)
def test_a_wrong_value_is_told_with_the_way_out(overrides, told):
    assert told in refused(*overrides).splitlines()[0]


def test_a_list_of_wrong_values_is_not_too_short_as_well():
    (told,) = refused("recipe.source.seeds=[example.org]").splitlines()
    assert told.startswith("recipe.source.seeds.0='example.org': ")


def test_a_misspelled_name_is_told_before_what_it_leaves_missing():
    told = refused("model.layers=x", "source=jsonl", "recipe.source.pth=x", "~model.hidden").splitlines()
    assert [line.split("=")[0].split(":")[0] for line in told] == ["recipe.source.pth", "model.hidden", "model.layers"]


JUNK = ("zzz", [1], {"zz": 1}, -1, 0.5, None, True, "", 10**30)
LIBRARY = re.compile(r"valid (dict|list|tuple|string|integer|number|boolean)|[Ii]nput |discriminator|instance of|parse")


def places(value, path=()):
    if path:
        yield path
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from places(inner, (*path, key))


def test_no_wrong_value_is_told_in_a_librarys_words():
    base, refusals = compose(parse([], PACKAGED)).container, 0
    for *parents, last in places(base):
        for junk in JUNK:
            container = copy.deepcopy(base)
            here = container
            for each in parents:
                here = here[each]
            here[last] = junk
            try:
                validate(container)
            except ConfigError as error:
                refusals += 1
                for line in str(error).splitlines():
                    field, path = re.split("[=: ]", line)[0], ".".join([*parents, last])
                    assert (field.startswith(path) or path.startswith(field)) and not LIBRARY.search(line), line
    assert refusals > 1000


def test_a_folder_that_is_not_there_is_told_by_what_named_it(monkeypatch, tmp_path):
    monkeypatch.setenv("SIKU_CONFIG", str(tmp_path / "no"))
    with pytest.raises(ConfigError, match=rf"^the environment's SIKU_CONFIG {tmp_path}/no: no such folder: "):
        search()
    with pytest.raises(ConfigError, match=rf"^--config-dir {tmp_path}/none: no such folder: "):
        search(tmp_path / "none")
