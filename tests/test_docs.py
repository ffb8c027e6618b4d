"""The pages of docs/ say what the code says; docs/reasons.md has every reason that the code can give, and no other."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from conf.schema import WHAT, WHERE, Config
from conf.walk import fields
from corpus.crawling.snapshot import FAILURES
from corpus.dedup import AnyKey
from corpus.edits import AnyEdit
from corpus.plugins import family_of
from pipelines.cli.main import command_line
from pipelines.cli.reference import reference
from tests.blocks import HOME, PAGES, blocks
from tests.slugs import Slugs

REFERENCE = (HOME / "docs" / "configuration.md").read_text(encoding="utf-8")
REASONS = (HOME / "docs" / "reasons.md").read_text(encoding="utf-8")
DEAD = ("corpus/sources", "corpus/extract", "corpus/crawling/captures.py")
# Something for each edit to change.
TEXTS = [
    "a\x00b",
    "a\r\nb",
    " a  \n\n\n\nb",
    "e\u0301",
    "mail a.b@example.org",
    "电话：13812345678",
    "11010519491231002X",
    "漢字",
]


def test_the_configuration_reference_is_the_schemas() -> None:
    way_out = "write it again: python -m pipelines.cli.reference docs/configuration.md"
    assert reference() == REFERENCE, way_out


def test_the_configuration_reference_has_every_key() -> None:
    rows = {row.rpartition(".")[2] for row in re.findall(r"^\| `([^`]+)` \|", REFERENCE, re.M)}
    discriminators = {"kind", "rule", "edit", "measure", "schedule", "by"}
    names = [name.split(".") for name in fields(Config)]
    parents = {part for name in names for part in name[:-1]}
    missing = {name[-1] for name in names} - rows - discriminators - parents
    assert len(names) > 200 and not missing
    assert "### `recipe.<name>` with `kind=filter`\n" in REFERENCE and "### `site.hosts.<name>`\n" in REFERENCE


def test_the_chinese_readme_says_the_same() -> None:
    pages = [HOME / name for name in ("README.md", "README.zh.md")]
    shells, texts = [], []
    for page in pages:
        shells.append([(each.language, each.commands or each.text) for each in blocks(page)])
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        texts.append(text.replace("、", ", "))
    assert shells[0] == shells[1] and len(shells[0]) > 4
    for same in (r"^#+(?= )", r"^\d+\. `[^`]+`", r"^\| .*?`(?= \|)", r"\(docs/[^)]*\)"):  # in one order
        one, other = (re.findall(same, text, re.M) for text in texts)
        assert one == other and one, same
    for same in (r"`(siku [^`]*|~?[\w.]+=[^`]*|--?\w+|\.siku[^`]*)`", r"\d[\d,.]*\d|\d"):  # in any order
        one, other = (re.findall(same, text) for text in texts)
        assert sorted(one) == sorted(other) and one, sorted({*one} ^ {*other})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_within_a_line_have_the_flags_they_are_given(page: Path) -> None:
    verbs = next(a.choices for a in command_line()._actions if isinstance(a.choices, dict))
    for code in re.findall(r"`siku ([^`]*)`", page.read_text(encoding="utf-8")):
        words = re.sub(r"[][]|\\", " ", code).split()
        verb = next((word for word in words if word in verbs), None)
        flags = {flag for action in verbs[verb]._actions for flag in action.option_strings} if verb else set()
        told = {word for word in words if word.startswith("-")} - {"--config-dir"}
        assert verb and told <= flags, f"{page.name}: `siku {code}`: {sorted(told - flags)}"


def test_messages_that_a_page_quotes_are_the_codes() -> None:
    page = (HOME / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = [part for quote in re.findall(r'"([^"]+)"', page) for part in quote.split(" ... ")]
    code = [text for room in ("pipelines", "corpus") for file in (HOME / room).rglob("*.py") for text in strings(file)]
    missing = [part for part in quoted if not any(part.strip(".") in text for text in code)]
    assert len(quoted) > 4 and not missing


def test_keys_that_a_page_names_are_there() -> None:
    names = {part for name in fields(Config) for part in name.split(".")}
    names |= {
        name for path in (HOME / "conf").glob("*/*.yaml") for name in re.findall(r"(\w+):", path.read_text("utf-8"))
    }
    for page in PAGES:
        for key in re.findall(r"`(?:~|siku run )?([a-z_]+(?:\.\w+)+)(?:=[^`]*)?`", page.read_text(encoding="utf-8")):
            head, *rest = key.split(".")
            wrong = [part for part in rest if part not in names | {"NAME", "py", "json"}]
            assert head not in WHAT | WHERE or not wrong, f"{page.name}: {key}: {wrong}"


def test_concepts_names_what_is_what_and_what_is_where() -> None:
    page = (HOME / "docs" / "concepts.md").read_text(encoding="utf-8")
    for word, keys in (("WHAT", WHAT), ("WHERE", WHERE)):
        told = re.search(rf"{word} keys\s\(([^)]*)\)", page)
        assert told and {*re.findall(r"`(\w+)`", told[1])} == keys


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_files_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    named = re.findall(r"`((?:corpus|pipelines|kernels|pretrain|conf|tests|docs)/[\w/.-]+)`", text)
    missing = [link for link in links if link and "://" not in link and not (page.parent / link).exists()]
    missing += [name for name in named if not (HOME / name).exists()]
    assert not missing


def strings(file: Path) -> Iterator[str]:
    """String constants of a module, those of f-strings by their constant parts."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def listed(title: str) -> list[str]:
    """The slugs of a section's table, in its order."""
    section = REASONS.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.M)


