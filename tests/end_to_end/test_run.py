"""The whole sample site, from the crawl to bits per byte, and what the store then saves."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import FULL_STEPS
from tests.end_to_end.support import REPOSITORY, Built, environment, fates, ok, siku

LANGUAGES = ("zh", "en")
AFTER_FILTER = ["filter", "detox", "dedupe", "decontaminate", "tokens"]
MEASURES = {
    f"measure.{name}" for name in ("exact", "language", "length", "quality", "repetition", "signature", "toxicity")
}
KEYS = {f"keys.{name}" for name in ("path", "exact", "related", "near")}


def test_corpus_is_large_enough(built: Built) -> None:
    history = built.history("built")
    tokens, held_out = (history.artifact(history.stages[n]).figures["components"] for n in ("tokens", "held_out"))
    for language in LANGUAGES:
        assert tokens[language]["documents"] >= 500
        assert held_out[language]["documents"] >= 100
        assert held_out[language]["bytes"] >= 80_000


def test_every_record_has_one_fate(built: Built) -> None:
    history = built.history("built")
    extract = history.artifact(history.lineage.editions[0])
    found = fates(history)
    assert sum(found.values()) == extract.tally.born.documents
    assert all(count > 0 for count in found.values())
    assert {"held_out", "train", "dedupe near_duplicate", "decontaminate near_held_out"} <= found.keys()


def test_model_learns_more_than_letters(built: Built) -> None:
    history = built.history("built")
    result = history.artifact(history.stages["evaluate"]).figures["result"]["languages"]
    for language in LANGUAGES:
        score = result[language]
        for baseline in ("untrained", "unigram"):
            low, high = score[baseline]["difference_interval"]
            assert low <= score["bits_per_byte"] - score[baseline]["bits_per_byte"] <= high < 0


def test_second_run_does_nothing(built: Built) -> None:
    program = (
        "import sys, time; t = time.monotonic(); from pipelines.cli.main import main; code = main(sys.argv[1:]); "
        "print(sorted({'apache_beam', 'torch', 'megatron', 'numba'} & sys.modules.keys()), time.monotonic() - t); "
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "run", *built.arguments],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    *_, folder, loaded = done.stdout.splitlines()
    assert folder.startswith(str(built.root / "runs" / "built"))
    assert loaded.startswith("[] "), loaded
    print(f"a second run: {loaded}")
    assert f"nothing to do: all {len(built.history('built').stages)} stages are reused" in done.stderr
    assert "new in" not in done.stderr


def test_threshold_reruns_what_follows_it(built: Built) -> None:
    key = "recipe.filter.rules.words.minimum.zh"
    old = built.history("built").stages["filter"].what["rules"]["words"]["minimum"]["zh"]
    overrides = (*built.arguments[:1], f"{key}={old + 12}", "run.until=tokens", "run.name=threshold")
    planned = ok("plan", *overrides)
    ended = ok("run", *overrides)
    assert ended.made == AFTER_FILTER
    assert {"source", "extract", "clean", "split", "tokenizer", *MEASURES, *KEYS} == set(ended.reused)
    assert ended.why["filter"].replace(".0", "") == f"{key}: {old} -> {old + 12}".replace(".0", "")
    assert ended.why["tokens"].startswith("input filter changed")
    assert ended.why["filter"] in planned.out
    assert built.history("threshold").stages["tokens"].digest != built.history("built").stages["tokens"].digest


def test_one_more_measure_is_measured_alone(built: Built) -> None:
    ended = ok(
        "run",
        *built.arguments[:1],
        "recipe.measure.measures.opening={measure: language, characters: 200}",
        "recipe.filter.rules.opening={rule: range, order: 15, column: opening.score, minimum: {other: 0.2}}",
        "run.until=filter",
        "run.name=measure",
    )
    assert ended.made == ["measure.opening", "filter"]
    later = {"measure.toxicity", "keys.near"}  # of detox, of dedupe
    assert set(ended.reused) == {"source", "extract", "clean", "split", *MEASURES, *KEYS} - later


def test_plan_writes_nothing_and_says_what_is_reused(built: Built) -> None:
    before = sorted(built.root.rglob("*"))
    ended = ok("plan", *built.arguments)
    reused = Counter(line.split()[2] for line in ended.out.splitlines()[:-1])
    assert reused == {"reused": len(built.history("built").stages)}
    assert "free:" in ended.out
    assert sorted(built.root.rglob("*")) == before


@pytest.mark.parametrize(
    "spelling",
    [
        "http://help.sample/zh-CN/text/{name}",
        "HTTP://Help.Sample:80/zh%2DCN/text/./{name}#top",
    ],
)
def test_explain_a_document(built: Built, spelling: str) -> None:
    history = built.history("built")
    edition = history.artifact(history.lineage.editions[-1])
    kept = {each for name in edition.names("documents") for each in edition.table(name, ["url"])["url"].to_pylist()}
    url = min(each for each in kept if each and "/zh-CN/text/shared/guide/" in each)
    ended = ok("explain", "--doc", spelling.format(name=url.partition("/text/")[2]), "--run", "built", *built.arguments)
    assert url in ended.out
    assert "measure   language: language zh" in ended.out
    assert "tokens " in ended.out or "dropped " in ended.out or "held out" in ended.out


def test_explain_an_unknown_document(built: Built) -> None:
    ended = siku("explain", "--doc", "http://help.sample/帮助?章=一", "--run", "built", built.arguments[0])
    assert ended.code == 2 and ended.out == ""
    assert ended.said.startswith("siku: http://help.sample/帮助?章=一: run built has never seen it")


def test_explain_a_step_and_a_rule(built: Built) -> None:
    step = ok("explain", "--step", str(FULL_STEPS), "--run", "built", built.arguments[0])
    assert f"step {FULL_STEPS}, attempt 1, taken: samples {8 * (FULL_STEPS - 1)} to {8 * FULL_STEPS - 1}" in step.out
    assert "http://help.sample/" in step.out
    rule = ok("explain", "--rule", "near_held_out", "--run", "built", built.arguments[0])
    dropped = built.history("built").artifact(built.history("built").stages["decontaminate"]).tally.dropped
    assert "near_held_out@1 in decontaminate, zh" in rule.out
    assert sum(int(line.split(": ")[1].split()[0]) for line in rule.out.splitlines() if "fail it," in line) == (
        dropped["near_held_out"].documents
    )


@pytest.mark.parametrize("what", ["documents", "verdicts", "tokens"])
@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_export(built: Built, what: str, kind: str, tmp_path: Path) -> None:
    asked = ("--what", what, "--format", kind, "--side", "all", "--run", "built", built.arguments[0])
    ok("export", "--to", str(tmp_path / "out"), *asked)
    files = sorted((tmp_path / "out").rglob(f"*.{kind}"))
    if kind == "parquet":
        rows = sum(pq.read_metadata(path).num_rows for path in files)
    else:
        rows = sum(len([json.loads(line) for line in path.read_text().splitlines()]) for path in files)
    history = built.history("built")
    if what != "verdicts":
        wanted = fates(history)["train"] + fates(history)["held_out"]
    else:
        stages = [s for s in (history.lineage.split, *history.lineage.verdicts) if s is not None]
        wanted = sum(history.artifact(s).files[n].rows for s in stages for n in history.artifact(s).names("verdicts"))
    assert rows == wanted > 0


def test_ls_config_completion_gc(built: Built, tmp_path: Path) -> None:
    listed = ok("ls", built.arguments[0]).out
    assert "built " in listed and f"{FULL_STEPS} steps" in listed and "bits/byte en" in listed
    assert "WHERE" in ok("config", "site.store").out
    assert "recipe.filter.rules.words.minimum" in ok("config", "--search", "words").out
    assert "siku" in ok("completion", "bash").out
    found = ok("gc", built.arguments[0]).out
    assert "in 0 of" in found and "nothing to remove" in found


def test_summary_and_report(built: Built) -> None:
    folder = built.root / "runs" / "built"
    summary = json.loads((folder / "summary.json").read_text())
    assert {"stages", "funnel", "tokens", "validation", "seconds", "peak_pss_mb"} <= summary.keys()
    funnel = {row["stage"]: row for row in summary["funnel"]}
    for row in funnel.values():
        assert row["in"] + row["born"] == row["kept"] + sum(row["dropped"].values())
    page = (folder / "report.html").read_text()
    assert "<script src" not in page and "http-equiv" not in page
    assert str(funnel["extract"]["born"]) in page.replace(",", "")
