"""The report and summary.json of a finished run."""

import dataclasses
import itertools
import json
import re
from collections import Counter
from html.parser import HTMLParser
from xml.etree import ElementTree

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.shard import write_shard
from corpus.verdict import VERDICT, ReconciliationError
from pipelines.engine.store import StoreError
from pipelines.past.census import Lengths, take_census
from pipelines.past.history import open_run
from pipelines.past.samples import excerpt, printable
from pipelines.past.summary import Spent, summarize
from pipelines.past.trained import training
from pipelines.report import charts
from pipelines.report.report import write_report
from pipelines.report.views import link
from tests.pages import labelled_rows, table_rows
from tests.pipelines.fixtures import make_run
from tests.pipelines.pages import HOSTILE, pages

VOID = {"meta", "link", "br", "img", "hr", "input"}


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def page(history):
    write_report(history, history.folder, Spent(12.34, 801.26))
    return (history.folder / "report.html").read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Collects tags and attributes, and checks that every tag is closed in turn."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes = [], Counter(), []

    def handle_starttag(self, tag, attrs):
        self.seen[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_funnel_equals_the_ledger(history):
    summary = summarize(history, Spent(1.0, None))
    rows = {row["stage"]: row for row in summary["funnel"]}
    for stage in history.of_kind("filter", "dedupe", "decontaminate", "split"):
        counted = Counter()
        artifact = history.artifact(stage)
        for name in artifact.names("verdicts"):
            table = artifact.table(name)
            first = table.filter(table["first"])
            counted += Counter(first["reason"].to_pylist())
        told = {r.removeprefix("unfit_"): n for r, n in rows[stage.name]["dropped"].items() if r != "held_out"}
        assert told == dict(counted)
    fates = Counter(page.fate for page in pages())
    assert rows["filter"]["dropped"] == {"few_words": fates["toxic"], "too_short": fates["short"]}
    assert rows["dedupe"]["dropped"] == {"near_duplicate": fates["duplicate"]}
    assert rows["decontaminate"]["dropped"] == {"near_held_out": fates["near_held_out"]}
    assert rows["split"]["dropped"] == {"held_out": fates["held_out"], "unfit_length": fates["unfit"]}
    line = [rows[name] for name in ("extract", "clean", "split", "filter", "dedupe", "decontaminate", "tokens")]
    for row in line:
        assert row["in"] + row["born"] == row["kept"] + sum(row["dropped"].values())
    for before, after in itertools.pairwise(line):
        assert before["kept"] == after["in"]
    assert line[-1]["kept"] == fates["kept"]


@pytest.mark.parametrize("weights", [{}, {"zh": 0.75, "en": 0.25}, {"zh": 1.0, "en": 0.0}])
def test_spans_of_all_steps_sum_to_the_tokens_reported(tmp_path, weights):
    history = make_run(tmp_path, weights=weights)
    trained = training(history)
    sums, samples = Counter(), Counter()
    for row in trained.taken.values():
        spans = trained.spans(row)
        for span in spans:
            sums[span.source] += span.stop - span.start
        for source in {(span.sample, span.source) for span in spans}:
            samples[source[1]] += 1
    # A sample's first token is context only: consecutive samples share it.
    told = summarize(history, Spent(1.0, None))["tokens_trained"]
    assert told == {source: total - samples[source] for source, total in sums.items()}
    assert sum(told.values()) == list(trained.taken.values())[-1].tokens


def test_summary_has_what_it_promises(history, page):
    summary = json.loads((history.folder / "summary.json").read_text())
    assert {"stages", "funnel", "tokens", "validation", "seconds", "peak_pss_mb"} <= summary.keys()
    assert summary["seconds"] == 12.34 and summary["peak_pss_mb"] == 801.3
    by_name = {stage["name"]: stage for stage in summary["stages"]}
    assert [stage["name"] for stage in summary["stages"]] == list(history.stages)
    assert by_name["filter"]["reused"] and not by_name["dedupe"]["reused"]
    assert by_name["dedupe"]["digest"] == history.stages["dedupe"].digest
    assert by_name["dedupe"]["mb_per_second"] == 2.0
    assert by_name["train"]["made_in_seconds"] == 6 * 0.25
    assert summary["crawl"]["outcomes"] == {"fetched": 41, "http_404": 1, "robots_disallowed": 1}
    assert summary["crawl"]["urls"] == 43 and summary["crawl"]["warc_bytes"] == 1000
    assert summary["validation"]["bits_per_byte"]["zh"] == {
        "model": 1.7,
        "interval": [pytest.approx(1.6), pytest.approx(1.8)],
        "documents": 3,
        "bytes": 300,
        "tokens": 90,
        "unigram": 2.2,
        "unigram_interval": [pytest.approx(2.1), pytest.approx(2.3)],
        "untrained": 3.2,
        "untrained_interval": [pytest.approx(3.1), pytest.approx(3.3)],
    }
    tokens = history.artifact(history.stages["tokens"]).figures["components"]
    assert summary["tokens"] == {name: figures["tokens"] for name, figures in tokens.items()}
    assert "peak_pss_mb" not in summarize(history, Spent(1.0, None))


def test_page_asks_nothing_of_the_network_and_runs_nothing(page):
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert not {"script", "img", "iframe", "object", "embed", "base", "form"} & tags.seen.keys()
    for tag, name, value in tags.attributes:
        assert not name.startswith("on"), (tag, name)
        if name == "src" or (name == "href" and tag != "a"):
            assert value.startswith("data:")
        if tag == "a" and name == "href":
            assert value.startswith("http://help.sample/")
    assert "url(" not in page and "@import" not in page


def test_hostile_text_is_shown_and_harmless(page):
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "<script" not in page
    assert "坏标签" in page and "NUL␀" in page and "ESC␛" in page
    assert not set(page) & {"\x00", "\x1b", "\u202e", "\u202c"}
    assert "  hidden: 128\n  名: 四库&lt;b&gt;" in page  # of the configuration


def test_the_configuration_is_shown_as_given(page):
    """H13: what the user wrote, not hashes."""
    assert ">model=tiny<" in page and ">filters=mine<" in page
    assert "<summary>/home/me/filters/mine.yaml</summary><pre># 自己的&lt;规则&gt;\nwords: {order: 1}\n</pre>" in page
    assert "$stage" not in page and "$file" not in page and "$type" not in page


def test_page_holds_no_masked_text(page):
    assert "李四 &lt;EMAIL&gt;" in page  # a duplicate's sample
    assert not re.search(r"\w@\w+\.\w|13812345678|%40", page)
    assert "tiny" in page and "mail=&lt;EMAIL&gt;" in page  # S15: a URL is as personal as a text


def test_no_table_is_cut_on_a_narrow_screen(page):
    """U10: at 400 px each row of a table with heads is a card, each value beside its own head."""
    heads = re.findall(r"<thead><tr>(.*?)</tr></thead>", page)
    tables = page.count('<table class="wide">')
    assert len(heads) == tables == 6 and page.count("<thead>") == tables
    names = {re.sub("<[^>]*>", "", each) for head in heads for each in re.findall("<th.*?</th>", head)}
    rows = labelled_rows(page)
    assert {name for row in rows for name in row} == names
    assert {"stage": "clean", "reason": "email", "changes": "16", "documents": "3"}.items() <= max(
        rows, key=lambda row: row.get("reason") == "email"
    ).items()
    narrow = page[page.index("@media (max-width:560px)") :]
    assert ".wide td::before{content:attr(data-head)" in narrow and ".wide thead{display:none}" in narrow
    assert "overflow-x" not in page


def test_only_web_links_can_be_followed():
    assert link("https://例子.测试/页") == "https://例子.测试/页"
    assert [link(url) for url in ("javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", None)] == [""] * 4


def test_page_tells_every_reason_rule_and_figure(history, page):
    for wanted in (
        "too_short",
        "few_words",
        "near_duplicate",
        "near_held_out",
        "empty_text",
        "unfit_length",
        "held_out",
    ):
        assert re.search(rf"{wanted} <b>−\d+</b>", page), wanted
    assert "<b>41</b> of 43 URLs fetched · 1.0 kB of compressed WARC" in page and "robots_disallowed <b>1</b>" in page
    assert "few_words@1" in page and "toxic@1" in page and "value nan, threshold 0.1" in page
    assert "kept instead: http://help.sample/zh-CN/3.html" in page
    assert ["clean", "email", "16", "3"] in [row[:4] for row in table_rows(page)]
    assert "15.00 %" in page  # the largest remaining overlap
    assert "range" in page and history.stages["split"].digest in page
    assert 'lang="zh"' in page and 'lang="en"' in page
    assert page.count("<svg") == 3
    for svg in re.findall(r"<svg.*?</svg>", page, re.S):
        ElementTree.fromstring(svg)


def test_the_funnel_is_a_picture_of_its_own(history, page):
    text = (history.folder / "funnel.svg").read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    for row in summarize(history, Spent(1.0, None))["funnel"]:
        assert (f">{row['stage']}</text>" in text) == (row["stage"] != "held_out")
        for reason, count in row["dropped"].items():
            assert f"{reason} −{count}" in text
    assert "href" not in text and "url(" not in text


def test_census_refuses_a_ledger_that_contradicts_its_manifest(tmp_path):
    history = make_run(tmp_path)
    stage = history.stages["dedupe"]
    artifact = history.artifact(stage)
    lost = {}
    for name in artifact.names("verdicts"):
        path = tmp_path / f"{name}.arrow"
        shard = write_shard(path, [VERDICT.empty_table()], VERDICT)
        path.replace(artifact.directory / path.name)
        lost[name] = dataclasses.replace(artifact.files[name], file=path.name, sha256=shard.sha256)
    history._loaded["dedupe"] = dataclasses.replace(artifact, files={**artifact.files, **lost})
    with pytest.raises(ReconciliationError, match=r"stage dedupe .* leave 29 documents, its manifest says 28"):
        take_census(history)


def test_a_run_that_stopped_early_has_its_report(tmp_path):
    whole = make_run(tmp_path)
    for last in ("filter", "split", "clean", "extract"):
        names = list(whole.stages)
        record = {**whole.record, "stages": whole.record["stages"][: names.index(last) + 1]}
        history = dataclasses.replace(whole, record=record, _loaded={})
        summary = write_report(history, history.folder, Spent(1.0, None))
        assert summary["tokens"] == {} and summary["validation"]["bits_per_byte"] == {}
        assert [row["stage"] for row in summary["funnel"]][-1] == last
        page = (history.folder / "report.html").read_text()
        assert f'class="name">{last}</div>' in page
        assert "steps</span>" not in page and "training tokens" not in page  # no count of what was not done
        kept = f"{summary['funnel'][-1]['kept']:,}"
        assert f"<b>{kept}</b><span>training documents</span>" in page


def test_open_run_says_which_runs_there_are(tmp_path):
    with pytest.raises(StoreError, match="holds no finished run"):
        open_run(tmp_path, "")
    history = make_run(tmp_path)
    assert open_run(tmp_path, "").name == "demo"
    with pytest.raises(StoreError, match=r"--run 'other': .* it holds demo"):
        open_run(tmp_path, "other")
    (history.stages["dedupe"].directory / "manifest.json").unlink()
    again = open_run(tmp_path, "demo")
    with pytest.raises(StoreError, match=r"had stage dedupe .* holds no result any more"):
        again.artifact(again.stages["dedupe"])


def test_a_store_may_move(tmp_path):
    make_run(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    history = open_run(tmp_path / "new", "")
    assert take_census(history).reached["decontaminate"]["zh"].documents == 13


@given(st.text())
def test_printable_has_no_controls(text):
    shown = printable(text)
    assert len(shown) == len(text)
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or "\u202a" <= c <= "\u202e" for c in shown)
    assert "\n" not in excerpt(text)


def test_printable_keeps_ordinary_text():
    assert printable("中文，English — ๆ 😀 é") == "中文，English — ๆ 😀 é"
    assert excerpt(HOSTILE * 9).endswith("…") and len(excerpt("长" * 500)) == 201


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=60))
def test_quantiles_lie_within_a_bin(lengths):
    found = Lengths()
    found.add(pa.array(lengths).to_numpy())
    low, high = min(lengths), max(lengths)
    assert low / 1.1 <= found.quantile(0.5) <= high * 1.1
    assert sum(count for _, count in found.coarse()) == len(lengths)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30))
def test_charts_are_well_formed_whatever_the_numbers(values):
    made = charts.line("曲线 <&>", list(enumerate(values)), "step")
    if made:
        assert "nan" not in made and "inf" not in made
        ElementTree.fromstring(made)


def test_thinned_curve_keeps_its_mean():
    points = [(float(i), float(i % 7)) for i in range(10_000)]
    found = charts.thinned(points)
    assert len(found) <= charts.POINTS
    assert sum(y for _, y in found) / len(found) == pytest.approx(3.0, abs=0.01)
