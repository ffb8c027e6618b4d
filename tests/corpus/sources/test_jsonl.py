import gzip
import io
import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.configuration import FileRef
from corpus.sources import jsonl
from corpus.sources.jsonl import JsonlSource
from corpus.sources.source import pieces, read


def source_of(path, **kwargs):
    return JsonlSource(path=FileRef(path), **kwargs)


def all_of(source):
    return [capture for piece in pieces(source) for capture in read(source, piece)]


def written(tmp_path, lines, name="a.jsonl"):
    data = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    path = tmp_path / name
    if name.endswith(".gz"):
        data = gzip.compress(data)
    elif name.endswith(".zst"):
        sink = io.BytesIO()
        with pa.CompressedOutputStream(pa.PythonFile(sink), "zstd") as stream:
            stream.write(data)
            stream.flush()
            data = b""
            stream.close()
        data = sink.getvalue() if not sink.closed else data
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_fields(tmp_path, name):
    lines = [
        {"text": "一行 one", "url": "http://h.sample/1", "id": "x", "title": "题", "language": "zh"},
        {"text": "two", "id": 7, "author": ["Ada", "李明"], "date": "2024-03-05T08:00"},
        {"text": "three"},
    ]
    found = all_of(source_of(written(tmp_path, lines, name)))
    assert [(c.url, c.record, c.text, c.title, c.declared_language, c.error) for c in found] == [
        ("http://h.sample/1", None, "一行 one", "题", "zh", None),
        (None, "7", "two", None, None, None),
        (None, f"{name}@{len(json.dumps(lines[0])) + len(json.dumps(lines[1])) + 2}", "three", None, None, None),
    ]
    assert found[0].payload == "一行 one".encode()
    assert [(c.author, c.published) for c in found] == [(None, None), ("Ada, 李明", "2024-03-05"), (None, None)]


def test_zstd(tmp_path):
    path = tmp_path / "a.jsonl.zst"
    with pa.OSFile(str(path), "wb") as file, pa.CompressedOutputStream(file, "zstd") as out:
        out.write(b'{"text": "one"}\n{"text": "\xe4\xba\x8c"}\n')
    assert [c.text for c in all_of(source_of(path))] == ["one", "二"]
    path.write_bytes(path.read_bytes()[:-6])
    assert [c.error for c in all_of(source_of(path))][-1] == "truncated_record"


def test_bad_lines_have_reasons(tmp_path):
    lines = [
        b"{not json",
        b"",
        b"   ",
        b'"a string"',
        b"\xff\xfe",
        b"[" * 100_000,
        {"other": 1},
        {"text": None},
        {"text": 5},
        {"text": ["a"]},
        b'{"text": "\\ud800"}',
        b'{"text": "ok", "id": "\\udfff"}',
        {"text": ""},
    ]
    found = all_of(source_of(written(tmp_path, lines)))
    assert [c.error for c in found] == [
        *["bad_json"] * 4,
        *["missing_text"] * 4,
        "bad_unicode",
        None,
        None,
    ]
    assert found[4].detail == "no field 'text'"
    assert found[6].detail == "a int in field 'text'"
    assert found[9].record == "\\udfff"
    assert all((c.url is None) != (c.record is None) for c in found)


def test_named_fields(tmp_path):
    path = written(tmp_path, [{"content": "正文", "link": "http://h.sample/", "text": "no"}])
    (found,) = all_of(source_of(path, text_field="content", url_field="link"))
    assert (found.text, found.url) == ("正文", "http://h.sample/")


@settings(deadline=None, max_examples=60)
@given(
    lines=st.lists(st.text(max_size=12), max_size=30),
    size=st.integers(1, 60),
    ending=st.sampled_from([b"", b"\n", b"\n\n"]),
)
def test_ranges_split_on_lines_and_lose_none(tmp_path_factory, lines, size, ending):
    data = b"\n".join(json.dumps({"text": t}, ensure_ascii=False).encode() for t in lines) + ending
    path = tmp_path_factory.mktemp("j") / "a.jsonl"
    path.write_bytes(data)
    whole = all_of(source_of(path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonl, "RANGE", size)
        assert sum(piece.bytes for piece in pieces(source_of(path))) == len(data)
        assert all_of(source_of(path)) == whole
    assert [c.text for c in whole] == lines


def test_lines_over_the_limit(tmp_path):
    lines = [{"text": "a"}, {"text": "长" * 5000}, {"text": "b"}]
    found = all_of(source_of(written(tmp_path, lines), max_bytes=1000))
    assert [c.error or c.text for c in found] == ["a", "too_large", "b"]


def test_truncated_gzip(tmp_path):
    path = written(tmp_path, [{"text": str(n) * 50} for n in range(2000)], "a.jsonl.gz")
    path.write_bytes(path.read_bytes()[:-2000])
    found = all_of(source_of(path))
    assert found[-1].error == "truncated_record"
    assert [c.text for c in found[:-2]] == [str(n) * 50 for n in range(len(found) - 2)]


def test_folders_are_read_in_name_order(tmp_path):
    written(tmp_path, [{"text": "b"}], "b.jsonl")
    written(tmp_path, [{"text": "a"}], "a.jsonl.gz")
    (tmp_path / "empty.jsonl").touch()
    source = source_of(tmp_path)
    assert [piece.name.partition("@")[0] for piece in pieces(source)] == ["a.jsonl.gz", "b.jsonl", "empty.jsonl"]
    assert [(c.text, c.record) for c in all_of(source)] == [("a", "a.jsonl.gz@0"), ("b", "b.jsonl@0")]
