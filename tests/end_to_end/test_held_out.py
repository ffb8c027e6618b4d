"""What is planted of held-out documents never reaches training, and says why."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpus.document import canonical_url, key_prefix
from corpus.sample.server import ARCHIVE, load
from pipelines.past.history import History
from pipelines.stages.shard import HELD_OUT, TRAIN
from tests.end_to_end.support import Built, ok, reasons, trained_ids, write_jsonl

LANGUAGES = ("zh", "en")
SHAPES = ("copy", "edit", "edit in places", "edit by sentences", "container")
PER_SHAPE = 3
Planted = tuple[History, History, dict[str, dict[str, str]]]  # runs without and with plants; plants by URL


def parts(text: str) -> list[str]:
    """Sentences, each with what ends it."""
    out, start = [], 0
    for index, character in enumerate(text):
        if character in "。！？\n" or (character == " " and text[index - 1 : index] in (".", "!", "?")):
            out.append(text[start : index + 1])
            start = index + 1
    return [*out, text[start:]] if text[start:] else out


def replaced(text: str, other: list[str]) -> str:
    """60 % of a text's characters in one piece give way to other sentences, as long or longer."""
    keep = len(text) * 4 // 10
    return text[: keep // 2] + "\n" + filler(other, len(text) - keep) + "\n" + text[-(keep - keep // 2) :]


def replaced_in_places(text: str, other: list[str]) -> str:
    """60 % of a text's characters in three places give way to others: what is left are two fifths, apart."""
    fifth = len(text) // 5
    stream = filler(other, len(text))
    kept = (text[fifth : 2 * fifth], text[3 * fifth : 4 * fifth])
    return "\n".join([stream[:fifth], kept[0], stream[fifth : 2 * fifth], kept[1], stream[2 * fifth : 3 * fifth]])


def replaced_by_sentences(text: str, other: list[str]) -> str:
    """Three sentences of every five give way to others as long: few long shingles are left whole."""
    stream, out = filler(other, len(text)), []
    for index, part in enumerate(parts(text)):
        replaced_part, stream = stream[: len(part) - 1] + part[-1:], stream[len(part) - 1 :]
        out.append(part if index % 5 in (0, 2) else replaced_part)
    return "".join(out)


def filler(other: list[str], length: int) -> str:
    """Sentences of other documents, `length` characters or more."""
    out = ""
    for sentence in other:
        out += sentence
        if len(out) >= length:
            return out
    raise ValueError(f"the other documents hold {len(out)} characters, not {length}")


def documents(history: History) -> Iterator[dict[str, object]]:
    """Every document of a run with its language, side and group."""
    lineage = history.lineage
    assert lineage.split is not None
    for name in history.artifact(lineage.editions[-1]).names("documents"):
        number = name.rpartition("-")[2]
        rows = history.artifact(lineage.editions[-1]).table(name, ["id", "url", "text"]).to_pylist()
        sides = history.artifact(lineage.split).table(f"sides-{number}", ["group", "side"]).to_pylist()
        tongues = (
            history.artifact(lineage.measures["language"])
            .table(f"columns-{number}", ["language", "han", "latin"])
            .to_pylist()
        )
        for row, side, tongue in zip(rows, sides, tongues, strict=True):
            yield {**row, **side, **tongue}


def url_after(group: bytes, stem: str, host: str = "mirror.sample") -> str:
    """A URL whose document sorts after a group's smallest id: what joins the group must not move its side."""
    urls = (f"http://{host}/{stem}-{number}.html" for number in itertools.count())
    return next(url for url in urls if key_prefix(canonical_url(url)) > group[:8])


def planted(held: list[dict[str, object]], other: list[str], language: str) -> dict[str, dict[str, str]]:
    """Rows to plant by (shape, URL of the held-out document)."""
    out = {}
    for index, document in enumerate(held[:PER_SHAPE]):
        text, group = str(document["text"]), document["group"]
        assert isinstance(group, bytes)
        mine = other[index * len(other) // PER_SHAPE : (index + 1) * len(other) // PER_SHAPE]
        made = {
            "copy": text,
            "edit": replaced(text, mine),
            "edit in places": replaced_in_places(text, mine),
            "edit by sentences": replaced_by_sentences(text, mine),
            "container": filler(mine, len(text) * 3 // 2) + "\n" + text + "\n" + filler(mine[::-1], len(text) * 3 // 2),
        }
        for shape, body in made.items():
            url = url_after(group, f"{language}-{shape.replace(' ', '-')}-{index}")
            out[url] = {"url": url, "text": body, "shape": shape, "of": str(document["url"])}
    return out


@pytest.fixture(scope="module")
def plants(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """A run over a part of the sample's texts, and one over the same with plants among them."""
    folder = tmp_path_factory.mktemp("planted")
    everything = sorted(documents(built.history("built")), key=lambda row: str(row["url"]))
    inside = [row for row in everything if "/text/shared/" not in str(row["url"])]
    outside = [row for row in everything if "/text/shared/" in str(row["url"])]
    rows = [{"url": row["url"], "text": row["text"]} for row in inside]
    histories: list[History] = []
    extra: dict[str, dict[str, str]] = {}
    for name in ("clean", "planted"):
        path = write_jsonl(folder / f"{name}.jsonl", [*rows, *extra.values()])
        source = ("source=jsonl", f"recipe.source.path={path}", f"site.store={folder / '.siku'}")
        ended = ok("run", *source, "run.until=tokens", f"run.name={name}")
        histories.append(Built(folder / ".siku", (), ended).history(name))
        if not extra:
            kept = [row for row in documents(histories[0]) if row["side"] == HELD_OUT]
            for language in LANGUAGES:
                script = "han" if language == "zh" else "latin"  # in a mixed text 40 % of characters may be few words
                own = [row for row in kept if row["language"] == language and float(str(row[script])) > 0.7]
                held = [row for row in own if 1500 <= len(str(row["text"]).encode()) <= 6000]
                other = [s for r in outside if r["language"] == language for s in parts(str(r["text"])) if len(s) > 20]
                extra |= planted(sorted(held, key=lambda row: str(row["url"])), other, language)
    return histories[0], histories[1], extra


def test_nothing_planted_reaches_training(plants: Planted) -> None:
    before, after, extra = plants
    found = {str(row["url"]): row for row in documents(after)}
    trained, why = trained_ids(after), reasons(after)
    fates = {}
    for url, plant in extra.items():
        row = found[url]
        assert found[plant["of"]]["side"] != TRAIN, "the plant has moved the document it was made from"
        identifier = row["id"]
        assert isinstance(identifier, bytes)
        fate = why.get(identifier, "TRAINED" if row["side"] == TRAIN else "held out or unfit")
        fates[f"{plant['shape']} {row['language']} {url.rpartition('/')[2]}"] = fate
        assert (identifier in trained) == (fate == "TRAINED")
    print(json.dumps(fates, indent=1))
    assert len(fates) == len(LANGUAGES) * len(SHAPES) * PER_SHAPE
    assert [name for name, fate in fates.items() if fate == "TRAINED"] == []
    for shape in ("edit", "edit in places", "container"):  # a plant may be drawn for the held-out side by itself
        assert sum(fate == "near_held_out" for name, fate in fates.items() if name.startswith(f"{shape} ")) >= PER_SHAPE
    sentences = [fate for name, fate in fates.items() if name.startswith("edit by sentences ")]
    assert "held_out_sentences" in sentences
    assert all(trained_ids(before)) and len(trained) > 300
    store = f"site.store={after.root}"
    dropped = next(url for url in extra if "container" in url and found[url]["id"] in why)
    assert "near_held_out@1, value 1, threshold 0.2" in ok("explain", "--doc", dropped, "--run", "planted", store).out


def test_html_copy_of_a_held_out_page(small: Built, tmp_path: Path) -> None:
    """The same through HTML: a copy of a held-out page beside the site's own pages."""
    history = small.history("small")
    held = min((r for r in documents(history) if r["side"] == HELD_OUT), key=lambda row: str(row["url"]))
    group = held["group"]
    assert isinstance(group, bytes)
    pages = load(ARCHIVE)
    folder = tmp_path / "pages"
    for row in documents(history):
        path = str(row["url"]).removeprefix("http://help.sample/")
        if path in pages:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(pages[path])
    copy = url_after(group, "copy", "help.sample").removeprefix("http://help.sample/")
    body = pages[str(held["url"]).removeprefix("http://help.sample/")]
    (folder / copy).write_bytes(body.replace(b"<body", b"<!-- mirrored --><body"))
    source = ("source=html", f"recipe.source.path={folder}", "recipe.source.base_url=http://help.sample/")
    arguments = [each for each in small.arguments if not each.startswith("site.store")]
    ended = ok("run", *arguments, *source, f"site.store={tmp_path / '.siku'}", "run.until=tokens", "run.name=html")
    after = Built(tmp_path / ".siku", (), ended).history("html")
    found = {str(row["url"]): row for row in documents(after)}
    planted_row = found[f"http://help.sample/{copy}"]
    assert planted_row["id"] not in trained_ids(after)
    assert planted_row["group"] == found[str(held["url"])]["group"]
