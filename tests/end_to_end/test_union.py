"""Several sources in one recipe: joined by reference, every document accounted for, each with its source."""

from collections import Counter
from pathlib import Path

import pytest

from corpus.document import canonical_url
from corpus.sample.server import ARCHIVE, load
from corpus.verdict import Count, Tally
from pipelines.past.history import History
from tests.end_to_end.support import TINY, Built, ok, pairs_of, siku, texts_by_url, write_jsonl
from tests.pages import table_rows

RECIPE = ("recipe=mixed", "source=none", "recipe.split.held_out=0.3", "filters=none")


@pytest.fixture(scope="module")
def mixed(small: Built, site: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, tuple[str, ...]]:
    """A crawl, a folder with two of the crawled pages and two others, and JSON lines with a crawled page's text."""
    root = tmp_path_factory.mktemp("mixed")
    pages = pairs_of(load(ARCHIVE), 22)
    chosen = [*list(pages)[:2], *list(pages)[-2:]]  # the first pair is on the crawled site, the last is not
    for path in chosen:
        file = root / "pages" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pages[path])
    history = small.history("small")
    texts = texts_by_url(history)
    rows = [
        {"text": f"{text}\n{text[:200]} {number}", "id": f"r{number}"} for number, text in enumerate(texts.values())
    ]
    copied = texts[canonical_url(f"http://help.sample/{list(pages)[4]}")]
    write_jsonl(root / "texts.jsonl", [*rows[:12], {"text": copied, "id": "copy"}])
    arguments = (
        *TINY,
        *RECIPE,
        f"site.store={small.root}",
        f"site.hosts.sample.serve={site}",
        'recipe.site.seeds=["http://help.sample/"]',
        f"recipe.site.paths={_paths(small)}",
        f"recipe.pages.path={root / 'pages'}",
        "recipe.pages.base_url=http://help.sample/",
        "recipe.pages_extract.licence=MPL-2.0",
        f"recipe.texts.path={root / 'texts.jsonl'}",
    )
    ended = ok("run", *arguments, "run.until=tokens", "run.name=mixed")
    return Built(small.root, arguments, ended), tuple(chosen)


def _paths(small: Built) -> str:
    paths = small.history("small").record["config"]["recipe"]["source"]["paths"]
    return "[" + ",".join(paths) + "]"


def _tally(history: History, name: str) -> Tally:
    return history.artifact(history.stages[name]).tally


def test_every_document_of_every_source_is_accounted_for(mixed: tuple[Built, tuple[str, ...]]) -> None:
    history = mixed[0].history("mixed")
    extracted = {part: _tally(history, f"{part}_extract").kept for part in ("pages", "site", "texts")}
    union = _tally(history, "union")
    assert union.came == sum(extracted.values(), Count())
    # Two pages of the folder are the crawled ones, byte for byte: the first part by name keeps them.
    assert {reason: count.documents for reason, count in union.dropped.items()} == {"same_capture": 2}
    assert union.kept + union.dropped["same_capture"] == union.came
    assert _tally(history, "split").came == union.kept
    joined = history.artifact(history.stages["union"])
    assert joined.figures["parts"].keys() == {"pages", "site", "texts"}
    shards = [n for n in joined.files if n.startswith("documents-")]
    assert all(joined.files[name].file.startswith("..") for name in shards)  # nothing is copied
    assert sum(joined.files[name].rows for name in shards) == union.came.documents


