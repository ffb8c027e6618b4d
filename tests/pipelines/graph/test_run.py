"""Runs in this process, on a small corpus: what one pass makes, what cells share, what a record tells."""

import json
import re

import pytest

from conf.load import load, load_cell, load_cells
from corpus.verdict import Tally
from pipelines.graph import run
from pipelines.graph.keep_record import keep_record
from pipelines.graph.multirun import check_yardstick, multirun
from pipelines.graph.plan import make_plan
from pipelines.graph.recipe import RecipeError
from pipelines.graph.stage_log import StageLog
from tests.pipelines.pages import HOSTILE

SILENT = StageLog(lambda line: None)
MEASURES = "{length: {measure: length}, language: {measure: language}, exact: {measure: exact}}"
RULE = "rule: range, order: 1, column: length.bytes"
RECIPE = (
    "recipe={source: {kind: jsonl, path: FILE}, extract: {kind: extract, input: source},"
    f"raw: {{kind: measure, input: extract, measures: {MEASURES}}},"
    f"early: {{kind: filter, input: raw, rules: {{long: {{{RULE}, maximum: {{other: 999}}}}}}}},"
    "clean: {kind: edit, input: early, edits: {normalize: {edit: normalize, order: 1}, mask: {edit: mask, order: 2}}},"
    f"measure: {{kind: measure, input: clean, measures: {MEASURES}}},"
    f"late: {{kind: filter, input: measure, rules: {{short: {{{RULE}, minimum: {{other: 9}}}}}}}}}}"
)


def write(record):
    """Stands for the report."""

    def finish(session, folder, body, seconds):
        record.append(folder.name)

    return finish


@pytest.fixture
def given(tmp_path):
    """Overrides of a recipe of two editions, each measured, over 40 documents."""
    texts = [
        f"第{n}页　的内容，电话1381234567{n % 10}。  " * (n % 5 + 1) + ("x" * 2000 if n % 9 == 0 else "")
        for n in range(39)
    ]
    rows = [json.dumps({"id": n, "text": text}, ensure_ascii=False) for n, text in enumerate([*texts, HOSTILE])]
    (tmp_path / "in.jsonl").write_text("\n".join(rows), "utf-8")
    return [RECIPE.replace("FILE", str(tmp_path / "in.jsonl")), f"site.store={tmp_path / 'store'}", "site.workers=1"]


def rows(outcome, part):
    return [row for name in outcome.artifact.names(part) for row in outcome.artifact.table(name).to_pylist()]


def test_one_pass_makes_the_measures_of_one_edition_and_no_other(given):
    said = []
    session = run.run_plan(load(given), StageLog(said.append, verbose=True))
    done = {outcome.stage.name: outcome for outcome in session.done()}
    for measure, edition in (("raw.length", "extract"), ("measure.length", "clean")):
        sizes = [len(row["text"].encode()) for row in rows(done[edition], "documents")]
        assert [row["bytes"] for row in rows(done[measure], "columns")] == sizes
        assert done[measure].artifact.figures["edition"] == done[edition].stage.digest
    assert rows(done["raw.length"], "columns") != rows(done["measure.length"], "columns")
    passes = [re.match(r"(\S+)\s+\w{12}  (new|to do)", line) for line in said]
    order = [match[1] for match in passes if match and match[2] == "new"]
    assert order == [
        "extract",
        "raw.language",
        "raw.length",
        "early",
        "clean",
        "measure.language",
        "measure.length",
        "late",
    ]


def test_a_record_is_reused_for_just_this_configuration_and_no_other(given):
    cells = [load_cell([*given, "run.until=extract", "run.name=记", *more]) for more in ([], [], ["site.keep=9"])]
    reports, changed, kept, compared = [], [], [], []
    for cell in cells:
        session = run.run_plan(cell.config, SILENT)
        folder, new = keep_record(session, ["siku", "run"], cell.record(), 1.0, write(reports))
        changed.append(new)
        compared.append("earlier" in vars(session))
        kept.append(json.loads((folder / "run.json").read_text())["config"]["site"]["keep"])
    assert compared == [True, False, False]  # with earlier runs, only where something is new
    assert changed == [True, False, True] and kept == [2, 2, 9] and reports == ["记", "记"]


def test_a_new_snapshot_is_one_for_all_cells(tmp_path, monkeypatch):
    stages = (
        "source: {kind: crawl, seeds: [http://help.sample/]}, extract: {kind: extract, input: source, source: NAME}"
    )
    overrides = [f"site.store={tmp_path}", "run.snapshot=new", "run.until=source"]
    configs = [load([*overrides, f"recipe={{{stages}}}".replace("NAME", name)]) for name in ("a", "b")]
    crawled = []

    def fetch(session, stage):
        crawled.append(stage.digest)
        return run.Artifact(
            "crawl", stage.digest, tmp_path, {}, Tally(), {"snapshot_digest": f"{len(crawled):024d}"}, ""
        )

    monkeypatch.setattr(run, "_crawl", fetch)
    sessions = run.run_plans([run.Request(config) for config in configs], SILENT)
    assert len(crawled) == 1 and len({session.plan.stages()[0].digest for session in sessions}) == 1


def test_cells_share_what_is_theirs_together_and_keep_their_own_records(given):
    swept = "recipe.late.rules.short.minimum.other=9,400"
    cells = load_cells([*given, swept, "run.name=两"])
    said, reports = [], []
    left = multirun(
        cells, [["siku", "run", str(n)] for n in range(2)], StageLog(said.append, verbose=True), write(reports)
    )
    assert [folder.name for folder in left.runs] == reports == ["两-1", "两-2"]
    assert said[-1] == "2 cells, 18 stages, 10 of them distinct"
    made = [line.split()[0] for line in said if "  new in " in line]
    assert made.count("late") == 2 and len(made) == 9 == len(set(made)) + 1
    records = [json.loads((folder / "run.json").read_text()) for folder in left.runs]
    assert [record["command"] for record in records] == ["siku run 0", "siku run 1"]
    digests = [{stage["name"]: stage["digest"] for stage in record["stages"]} for record in records]
    assert {name for name in digests[0] if digests[0][name] != digests[1][name]} == {"late"}
    again = multirun(cells, [["x"], ["y"]], StageLog(said.append, verbose=True), write(reports))
    assert again == left and len(reports) == 2


@pytest.mark.parametrize(
    ("swept", "role"), [("recipe.split.salt=a,b", "held_out"), ("recipe.tokenizer.vocabulary=300,400", "held_out")]
)
def test_cells_with_another_yardstick_are_refused_before_any_work(tmp_path, swept, role):
    (tmp_path / "x.jsonl").write_text('{"text": "x"}\n')
    source = ["source=jsonl", f"recipe.source.path={tmp_path / 'x.jsonl'}", f"site.store={tmp_path / 's'}"]
    cells = load_cells([*source, swept])
    told = rf"the cells have 2 different {role} stages \(cells \[\[1\], \[2\]\]\): sweep only fields that leave"
    with pytest.raises(RecipeError, match=told):
        multirun(cells, [["x"], ["y"]], SILENT, write([]))
    assert not list((tmp_path / "s").glob("extract/*"))
    same = [make_plan(load([*source, f"recipe.filter.rules.words.minimum.zh={n}"])).stages() for n in (48, 49)]
    check_yardstick(same)
