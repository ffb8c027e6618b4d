"""The worked plug-in, installed as a user installs it: a source, an edit, a measure, a rule and a stage in a run."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.past.history import History, open_run
from tests.end_to_end.support import Ended, apart, environment, ids

PLUGIN = Path(__file__).resolve().parents[1] / "data" / "plugin"
PLANNED = re.compile(r"^(\S+)\s+([0-9a-f]{12})  ", re.M)
MARK = re.compile(r"\[\d+\]|［\d+］|〔十二〕|\[citation needed\]|\[來源請求\]")
SENTENCES = {
    "zh": (
        "今天的天气很好[3]，我们去公园散步。",
        "文档处理器可以插入表格和图片〔十二〕。",
        "请在菜单中选择格式，再点击段落。",
    ),
    "zh-Hant": ("這是一個很長的句子［7］，說明如何設定頁面邊距。", "圖書館收藏了許多古籍[來源請求]。", "請選擇格式。"),
    "en": (
        "The weather was good and we went for a walk[12]. ",
        "You can insert a picture[citation needed]. ",
        "Choose the menu. ",
    ),
}
RECIPE = """
- source=none
- filters=none
- recipe:
    source: {kind: markdown, path: notes}
    clean: {edits: {citations: {edit: citations, order: 15}}}
    measure: {measures: {marks: {measure: marks}}}
    filter: {rules: {shouting: {rule: shouting, order: 90, maximum: {zh: 2.5, other: 1.5}}}}
    thin: {kind: thin, input: filter, keep: {en: 0.6}}
    detox: {input: thin}
    split: {held_out: 0.2}
"""
ONE_RULE = """
- source=jsonl
- filters=none
- recipe.source.path: notes.jsonl
- recipe.measure.measures.marks: {measure: marks}
- recipe.filter.rules.loud: {rule: shouting, order: 1, maximum: {other: 1}}
"""


def note(number: int) -> str:
    """Text of a note: every fifth shouts, three marks a sentence."""
    language = sorted(SENTENCES)[number % 3]
    mark = ("!" if language == "en" else "！") * 3 if number % 5 == 0 else ""
    body = SENTENCES[language] * (3 + number % 4)
    lines = [f"{sentence.rstrip()[:-1]}{mark}" if mark else sentence.rstrip() for sentence in body]
    return f"# 标题 {number}\n\n" + "\n\n".join(f"{number} {line}" for line in lines) + "\n"


def pip(*arguments: str) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with notes, recipes, and the plug-in installed from wheels of two versions and editable."""
    home = tmp_path_factory.mktemp("plugin")
    (home / "notes" / "繁體").mkdir(parents=True)
    for number in range(60):
        (home / "notes" / ("繁體" if number % 2 else "") / f"{number:02d}笔记.md").write_text(note(number), "utf-8")
    (home / "notes" / "bad.md").write_bytes("不是".encode("gbk"))
    (home / "all.yaml").write_text(RECIPE, "utf-8")
    (home / "rule.yaml").write_text(ONE_RULE, "utf-8")
    (home / "notes.jsonl").write_text('{"text": "一"}\n', "utf-8")
    for version in ("0.1", "0.2"):
        source = home / f"source-{version}"
        shutil.copytree(PLUGIN, source)
        project = source / "pyproject.toml"
        project.write_text(project.read_text().replace('version = "0.1"', f'version = "{version}"'))
        pip(str(home / f"site-{version}"), str(source))
    shutil.copytree(PLUGIN, home / "edited")
    pip(str(home / "site-edited"), "-e", str(home / "edited"))
    return home


def command(home: Path, sites: Sequence[str], *arguments: str) -> Ended:
    """`siku` in that folder, as a process, with folders of installed distributions."""
    path = os.pathsep.join(str(home / site) for site in sites)
    return apart(*arguments, cwd=home, PYTHONPATH=path)


def planned(home: Path, *sites: str) -> dict[str, dict[str, str]]:
    """Digests of the stages of both recipes, planned in one process."""
    names = ("all", "rule")
    plans = [f"main(['plan', '@{name}.yaml', {f'site.store={home}/none'!r}]); print('---')" for name in names]
    code = "; ".join(["from pipelines.cli.main import main", *plans])
    path = os.pathsep.join(str(home / site) for site in sites)
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=home, env=environment(PYTHONPATH=path), capture_output=True, text=True, check=True)
    return {name: dict(PLANNED.findall(out)) for name, out in zip(names, done.stdout.split("---")[:2], strict=True)}


@pytest.fixture(scope="module")
def history(home: Path) -> History:
    """A run with the plug-in."""
    store = home / ".siku"
    arguments = ("@all.yaml", f"site.store={store}", "run.until=thin", "run.name=记", "site.workers=1")
    ended = command(home, ["site-0.1"], "run", *arguments)
    assert ended.code == 0, ended.said
    assert re.search(r"^ +thin .* - thinned \d+$", ended.out, re.M), ended.out
    explained = command(home, [], "explain", "--rule", "thinned", f"site.store={store}")
    assert "thinned@1" in explained.out, explained.said  # a finished run is read without the plug-in
    return open_run(store, "记")


def rows(history: History, stage: str, part: str) -> list[dict[str, object]]:
    artifact = history.artifact(history.stages[stage])
    return [row for name in artifact.names(part) for row in artifact.table(name).to_pylist()]