def test_sources_go_with_their_documents(mixed: tuple[Built, tuple[str, ...]], small: Built) -> None:
    history = mixed[0].history("mixed")
    edition, tokens = history.artifact(history.stages["union"]), history.artifact(history.stages["tokens"])
    sources = Counter(s for n in edition.names("documents") for s in edition.table(n, ["source"])["source"].to_pylist())
    assert sources["texts"] == 13 and sources["pages"] == 4
    assert {name.partition(".")[0] for name in tokens.figures["components"]} == {"pages", "site", "texts"}
    assert history.artifact(history.stages["pages_extract"]).figures == {"source": "pages", "licence": "MPL-2.0"}
    page = (small.root / "runs" / "mixed" / "report.html").read_text()
    rows = [row[:2] for row in table_rows(page)]
    assert ["pages", "MPL-2.0"] in rows and ["texts", "not told"] in rows
    # A text that the crawl has too stands on the side of its twin, and of the two one is kept at most.
    twins = ("texts:copy", f"http://help.sample/{list(pairs_of(load(ARCHIVE), 22))[4]}")
    told = [ok("explain", "--doc", key, f"site.store={small.root}", "--run", "mixed").out for key in twins]
    assert ["part      texts of union" in told[0], "part      site of union" in told[1]] == [True, True], told
    assert sum("  kept " in each for each in told) <= 1 and any("duplicate of" in each for each in told), told
    sides = [line.partition(" of ")[0].rstrip(")") for each in told for line in each.splitlines() if "  side " in line]
    assert len(sides) == 2 and len(set(sides)) == 1


def test_a_page_of_two_parts_is_told_of_twice(mixed: tuple[Built, tuple[str, ...]], small: Built) -> None:
    _, chosen = mixed
    told = ok("explain", "--doc", f"http://help.sample/{chosen[0]}", f"site.store={small.root}", "--run", "mixed").out
    assert "part      pages of union" in told and "part      site of union" in told
    assert told.count("dropped   by union: same_capture@1") == 1
    assert "dropped before the split" in told


def test_another_source_leaves_the_chains_of_the_others(mixed: tuple[Built, tuple[str, ...]], tmp_path: Path) -> None:
    built, _ = mixed
    more = write_jsonl(tmp_path / "more.jsonl", [{"text": "另一个来源的文字，与别的不同。" * 40, "id": 1}])
    added = (
        "recipe.more={kind: jsonl, path: " + str(more) + "}",
        "recipe.more_extract={kind: extract, input: more, source: more}",
        "recipe.union.parts.more=more_measure",
        "recipe.more_measure={kind: measure, input: more_extract, measures: {language: {measure: language}, "
        "length: {measure: length}, signature: {measure: signature}, exact: {measure: exact}, "
        "toxicity: {measure: toxicity}}}",
    )
    ended = ok("run", *built.arguments, *added, "run.until=split", "run.name=more")
    assert not {"site_extract", "pages_clean", "texts_clean", "site_measure.signature"} & set(ended.made)
    assert {"union", "split"} <= set(ended.made)


def test_a_damaged_part_is_found_through_the_union(mixed: tuple[Built, tuple[str, ...]], tmp_path: Path) -> None:
    copy = mixed[0].copy(tmp_path / "store", "runs")
    history = mixed[0].history("mixed")
    stage = history.stages["texts_clean"]
    (shard,) = (copy.root / stage.directory.relative_to(mixed[0].root)).glob("documents-00000*")
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    ended = siku("run", *copy.arguments, "run.until=split", "recipe.split.salt=other", "run.name=damaged")
    assert ended.code == 1 and str(shard.name) in ended.said, ended.said[-2000:]


def test_a_corpus_without_a_split_or_training(small: Built) -> None:
    """The recipe ends with the tokens of whatever no rule dropped; nothing is trained, and the report says so much."""
    bare = ("~recipe.split", "~recipe.decontaminate", "~recipe.held_out", "recipe.filter.input=keys")
    bare += ("recipe.tokenizer.input=measure", "recipe.tokens.input=dedupe", "run.name=bare")
    ended = ok("run", *[each for each in small.arguments if "split" not in each], *bare)
    history = small.history("bare")
    assert "train" not in history.stages and history.lineage.split is None and "clean" in ended.reused
    kept = _tally(history, "dedupe").kept
    assert _tally(history, "tokens").came == _tally(history, "tokens").kept == kept
    extracted = _tally(history, "extract").kept.documents
    gone = sum(sum(c.documents for c in _tally(history, s).dropped.values()) for s in ("filter", "detox", "dedupe"))
    assert kept.documents + gone == extracted and kept.documents > 0
    page = (small.root / "runs" / "bare" / "report.html").read_text()
    assert ["web", "not told", f"{extracted}", f"{kept.documents}"] in [row[:4] for row in table_rows(page)]
