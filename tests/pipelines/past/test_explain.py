"""`siku explain`: documents, steps and rules of a finished run."""

import copy
import dataclasses
import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.edit import SPANS, apply_spans
from pipelines.past.changes import Change, moved
from pipelines.past.explain import explain_document, explain_rule, explain_step
from pipelines.past.export import ExportError
from pipelines.past.export_model import export_model
from pipelines.past.lookup import find, places
from pipelines.past.summary import Spent, summarize
from pipelines.past.trained import training
from pipelines.report.report import render
from tests.pipelines.fixtures import make_run
from tests.pipelines.pages import keeper, pages


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("store"))


def said(function, *arguments, **named):
    lines = []
    status = function(*arguments, lines.append, **named)
    return status, "\n".join(lines)


def page(end):
    return next(page for page in pages() if page.key.endswith(end))


CHINESE = [
    "http://help.sample/zh-CN/文档/a.html",
    "http://help.sample/zh-CN/%E6%96%87%E6%A1%A3/a.html",
    "HTTP://Help.Sample:80/zh-CN/%e6%96%87档/a.html#头",
    "help.sample/zh-CN/./文档/a.html",
]


@pytest.mark.parametrize("key", CHINESE)
def test_a_url_is_found_in_any_spelling(history, key):
    status, text = said(explain_document, history, key)
    assert status == 0 and page("文档/a.html").id.hex() in text
    assert text.count("  id  ") == 1


@pytest.mark.parametrize("length", [32, 16, 9, 8])
def test_an_id_is_found_by_its_beginning(history, length):
    for each in pages():
        found = find(history, each.id.hex()[:length].upper() if length == 9 else each.id.hex()[:length])
        assert each.id in {place.id for place in found}
        if length >= 16:
            assert len(found) == 1


def test_every_document_has_its_place(history):
    found = places(history, [each.id for each in pages()] + [b"\xff" * 16])
    assert found.keys() == {each.id for each in pages()}
    for place in found.values():
        assert find(history, place.id.hex()) == [place]


def test_a_record_without_a_url(history):
    status, text = said(explain_document, history, "web:record 7")
    assert status == 0 and text.startswith("web:record 7\n") and "kept      by every stage up to decontaminate" in text


def test_kept_document_tells_edits_measures_tokens_and_steps(history):
    _status, text = said(explain_document, history, CHINESE[0])
    assert "mask@1 email: 3" in text and "mask@1 phone: 3" in text and "normalize@1 whitespace: 3" in text
    assert "bytes 14:31: …联系 张三 [<EMAIL>] 电话<PHONE>。" in text
    assert [text.count(f"[{now}]") for now in ("<EMAIL>", "<PHONE>", " ")] == [3, 3, 3]
    assert "measure   length: bytes 114, characters 72" in text
    assert "measure   language: language zh, score 0.9" in text
    assert "tokens    30 in tokens, component zh" in text
    trained = training(history)
    told = {(int(s), int(a), int(b)) for s, a, b in re.findall(r"sample (\d+): tokens (\d+):(\d+)", text)}
    document = page("文档/a.html").id
    spans = [span for row in trained.taken.values() for span in trained.spans(row) if span.document == document]
    assert told == {(span.sample, span.start, span.stop) for span in spans} and told
    for row, span in trained.containing(document):
        assert row.first_sample <= span.sample < row.last_sample


@pytest.mark.parametrize("key", [*CHINESE[:1], "http://help.sample/en-US/a.html"])
def test_masked_text_shows_only_when_raw(history, key):
    secret = ("zhang@example.com", "13812345678", "jane.doe@example.org")
    _, text = said(explain_document, history, key)
    assert not any(word in text for word in secret)
    _, text = said(explain_document, history, key, raw=True)
    assert any(f"(was {word!r})" in text for word in secret)


def test_labels_are_masked_unless_raw(history):
    """S15: wherever a URL or a record's key is named."""
    address, number = "http://help.sample/u/zhang.san@example.com/0.html", "web:rows/13812345678"
    for key, secret in ((address, "zhang.san@"), (number, "13812345678")):
        assert secret not in said(explain_document, history, key)[1]
        assert secret in said(explain_document, history, key, raw=True)[1]
    steps = ["\n".join(said(explain_step, history, step, raw=raw)[1] for step in range(1, 7)) for raw in (False, True)]
    secrets = ("zhang.san@", "13812345678")
    assert not any(each in steps[0] for each in secrets) and any(each in steps[1] for each in secrets)
    rule = [said(explain_rule, history, "few_words", raw=raw)[1] for raw in (False, True)]
    assert "%40example" not in rule[0] and "mail=<EMAIL>" in rule[0] and "%40example" in rule[1]


