"""What the pages tell a reader to write does what they say: every code block runs, or a short list says why not."""

import bz2
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.load import load
from conf.search import Search
from corpus.crawling.snapshot import SNAPSHOT
from corpus.dedup import KEYS
from corpus.document import DOCUMENT, tokens_schema
from corpus.edit import EDITS
from corpus.extract.documents import DEAD
from corpus.verdict import VERDICT
from pipelines.stages.split import SPLIT
from tests.blocks import HOME, NOT_RUN, PAGES, Block, blocks
from tests.end_to_end.support import Built, ok

READERS = {"explain", "export", "ls", "gc"}  # verbs that read finished runs
PAGE = "<title>题</title><main><p>今天的天气很好，我们去公园散步。</p></main>"
RECORD = (
    "WARC/1.0\r\nWARC-Type: resource\r\nWARC-Target-URI: http://a.test/\r\nContent-Type: text/html\r\n"
    "Content-Length: {}\r\n\r\n{}\r\n\r\n"
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, small: Built) -> Iterator[Path]:
    """A reader's working folder: data of every kind below `data`, and a store with a finished run."""
    desk = tmp_path_factory.mktemp("desk")
    for folder in ("site", "warcs", "rows", "notes"):
        (desk / "data" / folder).mkdir(parents=True)
    (desk / "data" / "site" / "a.html").write_text(PAGE, "utf-8")
    (desk / "data" / "warcs" / "a.warc").write_text(RECORD.format(len(PAGE.encode()), PAGE), "utf-8", newline="")
    (desk / "data" / "notes" / "a.md").write_text("# 题\n\n一二三。\n", "utf-8")
    (desk / "data" / "texts.jsonl").write_text('{"text": "一二三。"}\n', "utf-8")
    pq.write_table(pa.table({"text": ["一二三。"]}), desk / "data" / "rows" / "a.parquet")
    (desk / "data" / "zhwiki-pages-articles.xml.bz2").write_bytes(bz2.compress(b"<mediawiki></mediawiki>"))
    (desk / ".siku" / "runs").mkdir(parents=True)
    for place in [each for each in small.root.iterdir() if each.name != "runs"] + [small.root / "runs" / "small"]:
        (desk / ".siku" / place.relative_to(small.root)).symlink_to(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(desk)
        yield desk


def carry_out(line: str, desk: Path) -> None:
    """A command line of a page: what would make results is planned, what reads them reads the finished run."""
    words = [word.replace("/data/", f"{desk}/data/") for word in shlex.split(line)]
    if words[0] != "siku":
        assert line in NOT_RUN, f"{line!r} is no siku command: run it here, or say in tests/blocks.py why not"
        return
    verb = next(at for at, word in enumerate(words) if at and word in ("run", "plan", "config", "completion", *READERS))
    if words[verb] == "run":
        words = [*words[1:verb], "plan", *(word for word in words[verb + 1 :] if word != "-v")]
    elif words[verb] in READERS:
        words = [word for word in words[1:] if word != "--yes"]
    else:
        words = words[1:]
    ok(*words)


def stripped(code: str) -> str:
    """Its lines, without indentation and empty ones."""
    return "\n".join(line.strip() for line in code.splitlines() if line.strip())


def execute(block: Block, module: ModuleType) -> None:
    """Python that runs in the names of its page so far; with a file, an excerpt of it that its own tests run."""
    if block.file:
        assert stripped(block.text) in stripped((HOME / block.file).read_text(encoding="utf-8")), block
    else:
        exec(compile(block.text, block.page, "exec"), module.__dict__)


# The Chinese README has the same blocks: tests/test_docs.py.
@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page) and page.suffixes != [".zh", ".md"]], ids=lambda page: page.name
)
def test_every_block_of_a_page_does_what_it_says(page: Path, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType(f"page_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in blocks(page):
        if block.language == "sh":
            for line in block.commands:
                carry_out(line, desk)
        elif block.language == "python":
            execute(block, module)
        elif block.language == "yaml" and block.file:
            (desk / block.file).parent.mkdir(parents=True, exist_ok=True)
            (desk / block.file).write_text(block.text, "utf-8")
        elif block.language == "yaml":
            (desk / "block.yaml").write_text(block.text, "utf-8")
            load(["@block.yaml"], Search())
        elif block.language == "toml":
            assert block.text in (HOME / block.file).read_text(encoding="utf-8")
        else:
            assert block.language == "text", f"{page.name}: a block in {block.language!r}: say sh, python, yaml or text"


def test_the_readme_shows_what_a_run_prints(small: Built) -> None:
    told = next(block.text for block in blocks(HOME / "README.md") if block.language == "text")
    shapes = [
        [re.sub(r"^/.*/", "/", re.sub(r"  +.*|[\d,]+.*", "", line)) for line in text.splitlines()]
        for text in (told, small.ended.out)
    ]
    heads, others = ([shape for shape in each if not shape.startswith("/")] for each in shapes)
    assert [head for head in heads if head] == [other for other in others if other]


def test_the_list_of_what_is_not_run_is_of_lines_that_stand_somewhere() -> None:
    lines = {line for page in PAGES for block in blocks(page) if block.language == "sh" for line in block.commands}
    assert lines >= NOT_RUN.keys() and len(lines) > 14


SHARDS = {
    "documents": DOCUMENT,
    "dead": DEAD,
    "edits": EDITS,
    "keys": KEYS,
    "sides": SPLIT,
    "verdicts": VERDICT,
    "tokens": tokens_schema("uint16"),
    "index": SNAPSHOT,
}


def listed(page: Path, title: str) -> list[tuple[str, ...]]:
    """Rows of the table below a heading: the key unquoted, other cells as they stand."""
    section = re.split(r"^#+ ", page.read_text(encoding="utf-8").partition(f"\n### {title}\n")[2], flags=re.M)[0]
    rows = [row.strip("|").split(" | ") for row in section.splitlines() if row.startswith("| `")]
    return [(row[0].strip(" `"), *(cell.strip() for cell in row[1:])) for row in rows]


def test_formats_has_the_columns_of_the_schemas(small: Built) -> None:
    page, history = HOME / "docs" / "formats.md", small.history("small")
    scores = history.artifact(history.stages["evaluate"]).table("documents").schema
    for title, schema in {**SHARDS, "scores": scores}.items():
        told = [row[:2] for row in listed(page, title)]
        assert told == [(each.name, f"{each.type}{', null' if each.nullable else ''}") for each in schema], title


def test_formats_has_the_keys_and_folders_of_a_store(small: Built) -> None:
    page, root = HOME / "docs" / "formats.md", small.root
    history = small.history("small")
    stage, train = history.stages["tokens"].directory, history.stages["train"].directory
    files = {
        "manifest.json": stage / "manifest.json",
        "commits": next((stage / "commits").iterdir()),
        "run.json": root / "runs" / "small" / "run.json",
        "segments.jsonl": train / "segments.jsonl",
        "journal.jsonl": train / "journal.jsonl",
        "checkpoint": train / "step-4" / "manifest.json",
    }
    for title, path in files.items():
        text = path.read_text(encoding="utf-8")
        body = json.loads(text.splitlines()[0] if path.suffix == ".jsonl" else text)
        assert {row[0] for row in listed(page, title)} == body.keys(), title
    cells = dict(
        row[:2] for title in ("manifest.json", "commits", "run.json", "checkpoint") for row in listed(page, title)
    )
    inner = {
        "files": json.loads(files["manifest.json"].read_text())["files"]["en-00000"],
        "record": json.loads(json.loads(files["commits"].read_text().splitlines()[0])["record"]),
        "given": json.loads(files["run.json"].read_text())["given"],
        "stages": json.loads(files["run.json"].read_text())["stages"][0],
        "content": json.loads(files["checkpoint"].read_text())["content"],
    }
    for key, body in inner.items():
        assert {*re.findall(r"`(\w+)`", cells[key])} == body.keys(), key
    tree = next(block.text for block in blocks(page))
    kinds = {each.kind for each in history.stages.values()}
    assert {path.name for path in root.iterdir()} - kinds <= {*re.findall(r"^  (\w+)/", tree, re.M)}
    run = next(line.split() for line in tree.replace(",", "").splitlines() if "runs/<name>" in line)
    assert {path.name for path in files["run.json"].parent.iterdir()} == {*run[1:]}
