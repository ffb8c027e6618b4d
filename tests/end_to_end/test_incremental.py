"""A second crawl beside a finished run: what that run kept comes first, and every document is accounted for."""

import shutil
from pathlib import Path

import pytest

from conf.load import load
from corpus.verdict import Count, count_ids
from pipelines.door import FinishedRun
from pipelines.graph.finished import open_view, reader
from pipelines.graph.plan import make_plan
from pipelines.past.garbage import own_folders
from pipelines.past.history import History, open_run
from pipelines.past.summary import funnel_rows
from tests.end_to_end.support import Ended, ok, siku, write_jsonl
from tests.pipelines.stages.small import ids_of

LEFT_OUT = ("split", "filter", "detox", "decontaminate", "tokenizer", "tokens", "held_out")
RECIPE = ("source=none", *(f"~recipe.{name}" for name in LEFT_OUT), "recipe.dedupe.input=keys", "site.workers=1")


def text(of: str, number: int, changed: str = "") -> str:
    """A text of its own: sentences that no other number has; `changed` goes into one of them."""
    spoken = {
        "zh": "第{n}篇文章的第{i}段讲的是{a}与{b}之间的关系。",
        "zh-Hant": "第{n}篇文章的第{i}段講的是{a}與{b}之間的關係。",
        "en": "Part {i} of article {n} tells how {a} is related to {b}. ",
    }[of]
    parts = [
        spoken.format(n=number, i=i, a=(number + 3) * i * 7919 % 1009, b=(number + 5) * i * 104729 % 1013)
        for i in range(40)
    ]
    parts[7] += changed
    return "".join(parts)


FIRST = {
    "a": text("zh", 1),
    "a again": text("zh", 1, "改了一句。"),
    "b": text("zh-Hant", 2),
    "c": text("en", 3),
    "d": text("en", 4),
    "short": "短",
}
SECOND = {
    "a once more": text("zh", 1, "又改一句。"),  # near both of the first run, which kept one of them
    "b elsewhere": text("zh-Hant", 2),  # the same text at another address
    "c": text("en", 3),  # the same capture
    "short": "短",  # the same capture, which no key tells
    "d": text("en", 4, "A new sentence."),  # the same address, changed since
    "e": text("zh", 5),
    "e again": text("zh", 5, "改了一句。"),
    "f": text("zh-Hant", 6),
    "g": text("en", 7),
}


def told(history: History) -> tuple[dict[str, bytes], dict[str, tuple[str, bytes]]]:
    """Ids by record, and each dropped record's reason and keeper."""
    stages = history.stages
    edition, verdicts = history.artifact(stages["clean"]), history.artifact(stages["dedupe"])
    rows = [row for name in edition.names("documents") for row in edition.table(name, ["id", "record"]).to_pylist()]
    ids = {row["record"]: row["id"] for row in rows}
    records = {identifier: record for record, identifier in ids.items()}
    dropped = [row for name in verdicts.names("verdicts") for row in verdicts.table(name).to_pylist() if row["first"]]
    return ids, {records[row["id"]]: (row["reason"], row["keeper"]) for row in dropped}


def count(ids: dict[str, bytes], records: set[str]) -> Count:
    return count_ids(ids_of([{"id": ids[record]} for record in sorted(records)]))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    root = tmp_path_factory.mktemp("incremental")
    for name, documents, more in (("first", FIRST, ()), ("second", SECOND, ("recipe.dedupe.against.before=first",))):
        lines = write_jsonl(root / f"{name}.jsonl", [{"id": key, "text": value} for key, value in documents.items()])
        source = "recipe.source={kind: jsonl, path: " + str(lines) + "}"
        ended = ok("run", *RECIPE, source, f"site.store={root}/store", f"run.name={name}", *more)
    return root / "store", ended


def test_a_second_crawl_is_deduped_against_a_finished_run(runs: tuple[Path, Ended]) -> None:
    root, ended = runs
    first, before = told(open_run(root, "first"))
    second, dropped = told(open_run(root, "second"))
    (kept,) = {"a", "a again"} - before.keys()
    (lost,) = before
    assert before == {lost: ("near_duplicate", first[kept])} and {lost, kept} == {"a", "a again"}
    twin, other = sorted(("e", "e again"), key=second.__getitem__)
    assert dropped == {
        "a once more": ("near_duplicate", first[kept]),
        "b elsewhere": ("near_duplicate", first["b"]),
        "c": ("same_capture", first["c"]),
        "short": ("same_capture", first["short"]),
        "d": ("near_duplicate", first["d"]),
        other: ("near_duplicate", second[twin]),
    }
    assert second["c"] == first["c"] and second["d"] != first["d"]
    tally = open_run(root, "second").artifact(open_run(root, "second").stages["dedupe"]).tally
    assert tally.came == count(second, set(SECOND)) and tally.kept == count(second, {twin, "f", "g"})
    assert tally.dropped == {
        "same_capture": count(second, {"c", "short"}),
        "near_duplicate": count(second, {"a once more", "b elsewhere", "d", other}),
    }
    # Nothing of the finished run is made again, its keys and signatures least of all.
    assert {"dedupe.before.key.near", "dedupe.before.measure.signature"} <= set(ended.reused)


