"""Paragraphs that pages share are cut before the split: an edit that needs the whole corpus, in both scripts."""

from pathlib import Path

from corpus.verdict import count_ids
from pipelines.past.history import open_run
from tests.end_to_end.support import ok, write_jsonl
from tests.pipelines.stages.small import ids_of

LEFT_OUT = ("filter", "detox", "decontaminate", "tokenizer", "tokens", "held_out")
RECIPE = (
    "source=none",
    *(f"~recipe.{name}" for name in LEFT_OUT),
    "recipe.paragraphs={kind: keys, input: clean, keys: {paragraph: {key: paragraph}}}",
    "recipe.unrepeated={kind: dedupe_spans, input: paragraphs, key: paragraph}",
    "recipe.measure.input=unrepeated",
    "recipe.dedupe.input=split",
    "site.workers=1",
)
BOILERPLATE = {
    "zh": "本站所有内容未经书面许可，不得转载、摘编或者以其他方式使用。",
    "zh-Hant": "本站所有內容未經書面許可，不得轉載、摘編或者以其他方式使用。",
    "en": "Nothing on this site may be copied or quoted without our written permission.",
}
OWN = {
    "zh": "第{n}篇文章的第{k}段，讲的是春天里第{m}件有意思的事情。",
    "zh-Hant": "第{n}篇文章的第{k}段，講的是春天裡第{m}件有意思的事情。",
    "en": "Paragraph {k} of article {n} tells of interesting thing number {m} that happened.",
}


def pages() -> dict[str, list[str]]:
    """Lines of each page, by record. Each script's own line stands in three pages, and in one of them twice."""
    out = {}
    for script, shared in BOILERPLATE.items():
        for n in range(3):
            own = [OWN[script].format(n=n, k=k, m=(n + 2) * (k + 3) * 37) for k in range(6)]
            out[f"{script} {n}"] = [*own[:3], shared, *own[3:], *([shared] if n == 1 else []), "短 short"]
    return out


def test_shared_paragraphs_are_cut_before_the_split(tmp_path: Path) -> None:
    written = pages()
    lines = write_jsonl(
        tmp_path / "pages.jsonl", [{"id": key, "text": "\n".join(each)} for key, each in written.items()]
    )
    source = "recipe.source={kind: jsonl, path: " + str(lines) + "}"
    ok("run", *RECIPE, source, f"site.store={tmp_path}/store", "run.name=cut", "run.until=dedupe")
    history = open_run(tmp_path / "store", "cut")
    edition = history.artifact(history.stages["unrepeated"])
    rows = [row for name in edition.names("documents") for row in edition.table(name).to_pylist()]
    ids = {row["record"]: row["id"] for row in rows}
    texts, seen, spans = {}, set(), []
    for record in sorted(ids, key=ids.__getitem__):
        kept, at = [], 0
        for line in written[record]:
            if line in seen and line in BOILERPLATE.values():
                spans.append((record, at, at + len(line.encode()) + 1))
            else:
                kept.append(line)
            seen.add(line)
            at += len(line.encode()) + 1
        texts[record] = "\n".join(kept)
    assert {row["record"]: row["text"] for row in rows} == texts and len(spans) == 9
    names = {identifier: record for record, identifier in ids.items()}
    changes = [row for name in edition.names("edits") for row in edition.table(name).to_pylist()]
    assert sorted((names[row["id"]], row["start"], row["stop"]) for row in changes) == sorted(spans)
    assert {(row["edit"], row["reason"]) for row in changes} == {("paragraph@1", "repeated_paragraph")}
    everyone, gone = count_ids(ids_of([{"id": each} for each in ids.values()])), sum(b - a for _, a, b in spans)
    assert edition.tally.came == edition.tally.kept == everyone
    assert edition.tally.removed == {"repeated_paragraph": gone}
    assert (
        edition.tally.bytes_in - gone == edition.tally.bytes_out == sum(len(text.encode()) for text in texts.values())
    )
    # What follows sees the new edition alone.
    split, dedupe = (history.artifact(history.stages[name]) for name in ("split", "dedupe"))
    assert (split.tally.came, split.tally.kept) == (everyone, dedupe.tally.came)
    assert split.figures["edition"] == dedupe.figures["edition"] == edition.digest
    told = ok("explain", "--doc", f"web:{spans[-1][0]}", f"site.store={tmp_path}/store", "--run", "cut").out
    assert f"paragraph@1 repeated_paragraph: {sum(record == spans[-1][0] for record, _, _ in spans)}" in told
