"""The pages of docs/ say what the code says."""

import re
from pathlib import Path

import pytest

from conf.schema import Config
from conf.walk import fields
from pipelines.cli.reference import reference

HOME = Path(__file__).resolve().parents[1]
PAGES = sorted([*HOME.glob("*.md"), *(HOME / "docs").glob("*.md")])


def test_the_configuration_reference_is_the_schemas() -> None:
    way_out = "write it again: python -m pipelines.cli.reference docs/configuration.md"
    assert (HOME / "docs" / "configuration.md").read_text(encoding="utf-8") == reference(), way_out


def test_the_configuration_reference_has_every_key() -> None:
    page = (HOME / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = {row.rpartition(".")[2] for row in re.findall(r"^\| `([^`]+)` \|", page, re.M)}
    discriminators = {"kind", "rule", "edit", "measure", "schedule"}
    names = [name.split(".") for name in fields(Config)]
    parents = {part for name in names for part in name[:-1]}
    missing = {name[-1] for name in names} - rows - discriminators - parents
    assert len(names) > 200 and not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_files_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    named = re.findall(r"`((?:corpus|pipelines|kernels|pretrain|conf|tests|docs)/[\w/.-]+)`", text)
    missing = [link for link in links if link and "://" not in link and not (page.parent / link).exists()]
    missing += [name for name in named if not (HOME / name).exists()]
    assert not missing
