import os

import pytest

from corpus.configuration import FileRef
from corpus.sources.capture import SourceError
from corpus.sources.files import grouped, listed
from corpus.sources.html import FORMAT, HtmlSource
from corpus.sources.source import pieces, read


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "site"
    for name in ("b.html", "子/页 1.htm", "a/c.xhtml", "a/notes.pages", "a/Upper.HTML"):
        path = root / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(f"<p>{name}</p>", "utf-8")
    return root


def all_of(source):
    return [found for piece in pieces(source) for found in read(source, piece)]


def reasons(source):
    return [(c.record, c.error) for c in all_of(source)]


def test_files_by_relative_name(folder):
    found = all_of(HtmlSource(path=FileRef(folder), language="zh"))
    assert [(c.record, c.error) for c in found] == [
        ("a/Upper.HTML", None),
        ("a/c.xhtml", None),
        ("a/notes.pages", "unknown_file"),
        ("b.html", None),
        ("子/页 1.htm", None),
    ]
    assert found[2].detail == "source=html reads *.html, *.htm, *.xhtml"
    found.pop(2)
    assert [c.content_type for c in found] == ["text/html", "application/xhtml+xml", "text/html", "text/html"]
    assert {(c.url, c.declared_language) for c in found} == {(None, "zh")}
    assert found[3].payload.decode() == "<p>子/页 1.htm</p>"


def test_base_url_names_pages(folder):
    found = all_of(HtmlSource(path=FileRef(folder), base_url="http://h.sample/docs"))
    assert found[4].url == "http://h.sample/docs/%E5%AD%90/%E9%A1%B5%201.htm"
    assert found[4].record is None


def test_one_file_and_no_file(folder, tmp_path):
    assert reasons(HtmlSource(path=FileRef(folder / "b.html"))) == [("b.html", None)]
    assert reasons(HtmlSource(path=FileRef(folder / "a/notes.pages"))) == [("notes.pages", None)]  # named outright
    (tmp_path / "nothing").mkdir()
    with pytest.raises(SourceError, match=r"holds no file named \*\.html.* and no other file"):
        pieces(HtmlSource(path=FileRef(tmp_path / "nothing")))
    (tmp_path / "nothing/a.parquet").write_bytes(b"PAR1")
    with pytest.raises(SourceError, match=r"but 'a\.parquet' \(unknown_file\) for one: source=html reads"):
        pieces(HtmlSource(path=FileRef(tmp_path / "nothing")))


def test_items_cover_every_file_once(folder):
    source = HtmlSource(path=FileRef(folder))
    whole, entries = all_of(source), listed(folder, FORMAT)
    for most, count in ((1, 5), (40, 2), (1000, 1)):
        groups = grouped(folder, entries, most)
        assert len(groups) == count
        assert [entry for group in groups for entry in group.entries] == entries
        assert [c for g in groups for c in read(source, g)] == whole
    assert all(str(folder) not in piece.name for piece in pieces(source))


def test_unreadable_and_large_files_have_their_reason(folder, monkeypatch):
    source = HtmlSource(path=FileRef(folder), max_bytes=18)
    assert reasons(source) == [
        ("a/Upper.HTML", "too_large"),
        ("a/c.xhtml", None),
        ("a/notes.pages", "unknown_file"),
        ("b.html", None),
        ("子/页 1.htm", "too_large"),
    ]

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    assert [(c.error, c.detail) for c in all_of(source)][1] == ("unreadable", "Permission denied")


def test_links_are_followed_within_the_source_and_no_further(folder, tmp_path):
    (tmp_path / "secret.html").write_text("<p>secret</p>")
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside/x.html").write_text("<p>secret</p>")
    (folder / "inside.html").symlink_to("a/c.xhtml")
    (folder / "inside").symlink_to("a")
    (folder / "out.html").symlink_to(tmp_path / "secret.html")
    (folder / "passwd.html").symlink_to("/etc/passwd")
    (folder / "twice.html").symlink_to("out.html")
    (folder / "beside").symlink_to("../beside")
    (folder / "gone.html").symlink_to("nowhere")
    (folder / "loop.html").symlink_to("loop.html")
    os.mkfifo(folder / "pipe.html")
    (folder / ".git").mkdir()
    (folder / ".git/x.html").write_text("hidden")
    (folder / ".x.html").write_text("hidden")
    source = HtmlSource(path=FileRef(folder))
    found = {c.record: c for c in all_of(source)}
    assert {name: c.error for name, c in found.items() if c.error} == {
        "a/notes.pages": "unknown_file",
        "beside": "link_outside",
        "gone.html": "unreadable",
        "inside": "unknown_file",  # what it leads to is read where it lies
        "loop.html": "unreadable",
        "out.html": "link_outside",
        "passwd.html": "link_outside",
        "pipe.html": "unknown_file",
        "twice.html": "link_outside",
    }
    assert found["inside.html"].payload == found["a/c.xhtml"].payload == b"<p>a/c.xhtml</p>"
    assert not any(b"secret" in c.payload or b"root:" in c.payload for c in found.values())
    assert "/etc/passwd" in found["passwd.html"].detail
    linked = tmp_path / "linked"
    linked.symlink_to(folder)
    assert len(all_of(HtmlSource(path=FileRef(linked)))) == len(found)  # the source itself may be a link


@pytest.mark.parametrize("head", [b"PAR1", b"\x89PNG\r\n", b"%PDF-1.4", b"PK\x03\x04", b"\x1f\x8b\x08\0", b"WARC/1.0"])
def test_files_of_another_type_are_refused_by_name(folder, head):
    (folder / "b.html").write_bytes(head + b"<html>")
    found = {c.record: c for c in all_of(HtmlSource(path=FileRef(folder)))}
    assert found["b.html"].error == "wrong_type"
    assert found["b.html"].detail.startswith("begins as ")
    with pytest.raises(SourceError, match=r"b\.html begins as \w+: source=html reads \*\.html"):
        pieces(HtmlSource(path=FileRef(folder / "b.html")))


def test_names_that_are_no_text(tmp_path):
    (tmp_path / os.fsdecode(b"\xff\xfe.html")).write_bytes(b"<p>x</p>")
    (found,) = all_of(HtmlSource(path=FileRef(tmp_path)))
    assert (found.record, found.payload) == ("\\xff\\xfe.html", b"<p>x</p>")
