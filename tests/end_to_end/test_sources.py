"""The same path from other sources: HTML, WARC, JSONL; every record has one fate."""

import itertools
import random
from pathlib import Path

import pytest

from corpus.sample.server import ARCHIVE, load
from tests.end_to_end.support import TINY, Built, fates, ids, ok, pairs_of, siku, write_jsonl

BAD = [
    b"not json",
    b'{"text": "cut off',
    b"[1, 2]",
    b'{"id": "no text"}',
    b'{"id": "number", "text": 7}',
    b'{"id": "surrogate", "text": "\\ud800"}',
    b"\xff\xfe",
]


def sentences(text: str, seed: int, least: int) -> str:
    """Sentences of a text, drawn anew until there are `least` characters."""
    rng, parts = random.Random(seed), [part for part in text.replace("。", "。\n").splitlines() if len(part) > 5]
    out = ""
    while len(out) < least:
        out += rng.choice(parts) + "\n"
    return out


def han(text: str) -> float:
    """Share of Chinese characters."""
    return sum("\u4e00" <= character <= "\u9fff" for character in text) / max(1, len(text))


def texts(built: Built, language: str) -> list[str]:
    """The texts of a built store in one language, longest first."""
    history = built.history(built.root.parent.name.rstrip("0123456789"))
    edition, lineage = history.artifact(history.lineage.editions[-1]), history.lineage
    found = []
    for name in edition.names("documents"):
        tongue = history.artifact(lineage.measures["language"]).table(name.replace("documents", "columns"))["language"]
        pairs = zip(edition.table(name, ["text"])["text"].to_pylist(), tongue.to_pylist(), strict=True)
        found += [text for text, of in pairs if of == language and (han(text) > 0.5) == (language == "zh")]
    return sorted(found, key=len, reverse=True)


def test_a_folder_of_html(tmp_path: Path) -> None:
    pages = pairs_of(load(ARCHIVE), 30)
    for path, page in pages.items():
        file = tmp_path / "pages" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(page)
    (tmp_path / "pages" / "空.html").write_text("<html><title>空</title></html>")
    source = ("source=html", f"recipe.source.path={tmp_path / 'pages'}", "recipe.source.base_url=http://my.site/帮助/")
    ended = ok("run", *TINY, *source, f"site.store={tmp_path / '.siku'}", "run.until=tokens", "run.name=html")
    assert "crawl" not in ended.said
    history = Built(tmp_path / ".siku", (), ended).history("html")
    found = fates(history)
    assert sum(found.values()) == len(pages) + 1 == 61
    assert found["extract empty_text"] == 1 and found["train"] >= 15
    components = history.artifact(history.stages["tokens"]).figures["components"]
    assert {"zh", "en"} <= components.keys()
    key = "http://my.site/%E5%B8%AE%E5%8A%A9/" + min(p for p in pages if p.startswith("zh"))
    for spelling in (key, key.replace("%E5%B8%AE%E5%8A%A9", "帮助")):
        assert key in ok("explain", "--doc", spelling, f"site.store={tmp_path / '.siku'}").out


def test_warcs_of_a_crawl(small: Built, tmp_path: Path) -> None:
    warcs = tmp_path / "warcs"
    warcs.mkdir()
    for path in small.root.glob("crawl/*/*/*/warc/*.warc.gz"):
        (warcs / path.name).write_bytes(path.read_bytes())  # without the index beside them, which no WARC reader takes
    source = ("source=warc", f"recipe.source.path={warcs}")
    ended = ok("run", *TINY, *source, f"site.store={tmp_path / '.siku'}", "run.until=extract", "run.name=warc")
    history, crawled = Built(tmp_path / ".siku", (), ended).history("warc"), small.history("small")
    edition, wanted = (h.artifact(h.lineage.editions[0]) for h in (history, crawled))
    # As a stranger's WARCs they hold more that is no page: requests, metadata, robots.txt.
    assert [edition.files[name].sha256 for name in edition.names("documents")] == [
        wanted.files[name].sha256 for name in wanted.names("documents")
    ]
    assert edition.tally.dropped["not_response"].documents > wanted.tally.kept.documents
    assert edition.tally.kept.documents >= 40


