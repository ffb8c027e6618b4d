"""`siku explain --doc` of a path as it is typed."""

import pytest

from tests.end_to_end.support import ok, siku, write_jsonl


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two folders of HTML and a file of lines, each explained by its path."""
    folder = tmp_path_factory.mktemp("paths")
    for name in ("手册/第一章.html", "手册/b c.html"):
        page = folder / "site" / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(f"<title>{name}</title><main><p>{name} 的正文，{'一二三四五' * 30}。</p></main>", "utf-8")
    write_jsonl(folder / "a.jsonl", [{"text": "一行文字，" * 20, "id": "r1"}])
    for store, source in (
        ("plain", ("source=html", f"recipe.source.path={folder}/site")),
        ("based", ("source=html", f"recipe.source.path={folder}/site", "recipe.source.base_url=http://a.test/x/")),
        ("lines", ("source=jsonl", f"recipe.source.path={folder}/a.jsonl")),
    ):
        ok("run", *source, f"site.store={folder / store}", "run.until=extract")
    return folder


def explained(folder, store, key):
    ended = siku("explain", "--doc", key, f"site.store={folder / store}")
    return ended.code, (ended.out or ended.said.removeprefix("siku: ")).splitlines()


def test_a_path_is_found_as_typed(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    name = "手册/第一章.html"
    for key in (f"site/{name}", f"./site/{name}", f"{folder}/site/{name}", f"~/site/{name}", name, f"web:{name}"):
        assert explained(folder, "plain", key)[1][0] == f"web:{name}", key
    url = "http://a.test/x/%E6%89%8B%E5%86%8C/b%20c.html"
    for key in ("site/手册/b c.html", "手册/b c.html", f"{folder}/site/手册/b c.html", url):
        assert explained(folder, "based", key)[1][0] == url, key


def test_what_a_path_does_not_tell(folder, monkeypatch):
    monkeypatch.chdir(folder)
    code, lines = explained(folder, "lines", "a.jsonl")
    assert code == 2 and lines[0].startswith("a.jsonl: run extract-") and "has never seen it" in lines[0]
    assert lines[1:] == ["the source web (jsonl) may hold more than one document a file: name one as web:RECORD"]
    for key in ("site/手册/none.html", "../elsewhere.html", "/", ""):
        code, lines = explained(folder, "plain", key)
        assert code == 2 and len(lines) == 1, key
