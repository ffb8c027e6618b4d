"""Configuration files that a user broke: one sentence that names the file and the line."""

import pytest

from conf.search import Search
from tests.end_to_end.support import siku

BROKEN = {  # as text: line and what is said of it
    b"# x\nwords: {rule: range, order: 1\nlength: [": "line 3: expected ',' or '}', but got ':': mend the YAML there",
    b"words:\n\trule: range\n": "line 2: found character '\\t' that cannot start any token: mend the YAML there",
    b"a: 1\nb: 2\na: 3\n": "line 3: found duplicate key a: mend the YAML there",
    "a: 1\n名: 值\n".encode("gbk"): "line 2: not UTF-8 (byte 0xc3): save the file as UTF-8",
}


@pytest.mark.parametrize(("data", "told"), BROKEN.items())
def test_broken_yaml_is_one_sentence_with_file_and_line(data, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "filters").mkdir()
    for path in ("filters/mine.yaml", "more.yaml"):
        (tmp_path / path).write_bytes(data)
    place = f"{tmp_path}/filters/mine.yaml, {told}\n"
    for words in (("plan", "filters=mine"), ("config", "filters", "--set", "filters=mine")):
        ended = siku("--config-dir", str(tmp_path), *words)
        assert (ended.code, ended.out, ended.said) == (2, "", f"siku: {place}")
    ended = siku("plan", "@more.yaml")
    assert (ended.code, ended.said) == (2, f"siku: @more.yaml: {tmp_path}/more.yaml, {told}\n")
    assert Search(tmp_path).groups()["filters"][-1] == "mine"  # and no other choice is in its way
    assert siku("--config-dir", str(tmp_path), "config", "filters", "--set", "filters=gopher").code == 0


@pytest.mark.parametrize("text", ["", "- a\n- b\n"])
def test_a_file_of_a_group_is_a_mapping(text, tmp_path):
    (tmp_path / "filters").mkdir()
    (tmp_path / "filters" / "mine.yaml").write_text(text)
    ended = siku("--config-dir", str(tmp_path), "plan", "filters=mine")
    assert ended.code == 2 and ended.said.startswith(f"siku: {tmp_path}/filters/mine.yaml holds no mapping: ")