@pytest.mark.parametrize(("share", "code", "fate"), [(1e-9, 0, "train"), (1 - 1e-9, 1, "held_out")])
def test_one_document(small: Built, tmp_path: Path, share: float, code: int, fate: str) -> None:
    """It is trained on, with nothing to measure by; or held out, and then there is nothing to train on."""
    path = write_jsonl(tmp_path / "one.jsonl", [{"text": texts(small, "zh")[0]}])
    source = ("source=jsonl", f"recipe.source.path={path}", f"site.store={tmp_path / '.siku'}")
    overrides = (*TINY, *source, "filters=none", f"recipe.split.held_out={share:.9f}")
    until = "tokens" if fate == "train" else "decontaminate"
    stopped = ok("run", *overrides, f"run.until={until}", "run.name=tokens")
    history = Built(tmp_path / ".siku", (), stopped).history("tokens")
    assert {name: count for name, count in fates(history).items() if count} == {fate: 1}
    ended = siku("run", *overrides, "run.steps=2", "run.name=trained")
    assert ended.code == code and "Traceback" not in ended.said, ended.said[-2000:]
    assert ("no document is left to train on" in ended.said) == (fate == "held_out")
    if fate == "train":
        history = Built(tmp_path / ".siku", (), ended).history("trained")
        assert history.artifact(history.stages["evaluate"]).figures["result"]["languages"] == {}


def test_one_language_without_urls(small: Built, tmp_path: Path) -> None:
    rows = [{"text": sentences(text, 1, 400), "id": number} for number, text in enumerate(texts(small, "zh")[:18])]
    path = write_jsonl(tmp_path / "zh.jsonl", rows, BAD)
    overrides = ("source=jsonl", f"recipe.source.path={path}", "filters=none", "recipe.split.held_out=0.3")
    ended = ok("run", *TINY, *overrides, f"site.store={tmp_path / '.siku'}", "run.steps=2", "run.name=zh")
    history = Built(tmp_path / ".siku", (), ended).history("zh")
    assert sum(fates(history).values()) == len(rows) + len(BAD)
    result = history.artifact(history.stages["evaluate"]).figures["result"]["languages"]
    assert list(result) == ["zh"] and result["zh"]["documents"] >= 1


@pytest.fixture(scope="module")
def many(small: Built, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """100,000 short texts in two scripts, most of them too short for any corpus, and seven lines that are none."""
    folder, rng = tmp_path_factory.mktemp("many"), random.Random(7)
    parts = [
        part
        for language in ("zh", "en")
        for text in texts(small, language)
        for part in text.replace("。", "。\n").splitlines()
        if len(part) > 5
    ]
    rows = [
        {"id": f"r{number}", "text": "\n".join(rng.choices(parts, k=12 if number % 50 == 0 else 2))}
        for number in range(100_000)
    ]
    return write_jsonl(folder / "many.jsonl", rows, BAD), len(rows) + len(BAD)


def test_a_hundred_thousand_documents(many: tuple[Path, int], tmp_path: Path) -> None:
    path, lines = many
    overrides = ("source=jsonl", f"recipe.source.path={path}", f"site.store={tmp_path / '.siku'}", *TINY)
    ended = ok("run", *overrides, "run.until=tokens", "run.name=many", "site.workers=1")
    history = Built(tmp_path / ".siku", (), ended).history("many")
    found = fates(history)
    assert path.read_bytes().count(b"\n") == lines == sum(found.values())
    dead = {name: count for name, count in found.items() if name.startswith("extract ")}
    assert dead == {"extract bad_json": 4, "extract missing_text": 2, "extract bad_unicode": 1}
    assert found["train"] > 100 and found["held_out"] > 100
    born = ids(history, "documents", history.lineage.editions[0]) | ids(history, "dead", history.lineage.editions[0])
    assert len(born) == lines


def test_order_of_lines_and_files_never_shows(many: tuple[Path, int], tmp_path: Path) -> None:
    lines = many[0].read_bytes().splitlines(keepends=True)[:3000]
    hashes = []
    for seed in (1, 2):
        folder = tmp_path / f"order-{seed}"
        folder.mkdir()
        rng = random.Random(seed)
        rng.shuffle(lines)
        cuts = [0, *sorted(rng.sample(range(len(lines)), seed)), len(lines)]
        for number, (start, stop) in enumerate(itertools.pairwise(cuts)):
            (folder / f"{seed}-{number}.jsonl").write_bytes(b"".join(lines[start:stop]))
        overrides = ("source=jsonl", f"recipe.source.path={folder}", f"site.store={folder / '.siku'}")
        ended = ok("run", *TINY, *overrides, "run.until=extract", "run.name=order")
        history = Built(folder / ".siku", (), ended).history("order")
        edition = history.lineage.editions[0]
        hashes.append((ids(history, "documents", edition), history.artifact(edition).tally))
    assert hashes[0][0] == hashes[1][0]
    assert hashes[0][1].kept == hashes[1][1].kept