def rules(pattern: str, *within: str) -> Iterator[str]:
    """Names of the rules in packaged YAML, of a preset or of the stages of a recipe."""
    for path in sorted((HOME / "conf").glob(pattern)):
        body: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        for stage in [body] if not within else [body.get(name, {}).get("rules", {}) for name in within]:
            yield from stage


def changes() -> set[str]:
    """What the packaged edits say of their spans."""
    family = family_of(AnyEdit)
    assert family is not None
    keys = family_of(AnyKey)
    assert keys is not None
    found = {key.reason for key in keys.members.values() if key.tie == "span"}
    for name, edit in family.members.items():
        given = set(edit(order=0).spans(pa.array(TEXTS, pa.large_string()))["reason"].to_pylist())
        assert given, f"edit {name} changes none of TEXTS: add one that it does"
        found |= given | {*getattr(edit, "reasons", ())}
    return found


@cache
def sections() -> dict[str, set[str]]:
    """Slugs as the code has them, by the section of the page that they belong to."""
    stages = Slugs("pipelines/stages").found()
    extract = Slugs("pipelines/stages/extract.py", *DEAD).found()
    split = Slugs("pipelines/stages/split.py", "pipelines/stages/verdicts.py").found()
    split |= {f"unfit_{name}" for name in rules("recipe/*.yaml", "split")}
    return {
        "Crawl outcomes": {*FAILURES} | Slugs("corpus/crawling").found() - Slugs(DEAD[-1]).found(),
        "Dead letters": extract - {"markup", "transcoding"},
        "Changes of text": changes() | {"markup", "transcoding"},
        "Split": split,
        "Dedupe, decontamination and quarantine": stages - extract - split,
        "Rules": {*rules("filters/*.yaml"), *rules("detox/*.yaml"), *rules("recipe/*.yaml", "filter", "detox")},
    }


@pytest.mark.parametrize(("title", "slugs"), sections().items(), ids=lambda each: each if isinstance(each, str) else "")
def test_the_page_and_the_code_have_the_same_reasons(title: str, slugs: set[str]) -> None:
    page = listed(title)
    told = f"docs/reasons.md, {title}: lacks {sorted(slugs - {*page})}, has too much {sorted({*page} - slugs)}"
    assert set(page) == slugs and len(page) == len(slugs) > 2, told


def test_no_reason_falls_between_the_sections() -> None:
    every = Slugs("corpus", "pipelines").found()
    assert len(every) > 50 and not every - set().union(*sections().values())
    assert re.findall(r"^## (.*)$", REASONS, re.M) == list(sections())


def test_what_to_change_is_a_key() -> None:
    named = [key for row in re.findall(r"^\|.*\| (.*) \|$", REASONS, re.M) for key in re.findall(r"`([\w.]+)`", row)]
    missing = [key for key in named if not re.search(rf"\b{key.rpartition('.')[2]}\b", REFERENCE)]
    assert len(named) > 30 and not missing


def test_a_slug_is_found_wherever_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(
        'GONE = "gone"\n'
        "class Row:\n    url: str\n    outcome: str\n"
        "def why(x):\n    return GONE if x else 'torn'\n"
        "def read(x):\n"
        "    reason, detail = (None, '') if x else ('shut', 'no reason at all')\n"
        "    Row('http://a/', why(x)); Row(url='b', outcome='late')\n"
        "    for name, other in (('near', 1), ('far', 2)):\n        judged(name, reason=name)\n"
        "    columns['reason'] = array(['again'] * 3)\n"
        "    dropped['out'] = 1\n"
        "    return Tally(removed={'tags': 1})\n"
        "class Tally:\n    removed: dict\n",
        encoding="utf-8",
    )
    found = Slugs(str(tmp_path)).found()
    assert found == {"gone", "torn", "shut", "late", "near", "far", "again", "out", "tags"}