def test_each_member_does_its_part_and_the_ledger_says_so(history: History) -> None:
    texts = {f"{'繁體/' if n % 2 else ''}{n:02d}笔记.md": note(n) for n in range(60)}
    tally = {name: history.artifact(stage).tally for name, stage in history.stages.items() if stage.makes}
    # the source
    assert [dead["reason"] for dead in rows(history, "extract", "dead")] == ["bad_unicode"]
    documents = {row["id"]: row for row in rows(history, "extract", "documents")}
    assert {row["record"]: row["text"] for row in documents.values()} == texts
    assert {row["title"] for row in documents.values()} == {f"标题 {n}" for n in range(60)}
    # the edit
    cleaned = {row["id"]: row["text"] for row in rows(history, "clean", "documents")}
    assert not [text for text in cleaned.values() if MARK.search(str(text))]
    edits = [row for row in rows(history, "clean", "edits") if row["reason"] == "citation"]
    assert len(edits) == sum(len(MARK.findall(text)) for text in texts.values()) > 100
    assert {row["edit"] for row in edits} == {"citations@1"}
    assert tally["clean"].removed["citation"] == sum(len(m.encode()) for t in texts.values() for m in MARK.findall(t))
    # the measure
    marks = rows(history, "measure.marks", "columns")
    assert [row["exclamations"] for row in marks] == [len(re.findall("[!！]", str(t))) for t in cleaned.values()]
    # the rule
    held = {row["id"] for row in rows(history, "split", "sides") if row["side"]}
    number = {identifier: int(re.sub(r"\D", "", str(row["record"]))) for identifier, row in documents.items()}
    loud = {i for i, n in number.items() if n % 5 == 0 and i not in held}
    assert {row["id"] for row in rows(history, "filter", "verdicts")} == loud
    assert tally["filter"].dropped["shouting"].documents == len(loud) > 5
    # the stage
    came = {i for i in documents if i not in held | loud}

    def draw(identifier: bytes) -> float:
        return int.from_bytes(hashlib.sha256(b"thin" + identifier).digest()[:6], "big") / 2**48

    english = {i for i in came if number[i] % 3 == 0}
    thinned = {i for i in english if draw(i) >= 0.6}
    assert {row["id"] for row in rows(history, "thin", "verdicts")} == thinned
    assert 0 < len(thinned) < len(english) < len(came)
    assert tally["thin"].came.documents == len(came) and tally["thin"].kept.documents == len(came - thinned)
    assert ids(history, "documents", history.lineage.editions[-1]) == set(documents)
    assert [stage.name for stage in history.lineage.verdicts] == ["filter", "thin"]
    assert Counter(stage.makes for stage in history.stages.values())["verdicts"] == 2
    assert pa.types.is_large_string(history.artifact(history.stages["clean"]).table("documents-00000")["text"].type)


def test_a_version_or_the_source_of_an_editable_one_changes_digests_and_nothing_else_does(home: Path) -> None:
    base = planned(home, "site-0.1")
    shutil.copytree(home / "site-0.1", home / "elsewhere" / "site", dirs_exist_ok=True)
    assert planned(home, "elsewhere/site") == base
    other = planned(home, "site-0.2")

    def changed(one: dict[str, dict[str, str]], two: dict[str, dict[str, str]], name: str) -> set[str]:
        assert one[name].keys() == two[name].keys()
        return {stage for stage in one[name] if one[name][stage] != two[name][stage]}

    after_filter = {"filter", "detox", "dedupe", "decontaminate", "tokens", "train", "evaluate"}
    assert changed(base, other, "rule") == {"measure.marks", *after_filter}
    assert changed(base, other, "all") == set(base["all"])  # the source comes first
    edited = ("site-edited", "edited/src")
    first = planned(home, *edited)
    assert changed(base, first, "rule") == {"measure.marks", *after_filter}
    (home / "edited" / "README.md").write_text("another word\n")
    (home / "edited" / "pyproject.toml").write_text((home / "edited" / "pyproject.toml").read_text() + "\n# x\n")
    assert planned(home, *edited) == first
    rule = home / "edited" / "src" / "siku_worked" / "rule.py"
    rule.write_text(rule.read_text() + "\n# 注\n")
    assert changed(first, planned(home, *edited), "rule") == {"measure.marks", *after_filter}


def test_the_reason_for_a_new_stage_is_the_plugins_version(home: Path, history: History) -> None:
    arguments = ("@all.yaml", f"site.store={history.root}", "run.until=thin")
    ended = command(home, ["site-0.2"], "plan", *arguments)
    told = 'recipe.filter.rules.shouting.$distribution.siku-worked: "0.1" -> "0.2"'
    assert ended.code == 0 and told in ended.out, ended.out + ended.said


def test_without_the_plugin_each_of_its_members_is_named(home: Path) -> None:
    ended = command(home, [], "plan", "@all.yaml", f"site.store={home / 'none'}")
    assert ended.code == 2 and "Traceback" not in ended.said
    for field in (
        "recipe.source.kind='markdown'",
        "recipe.clean.edits.citations.edit='citations'",
        "recipe.measure.measures.marks.measure='marks'",
        "recipe.filter.rules.shouting.rule='shouting'",
        "recipe.thin.kind='thin'",
    ):
        assert re.search(rf"{re.escape(field)}: none of .*; if a plug-in brings it, install that$", ended.said, re.M)
