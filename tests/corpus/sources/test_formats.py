"""Members of the source family beside WARC responses, HTML and JSON lines."""

import bz2
import gzip
import json
import lzma
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

import corpus
from conf.schema import AnyStage
from corpus.configuration import FileRef
from corpus.sources import arxiv, epub, gutenberg, html, jsonl, mediawiki, parquet, reddit, text, warc
from corpus.sources.capture import SourceError
from corpus.sources.jsonl import JsonlSource
from corpus.sources.parquet import ParquetSource
from corpus.sources.source import SOURCES, pieces, read, wanted
from corpus.sources.text import TextSource
from corpus.sources.warc import WarcSource
from tests.corpus.sources.test_warc import BODY, RECORDS, URLS, captures, http, record, summary

HANS, HANT = "汉字编码有许多种，网页常常不说。", "漢字編碼有許多種，網頁常常不說。"


def zstd(data):
    return pa.compress(data, "zstd", asbytes=True)


PACK = {"": bytes, ".gz": gzip.compress, ".zst": zstd, ".xz": lzma.compress, ".bz2": bz2.compress}


def all_of(source):
    return [capture for piece in pieces(source) for capture in read(source, piece)]


def arc(url, block, kind="text/html", length=None):
    size = len(block) if length is None else length
    return f"{url} 192.0.2.1 20260101000000 {kind} {size}\n".encode() + block + b"\n"


ARC = arc("filedesc://a.arc", b"1 0 Siku\nURL IP-address Archive-date Content-type Archive-length\n", "text/plain")
ARC += arc("http://h.sample/0", http()) + arc("http://h.sample/1", BODY)
ARC += arc("http://h.sample/2", http(status="404 X"))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd], ids=["plain", "gz", "zst"])
def test_arc(tmp_path, pack):
    found = captures(tmp_path, pack(ARC), "a.arc")
    assert summary(found) == ["not_response", *URLS[:2], "http_status"]
    assert [(c.payload, c.content_type) for c in found[1:3]] == [(BODY, "text/html")] * 2
    assert found[1].charset == "utf-8"


def test_arc_members_and_damage(tmp_path):
    bad = arc("http://h.sample/x", b"x", length="abc")
    parts = [ARC, bad, arc("http://h.sample/3", http()), arc("http://h.sample/4", http(), length=10**9)]
    expected = ["not_response", *URLS[:2], "http_status", "corrupt_record", URLS[3], "truncated_record"]
    assert summary(captures(tmp_path, b"".join(parts), "a.arc")) == expected
    parts = [gzip.compress(part) for part in parts]
    assert summary(captures(tmp_path, b"".join(parts), "a.arc.gz")) == expected


@pytest.mark.parametrize("name", ["a.warc.wet.gz", "a.wet", "a.warc.zst"])
def test_wet_records_are_texts(tmp_path, name):
    data = record(None, b"software: x", "warcinfo", content_type="application/warc-fields")
    data += record("http://h.sample/zh", HANS.encode(), "conversion", content_type="text/plain")
    data += record("http://h.sample/pdf", b"%PDF", "conversion", content_type="application/pdf")
    pack = PACK["." + name.rpartition(".")[2]] if name != "a.wet" else bytes
    (tmp_path / name).write_bytes(pack(data))
    found = all_of(WarcSource(path=FileRef(tmp_path)))
    assert summary(found) == ["not_response", "http://h.sample/zh", "not_response"]
    assert (found[1].text, found[1].payload) == (HANS, HANS.encode())


def test_zstd_damage(tmp_path):
    whole = b"".join(zstd(part) for part in RECORDS)
    assert summary(captures(tmp_path, whole, "a.warc.zst")) == URLS
    assert summary(captures(tmp_path, whole[:-30], "a.warc.zst"))[-1] == "truncated_record"
    assert summary(captures(tmp_path, whole + b"junk", "a.warc.zst"))[-1] == "corrupt_record"


@pytest.mark.parametrize("end", PACK)
@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json"])
def test_json_lines_in_every_compression(tmp_path, name, end):
    rows = [{"text": HANS}, {"text": HANT, "url": "http://h.sample/"}, {"other": 1}]
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    path = tmp_path / (name + end)
    path.write_bytes(PACK[end](data))
    found = all_of(JsonlSource(path=FileRef(tmp_path)))
    assert [(c.text, c.error) for c in found] == [(HANS, None), (HANT, None), (None, "missing_text")]
    if end:
        path.write_bytes(PACK[end](data * 2000)[:-9])
        found = all_of(JsonlSource(path=FileRef(tmp_path)))
        assert found[-1].error == "truncated_record"
        assert {c.error for c in found[:-1]} <= {None, "missing_text"}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le"])