def test_a_keeper_of_another_run_is_told_by_name(runs: tuple[Path, Ended]) -> None:
    root, _ = runs
    said = ok("explain", "--doc", "web:b elsewhere", f"site.store={root}", "--run", "second").out
    assert f"duplicate of {told(open_run(root, 'first'))[0]['b'].hex()} web:b, of run first" in said


def test_what_a_run_reads_on_from_is_kept_and_asked_for_by_name(runs: tuple[Path, Ended], tmp_path: Path) -> None:
    """`gc` knows of it when the finished run's record is gone; a plan refuses what is not there, exit status 2."""
    root, _ = runs
    first, second = open_run(root, "first"), open_run(root, "second")
    read = {first.stages[name].directory for name in ("clean", "dedupe", "keys.near", "measure.signature")}
    assert read <= own_folders(second)
    source = "recipe.source={kind: jsonl, path: " + str(root.parent / "second.jsonl") + "}"

    def refused(run: str, store: Path = root) -> str:
        ended = siku("plan", *RECIPE, source, f"site.store={store}", f"recipe.dedupe.against.before={run}")
        assert ended.code == 2, ended.said[-2000:]
        return ended.said

    assert "recipe.dedupe.against.before='third'" in refused("third") and "there are: first, second" in refused("third")
    assert "no stage 'spilt' to read on from: name one of ['extract', 'clean', 'dedupe']" in refused("first/spilt")
    for stage in ("keys.near", "measure.signature", "source"):
        assert f"no stage '{stage}' to read on from: name one of ['extract', 'clean', " in refused(f"first/{stage}")
    shutil.copytree(root, tmp_path / "store")
    shutil.rmtree(tmp_path / "store" / first.stages["dedupe"].directory.relative_to(root))
    assert "dedupe.before.dedupe stands for: repeat the run first" in refused("first", tmp_path / "store")


def test_verdicts_before_the_last_edit_hold_for_who_reads_on(runs: tuple[Path, Ended]) -> None:
    """An edit is not made of the verdicts before it; documents that they dropped are dropped all the same."""
    root, _ = runs
    source = "recipe.source={kind: jsonl, path: " + str(root.parent / "first.jsonl") + "}"
    late = "recipe.late={kind: edit, input: dedupe, edits: {mask: {edit: mask, order: 1}}}"
    ok("run", *RECIPE, source, late, f"site.store={root}", "run.name=late")
    (lost,) = told(open_run(root, "first"))[1]
    kept = FinishedRun(open_run(root, "late")).documents().table()["record"].to_pylist()
    assert sorted(kept) == sorted(FIRST.keys() - {lost})
    assert open_view(reader(root), "late", "").roles == {"edition": "late", "verdict.00": "dedupe"}
    rows = funnel_rows(open_run(root, "late"))  # the edit rewrote the lost one too: it takes none in again
    assert [row["stage"] for row in rows] == ["extract", "clean", "dedupe"] and rows[-1]["kept"] == len(kept)


def test_a_corpus_has_one_end(runs: tuple[Path, Ended]) -> None:
    """Of two stages that judge or edit and that none reads, neither tells which documents are the corpus."""
    root, _ = runs
    source = "recipe.source={kind: jsonl, path: " + str(root.parent / "first.jsonl") + "}"
    beside = "recipe.beside={kind: edit, input: clean, edits: {mask: {edit: mask, order: 1}}}"
    given = ("plan", *RECIPE, source, beside, f"site.store={root}")
    ended = siku(*given)
    assert ended.code == 2
    assert "recipe.dedupe and recipe.beside are read by no other stage, and each may be the corpus" in ended.said
    assert siku(*given, "run.until=beside").code == 0


def test_a_run_that_has_begun_wants_what_it_reads_of_others(runs: tuple[Path, Ended]) -> None:
    """So that `gc --forget` of that other run leaves it alone."""
    root, _ = runs
    source = "recipe.source={kind: jsonl, path: " + str(root.parent / "second.jsonl") + "}"
    plan = make_plan(load([*RECIPE, source, f"site.store={root}", "recipe.dedupe.against.before=first"]))
    stages = open_run(root, "first").stages
    assert {stages[name].directory for name in ("clean", "dedupe")} <= set(plan.folders())


def test_a_recipe_that_keeps_nothing_at_its_own_end_has_failed(runs: tuple[Path, Ended]) -> None:
    """All that it brings is in the finished run. Its record stays; an end that was asked for is no error."""
    root, _ = runs
    source = "recipe.source={kind: jsonl, path: " + str(root.parent / "first.jsonl") + "}"
    again = ("run", *RECIPE, source, f"site.store={root}", "recipe.dedupe.against.before=first")
    ended = siku(*again, "run.name=nothing")
    (last,) = ended.said.splitlines()[-1:]
    assert ended.code == 1 and "Traceback" not in ended.said
    assert last.startswith(
        "siku: recipe.dedupe: no document is left; dropped: same_capture 5, near_duplicate 1. Loosen"
    )
    assert "same_capture@1 in dedupe" in ok("explain", "--rule", "same_capture", f"site.store={root}").out
    asked = ok(*again, "run.name=asked", "run.until=dedupe")
    assert "no document is left after dedupe" in asked.out
