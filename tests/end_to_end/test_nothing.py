"""U6: no document is no success, whatever the source, and one sentence says what was looked for."""

import gzip
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.crawling.source import CrawlSource
from pipelines.engine.execute import external, make
from pipelines.engine.runner import Workers
from pipelines.engine.stage import Context, Stage
from pipelines.stages.extract import PROGRAM, ExtractStage, NoDocumentsError
from tests.end_to_end.support import ok, siku, write_jsonl

REQUEST = b"WARC/1.1\r\nWARC-Type: request\r\nWARC-Record-ID: <urn:uuid:1>\r\nContent-Length: 2\r\n\r\nhi\r\n\r\n"
NOTHING = {  # a file without a document, what is looked for, what is found
    "html": ("a.html", b"<html><title>\xe7\xa9\xba</title></html>", "HTML pages with text", "empty_text 1"),
    "warc": (
        "a.warc.gz",
        gzip.compress(REQUEST),
        "records of type response or resource that hold HTML",
        "not_response 1",
    ),
    "jsonl": ("a.jsonl", b'{"body": "x"}\n', "a string in the field 'text' (text_field)", "missing_text 1"),
    "parquet": ("a.parquet", None, "a string in the field 'text' (text_field)", "missing_text 1"),
    "text": ("a.txt", b" \n", "files of text", "empty_text 1"),
}


CRAWL = CrawlSource(seeds=["http://help.sample/"])


@pytest.mark.parametrize("kind", NOTHING)  # the others say it alike: tests/corpus/sources/test_formats.py
def test_files_without_a_document_are_a_mistake(kind, tmp_path):
    name, data, looked_for, found = NOTHING[kind]
    path = tmp_path / name
    if data is None:
        pq.write_table(pa.table({"body": ["x"]}), path)
    else:
        path.write_bytes(data)
    ended = siku("run", f"source={kind}", f"recipe.source.path={path}", f"site.store={tmp_path / 's'}")
    assert ended.code == 1 and not [*(tmp_path / "s" / "runs").glob("*/run.json")]
    last = ended.said.splitlines()[-1]
    assert last.startswith(f"siku: recipe.source.path='{path}' gave no document: looked for {looked_for}"), last
    assert f", found {found}: name other files" in last and "Traceback" not in ended.said


@pytest.mark.parametrize("segments", [0, 1])
def test_a_crawl_without_a_document_is_a_mistake(segments, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.stages.extract.read", lambda source, piece: iter(()))  # robots.txt, say
    (tmp_path / "crawl" / "warc").mkdir(parents=True)
    if segments:
        (tmp_path / "crawl" / "warc" / "a.warc.gz").write_bytes(gzip.compress(b""))
    outcomes = {"unreachable": 2, "fetched": 0}
    snapshot = external("crawl", "0" * 24, tmp_path / "crawl", {"outcomes": outcomes, "segments": segments})
    stage = Stage("extract", "extract", 1, ExtractStage(input="web", source="web"), {}, (), str)
    context = Context("extract", "extract", stage.what, tmp_path / "x", {"source": snapshot}, {"source": CRAWL})
    told = r"^recipe.web gave no document: looked for pages with text, found unreachable 2: .* run.snapshot=new$"
    with pytest.raises(NoDocumentsError, match=told):
        make(replace(PROGRAM, beam=False), [stage], (context,), Workers(), print)


def test_files_that_no_source_reads_are_a_mistake_at_plan(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "笔记.doc").touch()
    where = ("source=html", f"site.store={tmp_path / 's'}")
    for path, told in (("in", "holds no file named *.html, "), ("none", "does not exist")):
        for verb in ("plan", "run"):
            ended = siku(verb, *where, f"recipe.source.path={tmp_path / path}")
            assert ended.code == 2 and ended.said.startswith("siku: recipe.source.path: ") and told in ended.said
            assert ended.said.count("\n") == 1
    assert not (tmp_path / "s" / "extract").exists()


def test_when_all_is_dropped_one_sentence_says_by_what(tmp_path):
    rows = [{"text": f"{words} {n}. 第{n}页，中文的内容。" * 9} for n, words in enumerate(["some plain words"] * 40)]
    source = ("source=jsonl", f"recipe.source.path={write_jsonl(tmp_path / 'a.jsonl', rows)}")
    where = (*source, f"site.store={tmp_path / 's'}", "recipe.tokenizer.vocabulary=300")
    ended = siku("run", *where, "recipe.filter.rules.words.minimum.zh=1e6", "recipe.filter.rules.words.minimum.en=1e6")
    assert ended.code == 1 and "Traceback" not in ended.said
    (last,) = ended.said.splitlines()[-1:]
    assert last.startswith("siku: recipe.tokens: no document is left to train on; dropped before: "), last
    assert "words " in last and last.endswith(
        "run.until=decontaminate and ask `siku explain --rule NAME` how near the thresholds were"
    )
    early = ok("run", *where, "recipe.filter.rules.words.minimum={zh: 1e6, en: 1e6}", "run.until=decontaminate")
    assert "no document is left after filter: `siku explain --rule NAME` tells what a rule drops" in early.out
