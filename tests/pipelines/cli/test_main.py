"""The command line itself: what is read where, and how it ends."""

from importlib.metadata import version

import pytest

from conf.search import ConfigError
from pipelines.cli.commands import out, report_failure
from pipelines.cli.main import parse
from tests.end_to_end.support import siku


def test_overrides_stand_anywhere():
    options = parse(["explain", "a.b=1", "--doc", "http://x/?a=b", "~c.d", "@我的.yaml", "--raw", "e=f"])
    assert options.overrides == ["a.b=1", "~c.d", "@我的.yaml", "e=f"] and options.doc == "http://x/?a=b"
    with pytest.raises(SystemExit):
        parse(["explain", "--doc", "x", "--rule", "y"])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_config_dir_is_read_before_or_after_the_verb(place):
    words = ["config", "model"]
    assert parse([*words[:place], "--config-dir", "mine", *words[place:]]).config_dir == "mine"
    assert parse(words).config_dir == ""


def test_version():
    ended = siku("--version")
    assert ended.code == 0 and ended.out == f"siku {version('siku')}\n"


def test_a_folder_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mini.yaml").write_text(
        "{layers: 1, hidden: 32, sequence_length: 64, attention: {kind: grouped, heads: 2, groups: 1}, "
        "feed_forward: {kind: gated, width: 64}}"
    )
    asked = ("config", "model.hidden", "--set", "model=mini")
    assert "no such choice" in siku(*asked).said
    assert "model.hidden = 32\n" in siku("--config-dir", str(tmp_path), *asked).out
    monkeypatch.setenv("SIKU_CONFIG", str(tmp_path))
    assert "model.hidden = 32\n" in siku(*asked).out
    ended = siku(*asked, "--config-dir", str(tmp_path / "none"))
    assert ended.code == 2 and ended.said == (
        f"siku: --config-dir {tmp_path}/none: no such folder: give one with groups, such as filters/my.yaml\n"
    )
    assert "mini" in siku("completion", "bash").out


def test_what_strangers_wrote_cannot_steer_the_terminal(capsys):
    """S14: a robots.txt's status line, a record's key, a header."""
    assert report_failure(ConfigError("http://a.test: 200 \x1b[31mO\u202eK\nand 中文\x07")) == 2
    out("zh \x9b2J")
    said = capsys.readouterr()
    assert said.err == "siku: http://a.test: 200 ␛[31mO\ufffdK\nand 中文␇\n" and said.out == "zh \ufffd2J\n"
