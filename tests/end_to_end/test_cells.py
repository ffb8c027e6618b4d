"""What cells and runs may share, and what they may not: measures of one name, folders of one name."""

import json
import random

import pytest

from pipelines.engine.store import load
from tests.end_to_end.support import ok, siku

ZH = "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动"
EN = (
    "the of and to in is that it was for on are as with his they at be this from have or by one had not but what all "
    "were when we there can an your which their said if do will each about how up out them then she many some"
).split()


@pytest.fixture
def lines(tmp_path):
    path, draw = tmp_path / "texts.jsonl", random.Random(7)
    texts = []
    for _ in range(30):
        texts.append("。".join("".join(draw.choices(ZH, k=14)) for _ in range(12)) + "。")
        texts.append(" ".join(" ".join(draw.choices(EN, k=14)).capitalize() + "." for _ in range(12)))
    rows = [{"text": text, "url": f"http://a.test/{n}"} for n, text in enumerate(texts)]
    rows.append({"text": texts[0] + "?", "url": "http://[::1/x"})  # no URL, and no reason to end a run
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def arguments(lines, store, until="filter"):
    source = ("source=jsonl", f"recipe.source.path={lines}", f"site.store={store}")
    return (*source, f"run.until={until}", "recipe.split.held_out=0.2")


def measures(store):
    found = {}
    for directory in (store / "measure").glob("*/*"):
        artifact = load("measure", directory.name, directory)
        found[directory.name] = artifact.content_hash
    return found


def test_cells_that_measure_under_one_name_keep_their_columns_apart(lines, tmp_path):
    key = "recipe.measure.measures.quality.short"
    ended = ok("run", "-m", *arguments(lines, tmp_path / "both"), f"{key}=1,60")
    assert ended.made.count("measure.quality") == 2 and ended.made.count("measure.language") == 1
    for value in (1, 60):
        ok("run", *arguments(lines, tmp_path / f"{value}"), f"{key}={value}")
    alone = measures(tmp_path / "1") | measures(tmp_path / "60")
    assert measures(tmp_path / "both") == alone


def test_a_malformed_url_is_a_document_like_any_other(lines, tmp_path):
    ok("run", *arguments(lines, tmp_path / "s"))
    ended = ok(
        "export",
        "--what",
        "documents",
        "--format",
        "jsonl",
        "--to",
        str(tmp_path / "out"),
        f"site.store={tmp_path / 's'}",
    )
    assert ended.code == 0
    summary = json.loads(next((tmp_path / "s" / "runs").glob("*/summary.json")).read_text())
    assert next(stage for stage in summary["funnel"] if stage["stage"] == "extract")["kept"] == 61


def test_a_run_keeps_its_name_and_tells_of_itself(lines, tmp_path):
    store = tmp_path / "s"
    one = (*arguments(lines, store), "recipe.filter.rules.words.minimum.zh=10")
    other = (*arguments(lines, store), "recipe.filter.rules.words.minimum.zh=100000")
    ok("run", *one, "run.name=x")
    ok("run", *other, "run.name=y")
    refused = siku("run", *other, "run.name=x")
    assert refused.code == 2 and "run.name='x' is the name of a run with another configuration" in refused.said
    ok("gc", f"site.store={store}", "--forget", "x", "--yes")
    ended = ok("run", *other, "run.name=x")
    assert ended.made == [] and "nothing to do" not in ended.said
    told = json.loads((store / "runs" / "x" / "run.json").read_text())
    assert told["config"]["recipe"]["filter"]["rules"]["words"]["minimum"]["zh"] == 100000
    assert "nothing to do" in ok("run", *other, "run.name=x").said
    refused = siku("run", *one, "run.name=../x")
    assert refused.code == 2 and "run.name='../x'" in refused.said


def test_cells_of_a_named_sweep_have_folders_of_their_own(lines, tmp_path):
    store = tmp_path / "s"
    sweep = "recipe.filter.rules.words.minimum.zh=10,100000"
    ended = ok("run", "-m", *arguments(lines, store, "tokens"), sweep, "run.name=abl")
    assert sorted(path.name for path in (store / "runs").iterdir()) == ["abl-1", "abl-2"]
    head, first, second = ended.out.splitlines()[:3]
    assert head.split() == ["filter.words.minimum.zh", "documents", "tokens"]
    (low, some, _), (high, fewer, _) = first.split(), second.split()
    assert (low, high) == ("10", "100000") and int(some) > int(fewer) > 0