def test_dropped_document_tells_every_rule_and_the_first(history):
    status, text = said(explain_document, history, "http://help.sample/zh-CN/short.html")
    row = find(history, page("zh-CN/short.html").id.hex())[0].row
    assert status == 0
    assert f"dropped   by filter: too_short@2, value {1 + 0.001 * row:.6g}, threshold 50" in text
    assert f"also fails by filter: few_words@1, value {3 + 0.001 * row:.6g}, threshold 10" in text
    assert "kept" not in text and "training  " not in text


def test_an_unwanted_language_is_told_by_what_was_wanted(history):
    """Not by a threshold of 1, which no one has set."""
    wanted = {"rules": {"too_short": {"rule": "language", "languages": ["zh", "ja"]}}}
    stages = [dict(stage) for stage in history.record["stages"]]
    for stage in stages:
        if stage["name"] == "filter":
            stage["identity"] = {**stage["identity"], "what": wanted}
    other = dataclasses.replace(history, record={**history.record, "stages": stages}, _loaded={})
    told = re.compile(r"dropped   by filter: too_short@2, value [\d.]+, en is none of the wanted zh, ja$", re.M)
    english, chinese = "http://help.sample/en-US/short.html?q=1", "http://help.sample/zh-CN/short.html"
    assert told.search(said(explain_document, other, english)[1])
    assert "threshold 50" in said(explain_document, other, chinese)[1]
    rule = said(explain_rule, other, "too_short")[1]
    assert re.search(r"values .*; en is none of the wanted zh, ja$", rule, re.M) and "; threshold 50" in rule
    page = render(other, summarize(other, Spent(1.0, None)))
    assert "en is none of the wanted zh, ja" in page and "threshold 50" in page


def test_hostile_document_cannot_steer_the_terminal(history):
    _, text = said(explain_document, history, "http://help.sample/en-US/hostile.html", raw=True)
    _, rule = said(explain_rule, history, "toxic")
    for found in (text, rule):
        assert not set(found) & {"\x00", "\x1b", "\u202e"}
    assert "also fails by filter: toxic@1, value nan, threshold 0.1" in text


def test_duplicate_names_its_keeper(history):
    _, text = said(explain_document, history, "http://help.sample/zh-CN/copy.html")
    kept = keeper(pages())
    assert "near_duplicate@1, value 1.00" in text and f"duplicate of {kept.id.hex()} {kept.key}" in text


def test_other_fates(history):
    assert "side      held out (group" in said(explain_document, history, "http://help.sample/en-US/held0.html")[1]
    assert "kept      for evaluation" in said(explain_document, history, "http://help.sample/en-US/held0.html")[1]
    unfit = said(explain_document, history, "http://help.sample/en-US/unfit.html")[1]
    assert "held out, but unfit" in unfit and "dropped   by split: length@1, value 2, threshold 10" in unfit
    leak = said(explain_document, history, "http://help.sample/zh-CN/leak.html")[1]
    assert "dropped   by decontaminate: near_held_out@1" in leak
    status, dead = said(explain_document, history, "http://help.sample/zh-CN/empty.html")
    assert status == 0 and dead.count("dropped   by extract: empty_text 0 characters") == 1


def test_a_url_that_the_crawl_saw_and_did_not_capture(history):
    for key in ("http://help.sample/zh-CN/私.html", "help.sample/zh-CN/%e7%a7%81.html"):
        assert said(explain_document, history, key)[1].endswith("crawl     by source: robots_disallowed")
    status, text = said(explain_document, history, "http://help.sample/missing.html#top")
    assert status == 0 and text.endswith("crawl     by source: http_404, status 404, Not ␛Found")


@pytest.mark.parametrize("key", ["http://help.sample/nowhere", "deadbeef" * 4, "web:record 8", "文", "", "a\x1b[0m"])
def test_what_was_never_seen(history, key):
    status, text = said(explain_document, history, key)
    assert status == 1 and "has never seen it" in text and "\x1b" not in text


def test_step_tells_its_documents_and_attempts(history):
    status, text = said(explain_step, history, 3)
    assert status == 0
    assert re.findall(r"attempt (\d), ([a-z ]+):", text) == [("1", "taken"), ("1", "rolled back"), ("2", "taken")]
    trained = training(history)
    spans = trained.spans(trained.taken[3])
    told = re.findall(r"([0-9a-f]{32}) tokens (\d+):(\d+), epoch (\d+)  (.+)", text)
    assert [(bytes.fromhex(d), int(a), int(b), int(e)) for d, a, b, e, _ in told] == [
        (span.document, span.start, span.stop, span.epoch) for span in spans
    ]
    by_id = {each.id: each.key for each in pages()}
    for document, *_, url in told:
        key = by_id[bytes.fromhex(document)]
        assert url.rsplit("/", 1)[-1] == key.rsplit("/", 1)[-1]
    assert re.findall(r"sample (\d+) \((\w+)\)", text) == [
        (str(s), c) for s, c in dict.fromkeys((span.sample, span.source) for span in spans)
    ]
    assert f"{sum(span.stop - span.start for span in spans)} tokens" in text.splitlines()[-1]