def test_json_files_hold_a_list_or_objects(tmp_path, indent, encoding):
    rows = [{"text": HANS, "tags": ["x", {"y": 1}]}, {"text": HANT}, 5]
    path = tmp_path / "a.json"
    path.write_bytes(json.dumps(rows, ensure_ascii=False, indent=indent).encode(encoding))
    found = all_of(JsonlSource(path=FileRef(path)))
    assert [(c.text, c.error) for c in found] == [(HANS, None), (HANT, None), (None, "bad_json")]
    assert found[2].detail == "a int, not an object"
    path.write_bytes(json.dumps(rows[0], ensure_ascii=False, indent=indent).encode(encoding))
    assert [c.text for c in all_of(JsonlSource(path=FileRef(path)))] == [HANS]
    path.write_bytes("\n".join(json.dumps(row, indent=2) for row in rows[:2]).encode(encoding))
    assert [c.text for c in all_of(JsonlSource(path=FileRef(path)))] == [HANS, HANT]


def test_json_files_that_break_off_or_are_too_large(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"text": HANS}, {"text": HANT}], indent=1)[:-12])
    found = all_of(JsonlSource(path=FileRef(path)))
    assert [c.error for c in found] == [None, "bad_json"]
    assert found[1].detail.endswith("characters are left")
    (large,) = all_of(JsonlSource(path=FileRef(path), max_file_bytes=100))
    assert large.error == "too_large" and "max_file_bytes" in large.detail
    path.write_text('[\n{"text": "a"},\n')
    assert [(c.text, c.error) for c in all_of(JsonlSource(path=FileRef(path)))] == [("a", None), (None, "bad_json")]
    path.write_bytes(b"[\n\xff\xff\xff]")
    assert [c.error for c in all_of(JsonlSource(path=FileRef(path)))] == ["bad_unicode"]
    path.write_text("[" * 100_000 + "\n")
    assert [c.error for c in all_of(JsonlSource(path=FileRef(path)))] == ["bad_json"]


TABLE = pa.table(
    {
        "text": [HANS, None, HANT, "d"],
        "url": ["http://h.sample/1", None, None, None],
        "id": [7, 8, None, None],
        "title": ["题", None, None, ""],
        "language": ["zh", None, None, None],
        "author": ["李明", None, None, None],
        "date": pa.array([datetime(2024, 3, 5, 23, tzinfo=UTC), None, None, None], pa.timestamp("ns", "UTC")),
        "meta": [{"a": 1}] * 4,
    }
)


def written(path, table):
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=3)
    elif path.suffix == ".feather":
        feather.write_feather(table, str(path))
    else:  # Hugging Face datasets write the stream format under this name
        opened = pa.ipc.new_stream if path.suffix == ".arrow" else pa.ipc.new_file
        with opened(str(path), table.schema) as writer:
            writer.write_table(table, 3)
    return path


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.feather", "a.ipc"])
def test_rows_of_columnar_files(tmp_path, name):
    path = written(tmp_path / name, TABLE)
    found = all_of(ParquetSource(path=FileRef(tmp_path)))
    assert [(c.url, c.record, c.text, c.error) for c in found] == [
        ("http://h.sample/1", None, HANS, None),
        (None, "8", None, "missing_text"),
        (None, f"{name}@2", HANT, None),
        (None, f"{name}@3", "d", None),
    ]
    assert (found[0].title, found[0].declared_language, found[0].payload) == ("题", "zh", HANS.encode())
    assert (found[0].author, found[0].published) == ("李明", "2024-03-05")
    (other,) = all_of(ParquetSource(path=FileRef(path), text_field="content"))
    assert other.error == "missing_text"
    assert other.detail == "no column 'content' (text_field), but text, url, id, title, language, author, date, meta"
    written(path, TABLE.rename_columns(["content", "link", "key", "title", "language", "author", "date", "meta"]))
    names = {"text_field": "content", "url_field": "link", "id_field": "key"}
    renamed = all_of(ParquetSource(path=FileRef(tmp_path), **names))
    assert [c.detail for c in renamed] == ["", "no field 'content'", "", ""]
    assert renamed[:1] + renamed[2:] == found[:1] + found[2:]


def test_columnar_files_that_are_broken_or_something_else(tmp_path):
    whole = written(tmp_path / "a.parquet", TABLE).read_bytes()
    (tmp_path / "b.parquet").write_bytes(whole[:-40])
    (tmp_path / "c.parquet").write_bytes(b"")
    (tmp_path / "d.parquet").write_bytes(gzip.compress(whole))
    (tmp_path / "e.arrow").write_bytes(written(tmp_path / "x.arrow", TABLE).read_bytes()[:300])
    (tmp_path / "x.arrow").unlink()
    (tmp_path / "dataset_info.json").write_text("{}")
    found = all_of(ParquetSource(path=FileRef(tmp_path)))
    assert {c.record: c.error for c in found if c.error and c.error != "missing_text"} == {
        "b.parquet@0": "corrupt_record",
        "c.parquet@0": "corrupt_record",
        "d.parquet": "wrong_type",
        "dataset_info.json": "unknown_file",
        "e.arrow@0": "corrupt_record",
    }


