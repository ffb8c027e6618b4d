"""Mistakes are told at plan, in one sentence, before any work: by `siku plan` and `siku run` alike."""

import json
import random

import pytest

from conf.load import load
from corpus.tokenize import END_OF_DOCUMENT, train_bpe
from corpus.verdict import Tally
from pipelines.engine.store import seal
from pipelines.graph.checks import PlanError, components, nearest
from pipelines.graph.plan import make_plan
from tests.end_to_end.support import siku

RULE = "recipe.filter.rules.extra={{rule: range, order: 99, column: {}, minimum: {{other: 5}}}}"
MISTAKES = [
    (("run.until=token",), "run.until='token': the recipe has no such stage; did you mean tokens?"),
    (
        ("source=crawl", "recipe.source.seeds=['https://example.org/']", "run.until=source"),
        "recipe.source asks example.org: set site.politeness.contact to a URL or an e-mail address",
    ),
    (("run.until=zzz",), "run.until='zzz': the recipe has no such stage: choose among clean, decontaminate, dedupe, "),
    (
        (RULE.format("quality.hashs"),),
        "recipe.filter.rules.extra reads 'quality.hashs', but the measure quality makes no such column; did",
    ),
    (
        ("recipe.split.rules.extra={rule: range, order: 9, column: length.x, minimum: {other: 5}}",),
        "recipe.split.rules.extra reads 'length.x', but the measure length makes no such column: choose among bytes, ",
    ),
    ((RULE.format("quallity.hashes"),), "recipe.filter reads the measures ['quallity'], which no measure stage before"),
    (("layout.tp=3",), "layout.tp=3 does not divide model.attention.heads=4 and model.attention.groups=2"),
    (
        ("layout.pp=3",),
        "layout.pp x layout.vpp=3 does not divide model.layers=4: the nearest that fits is 2 (then 4, 1)",
    ),
    (("layout.dp=3",), "layout.dp x layout.micro_batch=12 does not divide train.global_batch=8"),
    (("model.vocabulary=4095",), "model.vocabulary=4095 is smaller than the tokenizer's 4096"),
    (
        ("cluster=slurm", "cluster.nodes=3", "layout.dp=2", "train.global_batch=8"),
        "cluster.nodes=3: the layout's 2 processes do not spread evenly: change either",
    ),
    (("layout.device=cuda",), "layout.device=cuda, but this machine shows no NVIDIA device"),
    (
        ("mixture.weights={zh: 0.5, eng: 0.5}",),
        "mixture.weights.eng: no component has this name: choose among ['en', 'zh']",
    ),
    (
        ("mixture.weights.zh=0.7",),
        "mixture.weights (zh=0.7) leaves out en: give each a weight, or say what the others get",
    ),
]


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch):
    monkeypatch.setattr("pretrain.config.layout.NVIDIA_DEVICES", ())


def idle(store):
    """Whether nothing was made there; a plan may keep hashes of files."""
    return not store.exists() or {path.name for path in store.iterdir()} <= {"checksums"}


@pytest.mark.parametrize(("overrides", "told"), MISTAKES)
def test_a_mistake_is_one_sentence_before_any_work(overrides, told, tmp_path):
    store = f"site.store={tmp_path / 'store'}"
    for verb in ("plan", "run"):
        ended = siku(verb, store, *overrides)
        assert ended.code == 2 and ended.said.startswith(f"siku: {told}"), ended.said
        assert ended.said.count("\n") == 1 and ended.out == ""
    assert idle(tmp_path / "store")


def test_a_tokenizers_file_is_looked_into_before_any_work(tmp_path):
    """It was after the crawl, the measures and the split that its vocabulary was found to be another."""
    mine = tmp_path / "tokenizer.json"
    mine.write_bytes(train_bpe(["一页文字 a page of text"] * 50, 270))
    given = (f"site.store={tmp_path / 'store'}", f"recipe.tokenizer.file={mine}")
    ended = siku("plan", *given, "recipe.tokenizer.vocabulary=271")
    assert ended.code == 2 and "recipe.tokenizer.vocabulary=271, but" in ended.said and "has 270 tokens" in ended.said
    assert siku("plan", *given, "recipe.tokenizer.vocabulary=270").code == 0
    mine.write_text(mine.read_text().replace(END_OF_DOCUMENT, "<|other|>"))
    ended = siku("plan", *given, "recipe.tokenizer.vocabulary=270")
    assert ended.code == 2 and f"has no {END_OF_DOCUMENT} token" in ended.said
    assert idle(tmp_path / "store")


def test_a_cell_that_cannot_be_stops_the_sweep_before_the_first_crawl(tmp_path):
    ended = siku("run", "-m", f"site.store={tmp_path / 'store'}", "layout.pp=1,3", "run.repeat=true")
    assert ended.code == 2 and "layout.pp x layout.vpp=3 does not divide" in ended.said and idle(tmp_path / "store")


def test_only_what_is_asked_for_is_checked(tmp_path):
    """A corpus needs no GPU, and no layout."""
    more = ("run.until=tokens", "layout.device=cuda", "layout.tp=3", "mixture.weights={xx: 1}")
    ended = siku("plan", f"site.store={tmp_path}", *more)
    assert ended.code == 0 and ended.said == ""
    unread = RULE.format("quality.hashs")
    assert siku("plan", f"site.store={tmp_path}", unread, "run.until=split").code == 0


def test_what_may_not_be_meant_is_said_and_goes_on(tmp_path):
    ended = siku("plan", f"site.store={tmp_path}", "run.steps=1000")
    assert ended.code == 0 and "80% of the run is at the floor" in ended.said
    assert siku("plan", f"site.store={tmp_path}").said == ""
    assert siku("plan", f"site.store={tmp_path}", "run.steps=1000", "run.until=tokens").said == ""


def test_components_are_those_of_the_tokens_that_are_there(tmp_path):
    path, draw = tmp_path / "a.jsonl", random.Random(1)
    path.write_text(json.dumps({"text": "".join(draw.choices("的一是在不了", k=80))}) + "\n")
    where = [f"site.store={tmp_path / 's'}", "source=jsonl", f"recipe.source.path={path}"]
    plan = make_plan(load(where))
    tokens = plan.graph.stages["tokens"]
    assert components(tokens, plan.found) == {"zh", "en"}
    assert components(make_plan(load([*where, "filters=none"])).graph.stages["tokens"], plan.found) is None
    narrow = make_plan(
        load([*where, "recipe.detox.rules.only={rule: language, order: 1, languages: [zh], minimum: {}}"])
    )
    assert components(narrow.graph.stages["tokens"], plan.found) == {"zh"}
    by = [make_plan(load([*where, f"recipe.tokens.components={each}"])).graph for each in ("source", "both")]
    assert [set(components(graph.stages["tokens"], plan.found)) for graph in by] == [
        {"web"},
        {"web.en", "web.zh"},
    ]
    directory = plan.store.directory(tokens.kind, tokens.digest)
    directory.mkdir(parents=True)
    seal(directory, tokens.identity, {}, {"components": {"zh": {}, "ja": {}}}, Tally(), {})
    assert set(components(tokens, plan.found)) == {"zh", "ja"}
    with pytest.raises(PlanError, match=r"mixture.weights.en: no component has this name: choose among \['ja', 'zh'\]"):
        make_plan(load([*where, "mixture=even"]))


def test_nearest():
    assert nearest("word", ["words", "lines"]) == "; did you mean words?"
    assert nearest("长度", ["words", "lines"]) == ": choose among lines, words"
