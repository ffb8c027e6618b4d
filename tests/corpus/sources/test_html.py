from itertools import pairwise

import pytest

from corpus.configuration import FileRef
from corpus.sources import capture
from corpus.sources.capture import SourceError, group_files
from corpus.sources.html import HtmlSource
from corpus.sources.source import items, read


@pytest.fixture
def folder(tmp_path):
    for name in ("b.html", "子/页 1.htm", "a/c.xhtml", "a/skip.txt", "a/Upper.HTML"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"<p>{name}</p>", "utf-8")
    return tmp_path


def all_of(source):
    return [found for item in items(source) for found in read(source, item)]


def test_files_by_relative_name(folder):
    found = all_of(HtmlSource(path=FileRef(folder), language="zh"))
    assert [c.record for c in found] == ["a/Upper.HTML", "a/c.xhtml", "b.html", "子/页 1.htm"]
    assert [c.content_type for c in found] == ["text/html", "application/xhtml+xml", "text/html", "text/html"]
    assert {(c.url, c.declared_language, c.error) for c in found} == {(None, "zh", None)}
    assert found[3].payload.decode() == "<p>子/页 1.htm</p>"


def test_base_url_names_pages(folder):
    found = all_of(HtmlSource(path=FileRef(folder), base_url="http://h.sample/docs"))
    assert found[3].url == "http://h.sample/docs/%E5%AD%90/%E9%A1%B5%201.htm"
    assert found[3].record is None


def test_one_file_and_no_file(folder, tmp_path):
    assert [c.record for c in all_of(HtmlSource(path=FileRef(folder / "b.html")))] == ["b.html"]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(SourceError, match="holds no file named"):
        items(HtmlSource(path=FileRef(tmp_path / "nothing")))


def test_items_cover_every_file_once(folder, monkeypatch):
    whole = all_of(HtmlSource(path=FileRef(folder)))
    files = capture.files_below(folder, (".html", ".htm", ".xhtml"))
    for most, count in ((1, 4), (40, 2), (1000, 1)):
        groups = group_files(folder, files, most)
        assert len(groups) == count
        assert groups[0].start == 0
        assert all(a.stop == b.start for a, b in pairwise(groups))
        assert groups[-1].stop == len(files)
        assert [c for g in groups for c in read(HtmlSource(path=FileRef(folder)), g)] == whole
    assert all(str(folder) not in item.name for item in items(HtmlSource(path=FileRef(folder))))


def test_unreadable_and_large_files_are_counted(folder, monkeypatch):
    (folder / "b.html").unlink()
    (folder / "b.html").symlink_to("/dev/null")  # no file, so not part of the source
    source = HtmlSource(path=FileRef(folder), max_bytes=18)
    assert [(c.record, c.error) for c in all_of(source)] == [
        ("a/Upper.HTML", "too_large"),
        ("a/c.xhtml", None),
        ("子/页 1.htm", "too_large"),
    ]

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    assert [(c.error, c.detail) for c in all_of(source)][1] == ("unreadable", "Permission denied")