@pytest.mark.parametrize("step", [0, 7, -1])
def test_step_that_was_not_taken(history, step):
    assert said(explain_step, history, step) == (1, f"run demo took no step {step}: its steps are 1 to 6")


def test_rule_tells_counts_values_and_the_nearest_in_both_languages(history):
    status, text = said(explain_rule, history, "too_short")
    assert status == 0
    short = {
        language: [p for p in pages() if p.fate == "short" and p.language == language] for language in ("zh", "en")
    }
    for language, found in short.items():
        n = len(found)
        assert f"too_short@2 in filter, {language}: {n} fail it, {n} of them fail it first" in text
    assert "threshold 50" in text and "短" in text and "tiny" in text
    assert said(explain_rule, history, "too_short@2")[1] == text
    rows = {place.id: place.row for each in short["en"] for place in find(history, each.id.hex())}
    nearest = sorted(rows, key=lambda identifier: (-rows[identifier], identifier))[:3]  # the value grows with the row
    english = text[text.index("in filter, en") : text.index("in filter, zh")]
    assert re.findall(r"([0-9a-f]{32}) value", english) == [identifier.hex() for identifier in nearest]
    few = said(explain_rule, history, "few_words")[1]
    assert f"few_words@1 in filter, en: {len(short['en']) + 1} fail it, 1 of them fail it first" in few
    assert "few_words@1 in filter, zh: 1 fail it, 0 of them fail it first" in few
    copy = said(explain_rule, history, "near_duplicate")[1]
    assert f"duplicate of {keeper(pages()).id.hex()}" in copy and "李四 <EMAIL>。" in copy and "li.si" not in copy
    assert "li.si@example.cn" in said(explain_rule, history, "near_duplicate", raw=True)[1]


def test_rule_that_dropped_nothing_names_those_that_did(history):
    did = "these did: empty_text, few_words, near_duplicate, near_held_out, too_short, unfit_length"
    record = copy.deepcopy(dict(history.record))
    next(each for each in record["stages"] if each["name"] == "filter")["identity"]["what"]["rules"] = {"spare": {}}
    history = dataclasses.replace(history, record=record)
    for name in ("spare", "spare@1"):
        assert said(explain_rule, history, name) == (0, f"rule {name!r} of filter dropped nothing in run demo; {did}")
    told = "no rule 'tooshort' dropped anything in run demo, and its recipe names none; did you mean too_short?"
    assert said(explain_rule, history, "tooshort") == (1, told)
    assert "choose among empty_text, few_words, length, " in said(explain_rule, history, "nope")[1]
    assert said(explain_rule, history, "empty_text")[0] == 0


@pytest.mark.parametrize("last", ["filter", "split", "measure.length", "extract", "source"])
def test_a_run_that_stopped_early_explains_what_it_has(tmp_path, last):
    whole = make_run(tmp_path)
    names = list(whole.stages)
    record = {**whole.record, "stages": whole.record["stages"][: names.index(last) + 1]}
    stopped = dataclasses.replace(whole, record=record, _loaded={})
    told = f"run demo trained no model: it ended at {last}; run its command again with run.until empty and run.steps "
    status, text = said(explain_step, stopped, 1)
    assert status == 1 and text.startswith(told)
    with pytest.raises(ExportError, match=re.escape(told)):
        export_model(stopped, tmp_path / "model")
    status, text = said(explain_document, stopped, "http://help.sample/zh-CN/short.html")
    assert status == (1 if last == "source" else 0)
    assert ("dropped   by filter: too_short@2" in text) == (last == "filter")
    assert ("not split" in text) == (last in ("measure.length", "extract"))
    assert said(explain_rule, stopped, "too_short")[0] == (0 if last == "filter" else 1)
    assert said(explain_document, stopped, "http://help.sample/missing.html")[0] == 0


@settings(max_examples=150)
@given(st.data())
def test_moved_offsets_follow_the_bytes(data):
    text = data.draw(st.text(alphabet="ab中文é", max_size=20))
    size = len(text)
    cuts = sorted(data.draw(st.lists(st.integers(0, size), max_size=6, unique=True)))
    spans = list(zip(cuts[::2], cuts[1::2], strict=False))
    byte = [len(text[:i].encode()) for i in range(size + 1)]
    found = [
        Change("s", 0, "e", byte[a], byte[b], data.draw(st.text(alphabet="x中", max_size=3)), "r") for a, b in spans
    ]
    columns = [[0] * len(found)] + [[getattr(c, n) for c in found] for n in ("start", "stop", "replacement", "reason")]
    batch = pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, SPANS, strict=True)], schema=SPANS)
    after = apply_spans(pa.array([text], pa.large_string()), batch)[0].as_py().encode()
    for i in range(size):
        if not any(a <= i < b for a, b in spans):
            at = moved(byte[i], found)
            assert after[at : at + byte[i + 1] - byte[i]].decode() == text[i]
    assert moved(byte[size], found) in (len(after), *(moved(c.start, found) for c in found))