@pytest.mark.parametrize("name", ["rows.parquet", "rows.jsonl"])
def test_parquet_given_to_json_lines_is_refused_by_name_and_by_magic(tmp_path, name):
    pq.write_table(TABLE, tmp_path / name)
    with pytest.raises(SourceError, match=rf"{name} begins as Parquet: source=jsonl reads \*\.jsonl"):
        pieces(JsonlSource(path=FileRef(tmp_path / name)))
    (tmp_path / "good.jsonl").write_text('{"text": "a"}\n')
    found = {c.record: c for c in all_of(JsonlSource(path=FileRef(tmp_path)))}
    assert found[name].error == ("unknown_file" if name.endswith("parquet") else "wrong_type")
    assert "source=jsonl reads *.jsonl" in found[name].detail
    assert found["good.jsonl@0"].text == "a"


@pytest.mark.parametrize("end", PACK)
def test_plain_text_and_markdown(tmp_path, end):
    for name, data in {
        "a.txt": HANS.encode("gbk") * 4,
        "b.txt": HANT.encode("big5") * 4,
        "c.md": f"# {HANS}\n\n```python\nx = 1\n```\n".encode(),
        "子/d.txt": b"\xff\xfe" + HANS.encode("utf-16-le"),
        "e.markdown": b"",
        "f.txt": bytes(4000),
    }.items():
        path = tmp_path / (name + end)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(PACK[end](data))
    (tmp_path / "g.pdf").write_bytes(b"%PDF-1.4")
    found = {c.record.removesuffix(end): c for c in all_of(TextSource(path=FileRef(tmp_path), language="zh"))}
    texts = {name: c.text for name, c in found.items() if c.error is None}
    assert texts == {
        "a.txt": HANS * 4,
        "b.txt": HANT * 4,
        "c.md": f"# {HANS}\n\n```python\nx = 1\n```\n",
        "e.markdown": "",
        "子/d.txt": HANS,
    }
    assert {name: c.error for name, c in found.items() if c.error} == {"f.txt": "undecodable", "g.pdf": "unknown_file"}
    assert {c.content_type for c in found.values()} == {"text/plain", "text/markdown", None}
    assert found["a.txt"].payload == HANS.encode("gbk") * 4


def test_text_limits_and_damage(tmp_path):
    (tmp_path / "a.txt").write_text("x" * 101)
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"y" * 5000)[:-9])
    found = all_of(TextSource(path=FileRef(tmp_path), max_bytes=100))
    assert [(c.record, c.error) for c in found] == [("a.txt", "too_large"), ("b.txt.gz", "too_large")]
    found = all_of(TextSource(path=FileRef(tmp_path), charset="utf-8"))
    assert [(c.record, c.error) for c in found] == [("a.txt", None), ("b.txt.gz", "truncated_record")]


KINDS = {"warc": "*.warc", "html": "*.html", "jsonl": "*.jsonl", "parquet": "*.parquet", "text": "*.txt"}
KINDS |= {"mediawiki": "*.xml", "gutenberg": "*.txt", "epub": "*.epub", "arxiv": "*.tar", "reddit": "*.zst"}
KINDS |= {"code": "*.py", "news": "*.warc"}


def test_every_member_is_tested():
    assert {"crawl", *KINDS} == {source.__dataclass_fields__["kind"].default for source in SOURCES}


@pytest.mark.parametrize("kind", KINDS)
def test_every_member_says_what_it_reads(tmp_path, kind):
    source = TypeAdapter(AnyStage).validate_python({"kind": kind, "path": str(tmp_path)})
    with pytest.raises(SourceError, match="holds no file") as raised:
        pieces(source)
    assert KINDS[kind] in str(raised.value)
    assert wanted(source)
    with pytest.raises(FileNotFoundError, match="missing"):
        pieces(TypeAdapter(AnyStage).validate_python({"kind": kind, "path": str(tmp_path / "missing")}))


def test_the_field_that_was_looked_for_is_named():
    assert (
        wanted(JsonlSource(path=FileRef("x"), text_field="content")) == "a string in the field 'content' (text_field)"
    )
    crawl = TypeAdapter(AnyStage).validate_python({"kind": "crawl", "seeds": ["http://h.sample/"]})
    assert wanted(crawl) == "pages with text"


# Those of `code` are too many for a page, those of `news` are those of `warc`.
FORMATS = (arxiv, epub, gutenberg, html, jsonl, mediawiki, parquet, reddit, text, warc)


def test_every_suffix_is_documented():
    page = (Path(corpus.__file__).parents[1] / "docs" / "sources.md").read_text(encoding="utf-8")
    for form in (module.FORMAT for module in FORMATS):
        row = next(line for line in page.splitlines() if line.startswith(f"| `{form.kind}` |"))
        plain = {end for end in form.suffixes if end.count(".") == 1}
        assert {end for end in plain if f"`{end}`" not in row} == set()
